"""Put the model into the state at the end of a path of phases, from what is stored and without training anything.

For `Train Prune(.1) Rewind Train Prune(.2)`, the last stored weights (those of the second training) and the last stored
mask (which contains the earlier ones) are enough. What the stored weights do not hold, such as a `Reinit` behind them,
is applied again.
"""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.execution.phase_context import JobContext
from prunebench.execution.session import Session, State
from prunebench.planning.graph import Node, phases_of
from prunebench.planning.jobs import weights_before
from prunebench.recipes.phase import last_index
from prunebench.store.schema import WeightsRef


def replay(session: Session, path: Sequence[Node]) -> State:
    """Set the model's weights to those at the end of `path`; returns the mask and its unit."""
    weights = weights_before(path)
    session.workspace.load(session.load_weights(weights) if weights else session.workspace.theta0)
    start = first_after(path, weights)
    state = State(rewound=weights is None)
    masked = last_index(phases_of(path), lambda phase: phase.finds_mask)
    for i, node in enumerate(path):
        assert node.phase is not None
        # Each stored mask contains those before it, so only the last one is loaded.
        if node.phase.asks_strategy and i == masked:
            state.structure = session.structure(session.registry.strategy(node.strategy).unit)
            session.load_mask(node.key, state)
        elif (node.phase.changes_weights and i >= start) or (node.phase.changes_mask and i >= masked):
            node.phase.apply(JobContext(session, None, node, state))
            state.rewound &= not node.phase.changes_weights
    session.apply_mask(state)
    return state


def first_after(path: Sequence[Node], weights: WeightsRef | None) -> int:
    """The index in `path` of the first node whose change of the weights is not in the stored `weights`.

    None stands for the weights that `path` starts from: θ0, or those that it sets anew.
    """
    if weights is None:
        return max(0, last_index(phases_of(path), lambda phase: phase.sets_weights))
    if weights.at is not None:
        return last_index(phases_of(path), lambda phase: phase.rewinds_to is not None) + 1
    return [node.key for node in path].index(weights.training) + 1
