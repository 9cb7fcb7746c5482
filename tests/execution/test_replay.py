"""The state at the end of a path of phases, from what is stored: which phases are repeated, and what comes of it."""

from __future__ import annotations

import pytest
import torch

from prunebench import PermuteLayers, Prune, Reinit, Rewind, Train
from prunebench.execution.replay import first_after, replay
from prunebench.execution.session import Session
from prunebench.planning import jobs
from prunebench.planning.graph import Node, RecipeStep, add_steps, read_nodes
from prunebench.pruning import masks
from prunebench.recipes.phase import to_json
from prunebench.store.schema import WeightsRef
from prunebench.store.store import Store


def path_of(*phases, moves=False):
    """The nodes of a recipe; its `Prune` phases move weights if so."""
    steps = [
        RecipeStep(phase, to_json(phase), "mine", moves, "", f"mine {phase}")
        if isinstance(phase, Prune)
        else RecipeStep.plain(phase, to_json(phase))
        for phase in phases
    ]
    return add_steps(Node("root", experiment=None), steps, "test").path()


ROUND = (Train(), Prune(0.1))
# Phases, the stored weights as (index of their training, step), and the index of the first phase behind those weights.
PATHS = {
    "nothing": ((), None, 0),
    "pruning at θ0": ((Prune(0.1),), None, 0),
    "θ0 with its layers permuted": ((Prune(0.1), PermuteLayers()), None, 0),
    "after a training": ((Train(),), (0, None), 1),
    "behind a training": (ROUND, (0, None), 1),
    "rewound to θ0": ((*ROUND, Rewind()), None, 2),
    "rewound to θ0 twice": ((*ROUND, Rewind(), *ROUND, Rewind()), None, 5),
    "trained after a rewind": ((*ROUND, Rewind(), *ROUND), (3, None), 4),
    "rewound and permuted": ((*ROUND, Rewind(), PermuteLayers()), None, 2),
    "drawn anew": ((*ROUND, Reinit()), None, 2),
    "drawn anew after a rewind": ((*ROUND, Rewind(), *ROUND, Reinit()), None, 5),
    "trained from new weights": ((*ROUND, Reinit(), *ROUND, PermuteLayers()), (3, None), 4),
    "rewound to a step": ((*ROUND, Rewind(100)), (0, 100), 3),
    "rewound to a step twice": ((*ROUND, Rewind(0.5), *ROUND, Rewind(0.5)), (0, 0.5), 6),
    "rewound to a step and permuted": ((*ROUND, Rewind(100), PermuteLayers()), (0, 100), 3),
    "rewound to a step, then to θ0": ((*ROUND, Rewind(100), *ROUND, Rewind()), None, 5),
    "rewound to θ0, then to a step": ((*ROUND, Rewind(), *ROUND, Rewind(100)), (0, 100), 6),
}


@pytest.mark.parametrize(("phases", "stored", "first"), PATHS.values(), ids=PATHS)
def test_first_after_is_the_first_phase_that_the_stored_weights_do_not_hold(phases, stored, first):
    path = path_of(*phases)
    weights = WeightsRef(training=path[stored[0]].key, at=stored[1]) if stored else None
    assert jobs.weights_before(path) == weights
    assert first_after(path, weights) == first


def test_first_after_a_pruning_that_moves_weights_is_the_next_phase():
    path = path_of(*ROUND, PermuteLayers(), moves=True)
    weights = jobs.weights_before(path)
    assert weights == WeightsRef(training=path[1].key)
    assert first_after(path, weights) == 2


@pytest.fixture
def replayed(planned):
    """Replays the path before the last training of a method that has run; returns the session, the path, the state."""

    def replay_method(label):
        plan, store, finish = planned(label)
        assert not finish().failures
        leaf = next(cell.leaf for cell in plan.cells if cell.method.label == label)
        todo = jobs.jobs_to_run(plan, Store.view(store.name + "-empty"))
        job = next(job for job in todo if job.anchor is leaf)
        session = Session(job.to_spec(plan.where), store)
        path, _ = read_nodes(session.job, session.registry)
        # Whatever the model held before is replaced.
        with torch.no_grad():
            for parameter in session.workspace.model.parameters():
                parameter.fill_(7)
        return session, path[:-1], replay(session, path[:-1])

    return replay_method


def test_replaying_a_rewind_gives_theta0_under_the_last_mask(replayed):
    session, path, state = replayed("imp")
    assert state.rewound
    assert state.unit == "weight"
    last = [node.key for node in path if jobs.makes_mask(node)][-1]
    stored = session.store.load("masks", last, masks.unpack)
    assert all(torch.equal(state.mask[name], keep) for name, keep in stored.items())
    assert masks.pruned(state.mask) == masks.pruned_count(0.2, 16384)
    assert session.workspace.is_rewound(session.kept_weights(state))


@pytest.mark.parametrize("label", ["random-reinit", "layer-shuffle"])
def test_replaying_a_control_repeats_what_it_did_to_the_weights(replayed, label):
    session, _, state = replayed(label)
    assert not state.rewound
    assert masks.pruned(state.mask) == masks.pruned_count(0.2, 16384)
    assert not session.workspace.is_rewound(session.kept_weights(state))
    first = session.workspace.copy()
    _, _, again = replayed(label)
    assert all(torch.equal(again.mask[name], keep) for name, keep in state.mask.items())
    assert all(torch.equal(first[name], weight) for name, weight in session.workspace.copy().items())
