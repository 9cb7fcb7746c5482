"""The criteria of matching: each by hand, cases in which they disagree, and properties of all of them."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.recipes.phase import Phase, trains_from_theta0
from prunebench.recipes.phases import Compact, PermuteLayers, Prune, Reinit, Rewind, Shuffle, Train
from prunebench.recipes.schedules import Cubic
from prunebench.results.statistics.matching import CRITERIA, largest_matching, matches

DENSE = {0: 0.60, 1: 0.62, 2: 0.64}


def seeds(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


@pytest.mark.parametrize(
    ("values", "strict", "each", "one_std", "non_inferior"),
    [
        # Dense: mean 0.62, std 0.02. Paired differences and their 95 % interval (t = 4.303, n = 3):
        pytest.param((0.61, 0.63, 0.65), True, True, True, True, id="0.01 better each time: a point"),
        pytest.param((0.60, 0.62, 0.64), True, True, True, True, id="equal"),
        pytest.param((0.70, 0.61, 0.63), True, False, True, False, id="better on the mean; interval 0.027 ± 0.158"),
        pytest.param((0.585, 0.605, 0.625), False, False, True, False, id="0.015 worse each time"),
        pytest.param((0.595, 0.615, 0.635), False, False, True, True, id="0.005 worse each time"),
        pytest.param((0.58, 0.60, 0.62), False, False, True, False, id="exactly one std worse"),
        pytest.param((0.57, 0.60, 0.62), False, False, False, False, id="more than one std worse"),
    ],
)
def test_criteria_by_hand(
    values: tuple[float, ...], strict: bool, each: bool, one_std: bool, non_inferior: bool
) -> None:
    expected = {"strict": strict, "each-seed": each, "one-std": one_std, "non-inferior": non_inferior}
    assert matches(seeds(*values), DENSE) == expected


def test_non_inferiority_by_a_printed_t_table() -> None:
    # Differences −0.01, 0, 0.01: mean 0, std 0.01, lower limit −4.303·0.01/√3.
    values, limit = seeds(0.59, 0.62, 0.65), 4.303 * 0.01 / math.sqrt(3)
    assert matches(values, DENSE, limit + 1e-5)["non-inferior"] is True
    assert matches(values, DENSE, limit - 1e-5)["non-inferior"] is False


def test_only_common_seeds_are_compared() -> None:
    # Seed 9 would raise the mean; seed 0 would lower the dense mean.
    assert matches({1: 0.61, 2: 0.64, 9: 1.0}, DENSE)["strict"] is False
    assert matches({1: 0.62, 2: 0.64}, DENSE)["each-seed"] is True


def test_criteria_that_cannot_be_computed_are_none() -> None:
    assert matches({0: 0.7}, DENSE) == {"strict": True, "each-seed": True, "one-std": None, "non-inferior": None}
    assert matches({9: 0.7}, DENSE) == dict.fromkeys(CRITERIA)


def test_rounding_does_not_count_as_a_loss() -> None:
    # The sum of the first is 1.2 and of the second 1.2000000000000002.
    assert matches(seeds(0.3, 0.3, 0.3), seeds(0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2)) == dict.fromkeys(CRITERIA, True)


value = st.integers(0, 400).map(lambda right: right / 400)
triples = st.lists(st.tuples(value, value), min_size=2, max_size=8)


@given(triples)
def test_each_seed_implies_strict_and_strict_implies_one_std(pairs: list[tuple[float, float]]) -> None:
    result = matches(seeds(*(a for a, _ in pairs)), seeds(*(b for _, b in pairs)))
    assert result["strict"] or not result["each-seed"]
    assert result["one-std"] or not result["strict"]


@given(triples, st.floats(0, 0.5), st.floats(0, 0.5))
def test_more_allowed_loss_matches_more(pairs: list[tuple[float, float]], one: float, other: float) -> None:
    values, dense = seeds(*(a for a, _ in pairs)), seeds(*(b for _, b in pairs))
    small, great = sorted((one, other))
    assert matches(values, dense, great)["non-inferior"] or not matches(values, dense, small)["non-inferior"]


def test_the_largest_sparsity_below_the_first_failure() -> None:
    values = {
        **{0.0: seeds(0.9, 0.9, 0.9), 0.3: seeds(0.61, 0.63, 0.64), 0.5: seeds(0.60, 0.70, 0.64)},
        **{0.7: seeds(0.59, 0.61, 0.63), 0.8: seeds(0.60, 0.62, 0.64), 0.9: seeds(0.3, 0.4, 0.2)},
    }
    # Levels in any order: they are sorted.
    levels = {level: (values[level], DENSE) for level in (0.8, 0.3, 0.9, 0.0, 0.7, 0.5)}
    # At 0.3 the differences are 0.01, 0.01, 0: the interval 0.0067 ± 0.0143 excludes a loss of a point.
    # At 0.5 no seed is worse, but the interval of the differences 0, 0.08, 0 does not exclude one.
    # At 0.7 each seed is 0.01 worse, so that 0.8, which is dense itself, comes too late for all but one-std.
    assert largest_matching(levels) == {"strict": 0.5, "each-seed": 0.5, "one-std": 0.8, "non-inferior": 0.3}


def test_without_a_match_at_the_lowest_level_there_is_none() -> None:
    better = seeds(0.9, 0.9, 0.9)
    levels = {0.0: (better, DENSE), 0.3: (seeds(0.1, 0.1, 0.1), DENSE), 0.5: (better, DENSE)}
    assert largest_matching(levels) == dict.fromkeys(CRITERIA)
    unknown = {0.3: ({}, {}), 0.5: (better, DENSE)}
    assert largest_matching(unknown) == dict.fromkeys(CRITERIA), "what cannot be computed does not match"
    assert largest_matching({0.0: (better, DENSE)}) == dict.fromkeys(CRITERIA)


@given(st.lists(st.booleans(), min_size=1, max_size=6), st.randoms())
def test_a_failure_hides_every_level_above_it(passes: list[bool], random: random.Random) -> None:
    """Each level is a point better or a point worse on every seed."""
    levels = {
        (i + 1) / 10: ({seed: value + (0.01 if better else -0.01) for seed, value in DENSE.items()}, DENSE)
        for i, better in enumerate(passes)
    }
    shuffled = list(levels.items())
    random.shuffle(shuffled)
    streak = passes.index(False) if False in passes else len(passes)
    expected = streak / 10 if streak else None
    assert [largest_matching(dict(shuffled))[name] for name in ("strict", "each-seed")] == [expected] * 2


def test_each_level_is_compared_with_its_own_dense_runs() -> None:
    better = {seed: value + 0.02 for seed, value in DENSE.items()}
    levels = {0.3: (better, DENSE), 0.5: (better, better), 0.7: (better, {seed: 0.9 for seed in DENSE})}
    assert largest_matching(levels)["each-seed"] == 0.5


# --- what is trained from θ0 ---

PRUNED = (Train(), Prune(0.5))


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        pytest.param((*PRUNED, Rewind(), Train()), True, id="imp"),
        pytest.param((*PRUNED, Rewind(), Train(), Prune(0.7), Rewind(), Train()), True, id="imp, two rounds"),
        pytest.param((*PRUNED, Shuffle(), Rewind(), Train()), True, id="random mask of θ0"),
        pytest.param((*PRUNED, Rewind(), Shuffle(), Train()), True, id="shuffled after the rewind"),
        pytest.param((*PRUNED, Rewind(), Train(), Compact()), True, id="compacted"),
        pytest.param((Prune(0.5), Train()), True, id="pruned before any training"),
        pytest.param((Train(Cubic(0.5)), Rewind(), Train()), True, id="pruned while training, then rewound"),
        pytest.param((Train(),), False, id="dense"),
        pytest.param((Train(), Rewind(), Train()), False, id="nothing pruned"),
        pytest.param((Train(), Prune(0.0), Rewind(), Train()), False, id="pruned to sparsity 0"),
        pytest.param((*PRUNED, Train()), False, id="not rewound"),
        pytest.param((*PRUNED, Rewind(0.1), Train()), False, id="rewound to a later step"),
        pytest.param((*PRUNED, Reinit(), Train()), False, id="reinitialised"),
        pytest.param((*PRUNED, Rewind(), PermuteLayers(), Train()), False, id="layers in another order"),
        pytest.param((*PRUNED, Rewind(), Reinit(), Train()), False, id="reinitialised after the rewind"),
        pytest.param((*PRUNED, Rewind(), Train(), Prune(0.7)), False, id="pruned after the training"),
        pytest.param((*PRUNED, Rewind()), False, id="not trained after the rewind"),
        pytest.param((Prune(0.5),), False, id="never trained"),
        pytest.param((Train(Cubic(0.5)),), False, id="pruned while training"),
        pytest.param((*PRUNED, Rewind(), Train(Cubic(0.9))), False, id="rewound, and pruned while training"),
    ],
)
def test_which_recipes_train_a_subnetwork_of_theta0(recipe: tuple[Phase, ...], expected: bool) -> None:
    assert trains_from_theta0(recipe) is expected
