"""Summaries against numpy, and by hand."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.stats import Summary, paired, summarise

scores = st.lists(st.floats(-1, 1), min_size=1, max_size=30)


def test_by_hand() -> None:
    summary = summarise([0.2, 0.4, 0.9])
    # Deviations from the mean 0.5 are −0.3, −0.1 and 0.4: squares sum to 0.26, over n − 1 = 2.
    assert summary == Summary(3, pytest.approx(0.5), pytest.approx(math.sqrt(0.13)), 0.2, 0.9)


def test_a_single_number_has_no_deviation() -> None:
    assert summarise([0.25]) == Summary(1, 0.25, None, 0.25, 0.25)


def test_nothing_has_no_summary() -> None:
    with pytest.raises(ValueError, match="at least one"):
        summarise([])


@given(scores)
def test_agrees_with_numpy(values: list[float]) -> None:
    summary = summarise(values)
    assert summary.n == len(values)
    assert summary.mean == pytest.approx(np.mean(values), abs=1e-12)
    if len(values) > 1:
        assert summary.std == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert summary.minimum == min(values) <= summary.mean <= max(values) == summary.maximum


@given(scores, st.randoms(use_true_random=False))
def test_order_changes_no_bit(values: list[float], rng: random.Random) -> None:
    shuffled = list(values)
    rng.shuffle(shuffled)
    assert summarise(shuffled) == summarise(values)


def test_pairs_are_made_by_seed_and_not_by_place() -> None:
    values = {2: 0.70, 0: 0.50, 7: 0.9}
    dense = {0: 0.60, 1: 0.0, 2: 0.65}
    # Seed 0: −0.10, seed 2: +0.05; seeds 1 and 7 have no partner.
    found = paired(values, dense)
    assert found is not None
    assert (found.n, found.minimum, found.maximum) == (2, pytest.approx(-0.10), pytest.approx(0.05))
    assert found.mean == pytest.approx(-0.025)
    assert found.std == pytest.approx(0.15 / math.sqrt(2))


def test_no_pair_no_difference() -> None:
    assert paired({1: 0.5}, {2: 0.5}) is None
