"""One job: replay the state that it starts from, train if it trains, prune, score, and store the results.

A job is JSON, so that it can run in any process; the registry is rebuilt from names there. What happens, in order:

    replay      weights and mask at the anchor, or before it if the anchor is a training
    train       once, at most
    branches    everything behind the anchor up to the next training: prune, shuffle, compact, score
"""

from __future__ import annotations

import contextlib
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.execution import measurements
from prunebench.execution.checkpoints import Checkpoints
from prunebench.execution.phase_context import JobContext
from prunebench.execution.process_state import unchanged_state
from prunebench.execution.pruner import Pruner
from prunebench.execution.replay import replay
from prunebench.execution.same_store import same_store
from prunebench.execution.session import Session, State
from prunebench.execution.strategy_calls import PluginError, plugin_code
from prunebench.execution.workspace import forget_model
from prunebench.planning.failures import Failure
from prunebench.planning.graph import Node, phases_of, read_nodes
from prunebench.planning.job_spec import JobSpec
from prunebench.planning.jobs import stage
from prunebench.pruning import structures
from prunebench.recipes.phase import final_selection
from prunebench.runtime import memory, progress
from prunebench.runtime.environment import environment
from prunebench.runtime.limits import call_limit, job_limit
from prunebench.store.schema import FORMAT, PhaseEntry, Record, WeightsRef
from prunebench.store.store import InputMissing, Store, StoreError
from prunebench.training.loop import Outcome

ScoredModel = tuple[Record, bytes]


def run(data: dict[str, Any], store: str) -> list[Failure]:
    """Run a job, given as JSON, and put all its results into the store; return the branches that failed."""
    job = JobSpec.model_validate(data)
    memory.keep_memory()
    with progress.job_scope(job.anchor), call_limit(job.strategy_timeout), job_limit(job.job_minutes):
        try:
            worker = Worker(Session(job, same_store(Store.open(store))))
            worker.run()
        except BaseException as error:
            forget_model()
            if memory.is_out_of_memory(error):
                raise PrunebenchError(
                    "it ran out of memory", "fewer --jobs or a smaller --batch-size need less"
                ) from error
            raise
    return worker.failures


class Worker:
    """Runs the nodes of one job."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.pruner = Pruner(session)
        self.failures: list[Failure] = []

    def run(self) -> None:
        session, job = self.session, self.session.job
        path, anchor = read_nodes(job, session.registry)
        at_training = anchor.phase is not None and anchor.phase.trains
        trains = at_training and not job.resumes
        state = replay(session, path[:-1] if trains else path)
        session.encoder_before = structures.encoder_sparsity(session.workspace.prunable)
        if at_training and job.resumes:
            self.restore_measurements(anchor)
        session.seconds.add("load")
        outcome = self.train(anchor, state) if trains else None
        scored = self.score(anchor, state, outcome) if trains or anchor.scored else None
        try:
            session.store_weights(WeightsRef(training=anchor.key))
            self.visit_children(anchor, state)
        finally:
            # Last, so that its seconds include the pruning that follows it.
            if scored is not None:
                self.store_record(*scored)
        Checkpoints(session.store, job.anchor, job.checkpoint_minutes).discard()

    def train(self, node: Node, state: State) -> Outcome:
        ctx = self.apply(node, state)
        if ctx.outcome is None:
            raise PrunebenchError(f"phase {type(node.phase).__name__!r} says that it trains, and did not")
        return ctx.outcome

    def apply(self, node: Node, state: State) -> JobContext:
        """Apply a phase; raises PrunebenchError where it does what it has not declared."""
        assert node.step is not None
        phase, mask = node.step.phase, state.mask
        ctx = JobContext(self.session, self.pruner, node, state)
        progress.enter_stage(stage(node))
        name = type(phase).__name__
        who = f"phase {name!r}"
        # An error of a built-in phase is one of the engine, whose traceback is needed.
        try:
            with contextlib.ExitStack() as stack:
                if not node.step.is_built_in:
                    stack.enter_context(unchanged_state(who))
                    stack.enter_context(plugin_code("phase", name))
                phase.apply(ctx)
        except PluginError as error:
            if error.__cause__ is not None and memory.is_out_of_memory(error.__cause__):
                raise error.__cause__ from None
            raise
        if state.mask is not mask and not phase.changes_mask:
            raise PrunebenchError(f"{who} changed the mask", "such a phase declares draws_mask = True")
        if ctx.network is not ctx.model:
            if not phase.ends_recipe:
                raise PrunebenchError(f"{who} set ctx.network", "such a phase declares ends_recipe = True")
            state.take_network(ctx.network, phase.approximates)
        return ctx

    def restore_measurements(self, anchor: Node) -> None:
        """Restore the start-of-training measurements from the record of a training that ran in another job."""
        record = self.session.store.record(anchor.key)
        if record is None:
            raise InputMissing(f"the record of {anchor.key} is gone")
        self.session.encoder_before = record.sparsity.encoder_before
        rewound = record.checks["rewound_exactly"]
        self.session.rewound_exactly = None if rewound is None else bool(rewound)

    def visit_children(self, node: Node, state: State) -> None:
        """Run what follows the node before the next training; all branches start from the same weights.

        A branch that fails through its own strategy does not affect the others.
        """
        children = list(node.children.values())
        before = self.session.workspace.copy() if len(children) > 1 else None
        for i, child in enumerate(children):
            if before is not None and i:
                self.session.workspace.load(before)
            try:
                self.visit(child, state.copy())
            except (StoreError, InputMissing):
                raise
            except PrunebenchError as error:
                self.failures.append(Failure.of(child.key, error))

    def visit(self, node: Node, state: State) -> None:
        """Apply a phase that is no training, score its outcome where that is asked for, and go on behind it."""
        session = self.session
        self.apply(node, state)
        session.apply_mask(state)
        session.store_weights(WeightsRef(training=node.key))
        session.seconds.add("prune")
        if node.scored:
            self.store_record(*self.score(node, state, None))
        self.visit_children(node, state)

    def score(self, node: Node, state: State, outcome: Outcome | None) -> ScoredModel:
        """Evaluate the model at the node, the workspace's or one made from it: the node's record, and the logits."""
        session = self.session
        progress.enter_stage(f"the scoring after {stage(node)}")
        workspace, experiment, remaining = session.workspace, session.experiment, session.kept_weights(state)
        path = node.path()
        exact = state.exact or workspace.model
        model = state.network or exact
        budget = final_selection(phases_of(path)).budget
        evaluations, logits, predict = measurements.evaluate(workspace, model, experiment)
        seconds = {"predict": predict, "method": state.strategy_seconds}
        session.seconds.add("evaluate")
        record = Record(
            format=FORMAT,
            key=node.key,
            status="done",
            experiment=experiment,
            phases=[_entry(each) for each in path],
            evaluations=evaluations,
            **measurements.cost(outcome),
            **measurements.sizes(
                workspace, state.mask, state.structure, budget, remaining, exact, session.encoder_before
            ),
            flops=measurements.flops(workspace, phases_of(path), state.mask),
            checks={
                "rewound_exactly": session.rewound_exactly,
                **measurements.checks(workspace, phases_of(path), state.mask, state.structure, remaining),
                **measurements.agreement(workspace, exact, model, experiment.device),
            },
            environment=environment(experiment.device),
            seconds={name: round(value, 4) for name, value in seconds.items() if value is not None},
            peak_memory_mb=0.0,
        )
        session.seconds.add("prune")
        return record, logits

    def store_record(self, record: Record, logits: bytes) -> None:
        """Store a record with the seconds since the last one was stored, and the job's peak memory until now."""
        peak = round(memory.peak_memory_mb(self.session.experiment.device), 1)
        seconds = self.session.seconds.to_json() | record.seconds
        plan = {"plan": self.session.job.plan} if self.session.job.plan else {}
        complete = record.model_copy(update={"seconds": seconds, "peak_memory_mb": peak, **plan})
        self.session.store.add_record(complete, logits)
        progress.emit(progress.Progress(record.steps, record.steps, record.loss or 0.0, score=_headline(record)))
        self.session.seconds = measurements.Stopwatch()


def _headline(record: Record) -> str:
    """The first metric of the first evaluation, × 100, for the display."""
    scores = next(iter(record.evaluations.values()))
    metric, value = next(iter(scores.metrics.items()))
    return f"{metric} {100 * value:.1f}"


def _entry(node: Node) -> PhaseEntry:
    assert node.step is not None
    return PhaseEntry(**node.step.data, strategy=node.strategy)
