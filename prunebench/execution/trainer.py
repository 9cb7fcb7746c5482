"""The training of a job: the mask that it starts with, the ramp that prunes on the way, snapshots and checkpoints."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable

from prunebench.execution.checkpoints import Checkpoints
from prunebench.execution.pruner import Pruner
from prunebench.execution.session import Session, State, Weights
from prunebench.planning.graph import Node
from prunebench.recipes.schedules import Cubic
from prunebench.store.schema import WeightsRef
from prunebench.training import loop


def train(session: Session, pruner: Pruner, node: Node, state: State, sparsity: Cubic | None = None) -> loop.Outcome:
    """Train the model as it stands under the mask of `state`, which a growing `sparsity` replaces on the way."""
    workspace, job = session.workspace, session.job
    session.rewound_exactly = workspace.is_rewound(session.kept_weights(state)) if state.rewound else None
    steps = loop.total_steps(len(workspace.train), workspace.protocol)
    ramp = sparsity.steps(steps) if sparsity else {}
    snapshots = snapshots_of(job.weights, node.key, steps)
    checkpoints = Checkpoints(session.store, job.anchor, job.checkpoint_minutes)
    checkpoint, mask = checkpoints.load(weights.name for references in snapshots.values() for weights in references)
    if mask:
        state.mask = mask
        state.unit = session.registry.strategy(node.strategy).unit if ramp else state.unit

    def remask(level: float) -> Weights:
        state.mask = pruner.prune(node, level, state)
        return session.kept_weights(state)

    def store_snapshot(weights: list[WeightsRef]) -> Callable[[], None]:
        return functools.partial(session.store_weights, *weights)

    outcome = checkpoints.discard_on_failure(
        lambda: loop.train(
            workspace.model,
            workspace.train,
            workspace.protocol,
            session.experiment.seed,
            session.kept_weights(state),
            precision=session.experiment.precision,
            device=session.experiment.device,
            events=loop.Events(
                masks={step: functools.partial(remask, level) for step, level in ramp.items()},
                snapshots={step: store_snapshot(weights) for step, weights in snapshots.items()},
                checkpointing=checkpoints.during_training(lambda: state.mask or {}, checkpoint),
            ),
        )
    )
    state.rewound = False
    if ramp and state.mask is not None:
        session.store_mask(node.key, state.mask)
    session.seconds.add("train")
    return outcome


def snapshots_of(weights: Iterable[WeightsRef], training: str, steps: int) -> dict[int, list[WeightsRef]]:
    """Which of the stored `weights` are of the middle of that training, by step; two rewinds may want one step."""
    snapshots: dict[int, list[WeightsRef]] = defaultdict(list)
    for reference in weights:
        if reference.training == training and reference.at is not None:
            snapshots[reference.step(steps)].append(reference)
    return snapshots
