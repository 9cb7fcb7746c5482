"""Run a plan: count it, ask the store, run the jobs that are left, and report what failed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from prunebench.errors import PrunebenchError
from prunebench.execution import scheduler
from prunebench.execution.clock import Clock, expected_seconds, guess_seconds
from prunebench.execution.display import Console
from prunebench.execution.executors.resources import Resources, make_executor, request_for
from prunebench.hooks.registry import Registry
from prunebench.models.loading import encoder_weights, model_source
from prunebench.models.sources import read_config
from prunebench.planning import counting, jobs
from prunebench.planning.graph import Node, Plan, PlannedCell
from prunebench.planning.jobs import Job, describe
from prunebench.planning.levels import describe_unsupported, unsupported_levels
from prunebench.planning.suite import Suite
from prunebench.runtime.memory import without_collection
from prunebench.runtime.progress import duration, plural
from prunebench.runtime.text import clean
from prunebench.store.schema import Experiment, PlannedResult, StoredPlan
from prunebench.store.snapshot import Snapshot
from prunebench.store.store import Store

# Another run on the same store may discard weights that this one has planned with; hardly ever twice.
PLANNING_ATTEMPTS = 10


@dataclass(frozen=True)
class RunOptions:
    """How a plan is run: where, with which resources, and what of it again."""

    store: str
    resources: Resources = field(default_factory=Resources)
    retry_failed: bool = False
    checkpoint_minutes: float | None = None
    command: str = ""


@dataclass(frozen=True)
class RunResult:
    """The store after a run, the plan as it holds it, what failed now, and the nodes that failed in an earlier run."""

    store: Store
    plan: StoredPlan
    report: scheduler.Report
    failed_before: dict[Node, str]

    @property
    def failures(self) -> dict[str, str]:
        """Why things failed, now or before, by a description of the first node that did."""
        before = {
            describe(node): why for node, why in self.failed_before.items() if node.parent not in self.failed_before
        }
        return before | self.report.failures


def execute(
    plan: Plan,
    suite: Suite,
    registry: Registry,
    options: RunOptions,
    console: Console,
    kind: str,
    keep: Collection[Node] = (),
) -> RunResult:
    """Run what the store lacks, and remember the plan there as one of that `kind`.

    `keep` are the nodes whose weights stay in the store.
    """
    store = Store.create(options.store)
    keys = [node.key for node in plan.nodes()]
    snapshot = store.snapshot(keys)
    failed = _failed_before(plan, snapshot, store, options.retry_failed)
    todo = jobs.jobs_to_run(plan, snapshot, failed, keep)
    _say_counts(plan, todo, snapshot, failed, store, console)
    with without_collection():
        cells, strategies = [cell.to_cell() for cell in plan.cells], plan.strategies(registry)
        names = PlannedResult.model_fields
        planned = [PlannedResult(**{name: getattr(cell, name) for name in names}) for cell in cells]
        # Before the first training, so that records can name what was planned with them.
        stored = store.add_plan(
            StoredPlan(
                kind=kind,
                suite=suite.name,
                command=options.command,
                strategies=strategies,
                cells=cells,
                planned=planned,
            )
        )
    if not todo:
        rest = "what has not failed" if failed else "every result"
        console.say(f"Nothing is left to run: {rest} is in {options.store}")
        return RunResult(store, stored, scheduler.Report(), failed)
    request = request_for(options.resources, suite.model, suite.device, registry, len(todo))
    console.say(f"At a time:     {plural(request.jobs, 'job')}")
    recorded, guess = expected_seconds(store.records()), _guess(suite, registry)
    _say_cost(Clock(todo, recorded, request.jobs, guess), console)
    dispatch = scheduler.Dispatch(
        plan.location,
        registry.files,
        request.jobs,
        options.checkpoint_minutes,
        options.resources.strategy_timeout,
        options.resources.job_minutes,
        stored.commitment,
        recorded,
        guess,
    )
    report = scheduler.Report()
    for _ in range(PLANNING_ATTEMPTS):
        with make_executor(options.resources, request, registry) as executor, console.watch(todo) as display:
            report = scheduler.run(todo, executor, store, display, dispatch).after(report)
        if not report.replan:
            return RunResult(store, stored, report, failed)
        console.warn("something that a job starts from is gone from the store or damaged: planning again")
        snapshot = store.snapshot(keys)
        todo = jobs.jobs_to_run(plan, snapshot, jobs.failed_before(plan, snapshot), keep)
    raise PrunebenchError(
        f"what jobs start from was gone from the store {PLANNING_ATTEMPTS} times over",
        "another run on it may be discarding weights: end one of them, and run the same command again",
    )


def preview(
    plan: Plan, suite: Suite, registry: Registry, options: RunOptions, console: Console, keep: Collection[Node] = ()
) -> bool:
    """Say what `execute` would do and what it would cost, and return whether anything is left to do. Writes nothing."""
    store = Store.view(options.store)
    snapshot = store.snapshot([node.key for node in plan.nodes()])
    failed = {} if options.retry_failed else jobs.failed_before(plan, snapshot)
    todo = jobs.jobs_to_run(plan, snapshot, failed, keep)
    _say_counts(plan, todo, snapshot, failed, store, console)
    if not todo:
        rest = "what has not failed" if failed else "everything"
        console.say(f"Nothing is left to run: {rest} is in {options.store}")
        return False
    slots = request_for(options.resources, suite.model, suite.device, registry, len(todo)).jobs
    _say_cost(Clock(todo, expected_seconds(store.records()), slots, _guess(suite, registry)), console)
    return True


def raise_failures(result: RunResult, console: Console) -> None:
    """Raise PrunebenchError if anything failed, after naming each failure; an unexpected error keeps its traceback."""
    report, before = result.report, result.failed_before
    for node, reason in before.items():
        if node.parent not in before:
            console.warn(clean(f"failed before: {describe(node)}: {reason}"))
    for reason, nodes in _by_reason(report.failures).items():
        more = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
        console.warn(clean(f"failed: {nodes[0]}{more}: {reason}"))
    if report.unexpected is not None:
        raise report.unexpected
    if report.failures or before:
        now = f"{plural(len(report.failures), 'failure')}, {plural(report.skipped, 'job')} left out because of that"
        earlier = f"{plural(len(before), 'phase')} left out that failed before"
        raise PrunebenchError(
            "; ".join([now] * bool(report.failures) + [earlier] * bool(before)),
            f"the reasons stand above, tracebacks in {result.store.name}/failures; --retry-failed tries them again",
        )


def _by_reason(failures: Mapping[str, str]) -> dict[str, list[str]]:
    """What failed, by reason: one that is the same for all is said once."""
    by_reason: dict[str, list[str]] = {}
    for node, reason in failures.items():
        by_reason.setdefault(reason, []).append(node)
    return by_reason


def with_recorded_threads(cells: Sequence[PlannedCell], options: RunOptions) -> RunOptions:
    """The same options with as many threads as the first cell's record was made with, unless they name a number.

    A training with the same number of threads gives the same bits.
    """
    import torch

    record = Store.view(options.store).record(cells[0].leaf.key)
    recorded = int(record.environment.get("threads", 0)) if record else 0
    threads = options.resources.cpus_per_job or recorded
    if not threads:
        return options
    torch.set_num_threads(threads)
    return replace(options, resources=replace(options.resources, cpus_per_job=threads))


def _failed_before(plan: Plan, snapshot: Snapshot, store: Store, retry: bool) -> dict[Node, str]:
    """The nodes that failed before and those behind them; none where they are tried again."""
    failed = jobs.failed_before(plan, snapshot)
    for node, reason in failed.items():
        if retry:
            store.forget_failure(node.key)
        elif node.key not in snapshot.failures:
            store.add_failure(node.key, reason)
    return {} if retry else failed


def _say_counts(
    plan: Plan, todo: list[Job], snapshot: Snapshot, failed: dict[Node, str], store: Store, console: Console
) -> None:
    for complaint in store.complaints:
        console.warn(complaint)
    count = counting.count(plan, todo, snapshot, failed)
    left = count.distinct - count.stored - count.failed
    again = f", {count.again} of them again for masks or weights that are not kept" if count.again else ""
    phases, distinct = plural(count.requested, "phase"), plural(count.distinct, "phase")
    console.say(
        f"Asked for:     {plural(len(plan.cells), 'cell')}, {phases}, {plural(count.requested_trainings, 'training')}"
    )
    for label, reasons in unsupported_levels((cell.method, cell.sparsity) for cell in plan.cells).items():
        console.say(f"Left out:      {describe_unsupported(label, reasons)}")
    console.say(f"After sharing: {distinct}, {plural(count.distinct_trainings, 'training')}")
    console.say(f"In the store:  {plural(count.stored, 'phase')}")
    if count.failed:
        console.say(f"Failed before: {plural(count.failed, 'phase')}; --retry-failed tries them again")
    console.say(f"To run:        {plural(left, 'phase')}, {plural(count.trainings, 'training')}{again}")


def _guess(suite: Suite, registry: Registry) -> Callable[[Experiment], float]:
    weights = encoder_weights(read_config(model_source(suite.model, registry).folder))
    return lambda experiment: guess_seconds(experiment, weights)


def _say_cost(clock: Clock, console: Console) -> None:
    left = clock.left()
    if left is not None:
        guessed = ", guessed from the size of the model" if left.guessed else ""
        console.say(f"Expected cost: about {duration(left.seconds)}{guessed}")
