"""The overlap that chance gives, against enumeration and simulation."""

from __future__ import annotations

import itertools
import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.reports.overlap import chance


def enumerate_means(groups):
    """The mean Jaccard index and agreement over all pairs of masks of these sizes, one by one, as fractions."""
    choices = []
    for units, one, other in groups:
        sides = [list(itertools.combinations(range(units), size)) for size in (one, other)]
        choices.append([len(set(a) & set(b)) for a in sides[0] for b in sides[1]])
    sizes = sum(one + other for _, one, other in groups)
    units = sum(group[0] for group in groups)
    jaccard = [Fraction(sum(both), sizes - sum(both)) if sizes else Fraction(1) for both in itertools.product(*choices)]
    agreement = [1 - Fraction(sizes - 2 * sum(both), units) for both in itertools.product(*choices)]
    return statistics.mean(jaccard), statistics.mean(agreement)


def test_chance_by_hand():
    """Two of four units each: they share 0, 1 or 2 with chances 1/6, 4/6, 1/6, so Jaccard is 0, 1/3 or 1."""
    assert chance.expected_jaccard([(4, 2, 2)]) == pytest.approx(4 / 6 / 3 + 1 / 6)
    # On average they share 2·2/4 = 1 unit, and so differ on 2 of the 4.
    assert chance.expected_both([(4, 2, 2)]) == 1
    assert chance.expected_agreement([(4, 2, 2)]) == 0.5
    # Var = 2·2·2·2 / (16·3)
    assert chance.variance_of_both([(4, 2, 2)]) == pytest.approx(1 / 3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.integers(1, 5).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))),
        min_size=1,
        max_size=2,
    )
)
def test_chance_is_the_mean_over_all_pairs_of_masks(groups):
    jaccard, agreement = enumerate_means(groups)
    assert chance.expected_jaccard(groups) == pytest.approx(float(jaccard))
    assert chance.expected_agreement(groups) == pytest.approx(float(agreement))


def test_chance_is_the_mean_over_random_masks():
    """4000 pairs of masks with counts that differ by matrix: within four standard errors of the mean."""
    groups = [(400, 40, 60), (200, 150, 100), (50, 0, 20)]
    generator = np.random.default_rng(0)

    def shared(units, one, other):
        first, second = (generator.permutation(units)[:size] for size in (one, other))
        return len(np.intersect1d(first, second, assume_unique=True))

    sizes = sum(one + other for _, one, other in groups)
    samples = [sum(shared(*group) for group in groups) for _ in range(4000)]
    jaccard = [both / (sizes - both) for both in samples]
    error = statistics.stdev(jaccard) / math.sqrt(len(jaccard))
    assert abs(chance.expected_jaccard(groups) - statistics.mean(jaccard)) < 4 * error
    assert abs(statistics.variance(samples) / chance.variance_of_both(groups) - 1) < 0.1
    # The counts of all groups together would give another number.
    assert abs(chance.expected_jaccard([(650, 190, 180)]) - statistics.mean(jaccard)) > 20 * error


def test_the_expansion_is_as_good_as_the_exact_sum(monkeypatch):
    groups = [(3000, 900, 1000), (4000, 500, 700)]
    monkeypatch.setattr(chance, "EXACT", 10**9)
    exact = chance.expected_jaccard(groups)
    monkeypatch.setattr(chance, "EXACT", 0)
    assert chance.expected_jaccard(groups) == pytest.approx(exact, abs=1e-7)
    # The second-order term matters.
    both = chance.expected_both(groups)
    assert abs(both / (3100 - both) - exact) > 1e-6


def test_chance_of_masks_of_bert_base():
    """At 70 % uniformly: the usual d / (2 − d) with density d = 0.3."""
    groups = [(589824, 176947, 176947)] * 48
    assert chance.expected_jaccard(groups) == pytest.approx(0.3 / 1.7, abs=1e-5)
