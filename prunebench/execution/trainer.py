"""The training of a job: the mask that it starts with, and the callbacks that act on its way."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from torch import Tensor, nn

from prunebench.execution.checkpoints import Checkpoints
from prunebench.execution.method_callback import MethodCallback
from prunebench.execution.pruner import Pruner
from prunebench.execution.session import Session, State, Weights
from prunebench.planning.graph import Node, phases_of
from prunebench.recipes.phase import final_selection, final_sparsity
from prunebench.recipes.phases import Train
from prunebench.recipes.schedules import Cubic
from prunebench.store.schema import WeightsRef
from prunebench.training import loop
from prunebench.training.callbacks import Ramp, Snapshots, TrainingCallback, TrainingProgress
from prunebench.training.distillation import Distillation, TeacherModel


def train(
    session: Session,
    pruner: Pruner,
    node: Node,
    state: State,
    options: Train,
    teachers: Sequence[Mapping[str, Tensor]] = (),
) -> loop.Outcome:
    """Train the model as it stands under the mask of `state`, which the strategy may replace on the way.

    `teachers` are the weights of the models whose outputs it learns, at most one.
    """
    workspace, job = session.workspace, session.job
    session.rewound_exactly = workspace.is_rewound(session.kept_weights(state)) if state.rewound else None
    steps = options.steps(loop.total_steps(len(workspace.train), workspace.protocol))
    snapshots = snapshots_of(job.weights, node.key, steps)
    checkpoints = Checkpoints(session.store, job.anchor, job.checkpoint_minutes)
    checkpoint, mask = checkpoints.load(weights.name for references in snapshots.values() for weights in references)
    if options.asks_strategy:
        pruner.strategy(node, state)  # the mask is one of its units now
    if mask and options.asks_strategy:  # other trainings keep the mask that they start with
        state.mask = mask
    teacher, lessons = _teacher(workspace.model, options, teachers)
    callbacks = [
        *_method(pruner, node, state, options, steps, teacher),
        *lessons,
        Snapshots({step: _store_snapshot(session, weights) for step, weights in snapshots.items()}),
    ]
    if checkpoints.minutes is not None:
        callbacks.append(checkpoints.during_training(lambda: state.mask or {}, checkpoint))
    outcome = checkpoints.discard_on_failure(
        lambda: loop.train(
            workspace.model,
            workspace.train,
            workspace.protocol,
            session.experiment.seed,
            session.kept_weights(state),
            precision=session.experiment.precision,
            device=session.experiment.device,
            callbacks=callbacks,
            steps=steps,
        )
    )
    state.rewound = False
    if options.asks_strategy:
        session.store_mask(node.key, state)
    session.seconds.add("train")
    return outcome


def _teacher(
    model: nn.Module, options: Train, weights: Sequence[Mapping[str, Tensor]]
) -> tuple[TeacherModel | None, list[Distillation]]:
    """The teacher, if somebody asks it, and the callback that adds to the loss, if it adds anything."""
    if options.teacher is None or not weights or not (options.callback or options.teacher.adds_loss):
        return None, []
    teacher = TeacherModel(model, weights[0])
    return teacher, [Distillation(teacher, options.teacher)] if options.teacher.adds_loss else []


def _method(
    pruner: Pruner, node: Node, state: State, options: Train, steps: int, teacher: TeacherModel | None
) -> Iterator[TrainingCallback]:
    """What the strategy does in the training: its own callback, or masks by its scores along a cubic."""
    session = pruner.session
    if options.callback:
        strategy = pruner.strategy(node, state)
        phases = phases_of(node.path())
        # A training without a level of its own holds the mask at the level before it, which that phase selected.
        selection = options.selection if options.level is not None else final_selection(phases)
        context = pruner.context(state, selection, teacher)
        protocol = session.workspace.protocol
        context.progress = TrainingProgress(0, steps, 0.0 if round(protocol.warmup * steps) else protocol.lr)
        yield MethodCallback(strategy, session, context, state, options.sparsity, final_sparsity(phases))
    elif isinstance(options.sparsity, Cubic):

        def remask(level: float) -> Weights:
            state.mask = pruner.prune(node, level, state, options.selection)
            return session.kept_weights(state)

        levels = options.sparsity.steps(steps)
        yield Ramp({step: functools.partial(remask, level) for step, level in levels.items()})


def _store_snapshot(session: Session, weights: list[WeightsRef]) -> Callable[[], None]:
    return functools.partial(session.store_weights, *weights)


def snapshots_of(weights: Iterable[WeightsRef], training: str, steps: int) -> dict[int, list[WeightsRef]]:
    """Which of the stored `weights` are of the middle of that training, by step; two rewinds may want one step."""
    snapshots: dict[int, list[WeightsRef]] = defaultdict(list)
    for reference in weights:
        if reference.training == training and reference.at is not None:
            snapshots[reference.step(steps)].append(reference)
    return snapshots
