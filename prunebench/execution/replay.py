"""Put the model into the state at the end of a path of phases, from what is stored and without training anything.

For `Train Prune(.1) Rewind Train Prune(.2)`, the last stored weights (those of the second training) and the last stored
mask (which contains the earlier ones) are enough. What the stored weights do not hold, such as a `Reinit` behind them,
is done again.
"""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.execution.session import Session, State
from prunebench.models.initialisation import permute_layers, reinitialise
from prunebench.planning.graph import Node, phases_of
from prunebench.planning.jobs import weights_before
from prunebench.pruning import masks
from prunebench.recipes import phases
from prunebench.recipes.phases import Adopt, PermuteLayers, Reinit, Rewind, Shuffle
from prunebench.store.schema import WeightsRef


def replay(session: Session, path: Sequence[Node]) -> State:
    """Set the model's weights to those at the end of `path`; returns the mask and its unit."""
    weights = weights_before(path)
    session.workspace.load(session.load_weights(weights) if weights else session.workspace.theta0)
    start = first_after(path, weights)
    state = State(rewound=weights is None)
    masked = phases.last_index(phases_of(path), phases.stores_mask)
    for i, node in enumerate(path):
        # Each stored mask contains those before it, so only the last one is loaded.
        if node.phase is not None and (i >= masked or not phases.changes_mask(node.phase)):
            _replay_node(session, node, state, weights=i >= start)
    session.apply_mask(state)
    return state


def _replay_node(session: Session, node: Node, state: State, weights: bool) -> None:
    """Repeat a phase: its mask, and what it did to the weights unless the stored ones hold that."""
    phase = node.phase
    assert phase is not None
    if phases.calls_strategy(phase):
        state.unit = session.registry.strategy(node.strategy).unit
        state.mask = session.store.load("masks", node.key, masks.unpack)
    elif isinstance(phase, Adopt):
        state.unit = phase.unit
        state.mask = session.store.load("masks", phase.mask, masks.unpack)
    elif isinstance(phase, Shuffle):
        session.shuffle(phase, state)
    elif isinstance(phase, Reinit) and weights:
        reinitialise(session.workspace.prunable, session.experiment.seed)
        state.rewound = False
    elif isinstance(phase, PermuteLayers) and weights:
        permute_layers(session.workspace.prunable, session.experiment.seed)
        state.rewound = False


def first_after(path: Sequence[Node], weights: WeightsRef | None) -> int:
    """The index in `path` of the first node whose change of the weights is not in the stored `weights`.

    None stands for the weights that `path` starts from: θ0, or those that it sets anew.
    """
    if weights is None:
        return max(0, phases.last_index(phases_of(path), phases.sets_weights))
    if weights.at is not None:
        return phases.last_index(phases_of(path), lambda phase: isinstance(phase, Rewind)) + 1
    return [node.key for node in path].index(weights.training) + 1
