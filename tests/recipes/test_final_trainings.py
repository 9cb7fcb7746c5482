"""How many trainings the weights at the end of a recipe had, counted by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench import Compact, Cubic, PermuteLayers, Phase, Prune, Reinit, Rewind, Shuffle, Train
from prunebench.recipes.phase import UnknownPhase, final_trainings


@dataclass(frozen=True)
class TrainElsewhere(Phase):
    """A plugin's phase that trains."""

    trains: ClassVar[bool] = True


@pytest.mark.parametrize(
    ("phases", "number"),
    [
        ([], 0),
        ([Prune(0.5)], 0),
        ([Train()], 1),
        ([Train(), Prune(0.5)], 1),
        ([Train(), Prune(0.5), Train()], 2),
        ([Train(), Prune(0.5), Train(), Compact()], 2),
        ([Train(), Prune(0.5), Rewind(), Train()], 1),
        ([Train(), Prune(0.5), Rewind()], 0),
        ([Train(), Prune(0.5), Rewind(0.1), Train()], 1),
        ([Train(), Prune(0.5), Train(), Prune(0.6), Rewind(), Train(), Train()], 2),
        ([Train(), Prune(0.5), Reinit(), Train()], 1),
        ([Train(), Prune(0.5), Shuffle("layer"), Train()], 2),
        ([Train(), Prune(0.5), Rewind(), PermuteLayers(), Train()], 1),
        ([Train(Cubic(0.5))], 1),
        ([Train(), Prune(0.5), Train(length=0.5)], 1.5),
        ([Train(length=0.1), Prune(0.5), Train(length=0.1), Prune(0.6), Train(length=0.1)], 0.3),
        ([Train(), Prune(0.5), Train(length=3)], 4),
        ([TrainElsewhere(), Prune(0.5), Train()], 2),
        ([Train(), UnknownPhase(), Train()], 2),
    ],
)
def test_trainings_count_from_the_phase_that_last_set_the_weights(phases, number):
    assert final_trainings(phases) == number


@given(st.lists(st.sampled_from([Train(), Train(length=0.5), Prune(0.5), Rewind(), Reinit(), Shuffle("layer")])))
def test_every_training_adds_its_length_and_new_weights_start_again(phases):
    count = 0.0
    for phase in phases:
        count = 0.0 if isinstance(phase, Rewind | Reinit) else count
        count += phase.length if isinstance(phase, Train) else 0.0
    assert final_trainings(phases) == count
