"""What every command does that runs a plan: count it, ask the store, run what is left, and say what went wrong."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli.options import ARGUMENTS, Running, checkpoint_option, executor_of, request_for, retry_option
from prunebench.errors import PrunebenchError

if TYPE_CHECKING:
    from prunebench.execution.scheduler import Report
    from prunebench.hooks.registry import Registry
    from prunebench.planning.graph import Cell, Node, Plan
    from prunebench.planning.jobs import Job
    from prunebench.planning.suite import Suite
    from prunebench.store.store import Snapshot, Store

# Another run on the same store may throw weights away that this one has planned with; hardly ever twice.
ATTEMPTS = 10


@dataclass(frozen=True)
class Wish:
    """How a plan is to be run: where, and what of it again."""

    store: str
    running: Running
    retry_failed: bool
    checkpoint_minutes: float | None


@dataclass(frozen=True)
class Done:
    """The store after a run, the cells that were asked for, and what failed now, or (by node) in an earlier run."""

    place: Store
    cells: list[dict[str, Any]]
    report: Report
    failed: dict[Node, str]


keep_option = click.option(
    "--keep-models",
    is_flag=True,
    help="Keep the trained weights of every cell in the store, as models/KEY.safetensors.",
)


def execution_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of commands that run what they plan."""
    return retry_option(checkpoint_option(command))


def execute(made: Plan, chosen: Suite, registry: Registry, wish: Wish, kind: str, keep: Collection[Node] = ()) -> Done:
    """Run what the store cannot answer for, and remember the plan there as one of that kind.

    `keep` are the nodes whose weights are to stay in the store.
    """
    from prunebench.cli.display import make_display
    from prunebench.execution import scheduler
    from prunebench.planning import jobs
    from prunebench.runtime.memory import without_collection
    from prunebench.runtime.progress import many
    from prunebench.store.store import Store

    place = Store.create(wish.store)
    keys = [node.key for node in made.nodes()]
    held = place.snapshot(keys)
    failed = _left_out(made, held, place, wish.retry_failed)
    todo = jobs.to_run(made, held, failed, keep)
    _say(made, todo, held, failed, place)
    with without_collection():
        cells = [cell.to_json() for cell in made.cells]
        place.add_plan(cells, chosen.name, command_line(), kind, made.called(registry))
    if not todo:
        click.echo(f"Nothing is left to run: {'what has not failed' if failed else 'every result'} is in {wish.store}")
        return Done(place, cells, scheduler.Report(), failed)
    request = request_for(chosen, registry, wish.running, len(todo))
    click.echo(f"At a time:     {many(request.jobs, 'job')}")
    _say_cost(todo, place, request.jobs)
    report = scheduler.Report()
    for _ in range(ATTEMPTS):
        with executor_of(registry, wish.running.executor, request) as pool, make_display(todo) as display:
            one = scheduler.run(todo, pool, place, registry.files, display, request.jobs, wish.checkpoint_minutes)
        report = one.after(report)
        if not report.again:
            return Done(place, cells, report, failed)
        click.echo("something that a job starts from is gone from the store or damaged: planning again", err=True)
        held = place.snapshot(keys)
        todo = jobs.to_run(made, held, jobs.given_up(made, held), keep)
    raise PrunebenchError(
        f"what jobs start from was gone from the store {ATTEMPTS} times over",
        "another run on it may be throwing weights away: end one of them, and run the same command again",
    )


def preview(made: Plan, chosen: Suite, registry: Registry, wish: Wish, keep: Collection[Node] = ()) -> bool:
    """Say what `execute` would do and what it would cost, and whether anything is left to do. Writes nothing."""
    from prunebench.planning import jobs

    place = open_if_there(wish.store)
    held = place.snapshot([node.key for node in made.nodes()])
    failed = {} if wish.retry_failed else jobs.given_up(made, held)
    todo = jobs.to_run(made, held, failed, keep)
    _say(made, todo, held, failed, place)
    if not todo:
        click.echo(f"Nothing is left to run: {'what has not failed' if failed else 'everything'} is in {wish.store}")
        return False
    _say_cost(todo, place, request_for(chosen, registry, wish.running, len(todo)).jobs)
    return True


def conclude(done: Done) -> None:
    """Say what went wrong, if anything did; what was nobody's fault keeps its traceback."""
    from prunebench.planning.jobs import describe
    from prunebench.runtime.progress import many

    report, failed = done.report, done.failed
    for node, reason in failed.items():
        if node.parent not in failed:
            click.echo(f"failed before: {describe(node)}: {reason}", err=True)
    for where, reason in report.failures.items():
        click.echo(f"failed: {where}: {reason}", err=True)
    if report.unexpected is not None:
        raise report.unexpected
    if report.failures or failed:
        now = f"{many(len(report.failures), 'failure')}, {many(report.skipped, 'job')} left out because of that"
        before = f"{many(len(failed), 'phase')} left out that failed before"
        raise PrunebenchError(
            "; ".join([now] * bool(report.failures) + [before] * bool(failed)),
            f"the reasons stand above, tracebacks in {done.place.name}/failures; --retry-failed tries them again",
        )


def alike(cells: Sequence[Cell], place: Any, running: Running) -> Running:
    """Where nothing else is said, train with as many threads as the record was made with: then it is the same."""
    import torch

    record = place.record(cells[0].leaf.key)
    threads = running.cpus or (record and int(record["environment"].get("threads", 0)))
    if not threads:
        return running
    torch.set_num_threads(threads)
    return replace(running, cpus=threads)


def command_line() -> str:
    """The words of this command, as they can be said again."""
    return "prunebench " + shlex.join(click.get_current_context().find_root().meta[ARGUMENTS])


def open_if_there(name: str) -> Any:
    """The store, or an empty view of the place where one could be."""
    from prunebench.store import backends
    from prunebench.store.store import Store

    place = backends.at(name)
    return Store.open(name) if place.exists("store.json") else Store(place)


def _say(made: Plan, todo: list[Job], held: Snapshot, failed: dict[Node, str], place: Store) -> None:
    from prunebench.cli.display import counted
    from prunebench.planning import jobs

    for complaint in place.complaints:
        click.echo(complaint, err=True)
    click.echo("\n".join(counted(made, jobs.count(made, todo, held, failed))))


def _say_cost(todo: list[Job], place: Store, at_once: int) -> None:
    from prunebench.execution import scheduler
    from prunebench.runtime.progress import duration

    total = scheduler.Clock(todo, scheduler.expected_seconds(place), at_once).total()
    cost = "unknown until each task has been trained once" if total is None else f"about {duration(total)}"
    click.echo(f"Expected cost: {cost}")


def _left_out(made: Plan, held: Snapshot, place: Store, retry: bool) -> dict[Node, str]:
    """What failed before and is not run again, and what comes after it; nothing where it is to be tried again."""
    from prunebench.planning import jobs

    failed = jobs.given_up(made, held)
    for node, reason in failed.items():
        if retry:
            place.forget_failure(node.key)
        elif node.key not in held.failures:
            place.add_failure(node.key, reason)
    return {} if retry else failed
