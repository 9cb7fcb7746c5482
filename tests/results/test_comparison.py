"""Paired tests, Holm's correction, power and McNemar's test, against scipy, statsmodels, brute force and by hand."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from prunebench.results.statistics.comparison import (
    BETTER,
    MAX_EXACT,
    NO_SPREAD,
    TOO_FEW,
    UNDECIDED,
    WORSE,
    PValues,
    compare,
    detectable_effect,
    family,
    holm,
    mcnemar,
    permutation_p,
    smallest_p,
    wilcoxon_p,
)
from prunebench.results.statistics.summary import summarise


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


# Differences of scores on 400 examples, where ties and zeros are common.
difference = st.integers(-40, 40).map(lambda right: right / 400)
several = st.lists(difference, min_size=3, max_size=9)


# --- one comparison ---


def test_by_hand() -> None:
    comparison = compare({0: 0.62, 1: 0.65, 2: 0.62, 9: 0.1}, {0: 0.60, 1: 0.61, 2: 0.62, 7: 0.9})
    # 0.02, 0.04, 0: mean 0.02, std 0.02, so t = √3 with 2 degrees of freedom: p = 1 − t/√(2 + t²) = 1 − √(3/5).
    assert (comparison.pairs, comparison.differences) == ((0, 1, 2), (0.02, 0.04, 0.0))
    assert comparison.effect == pytest.approx(1.0)
    assert comparison.p.t == pytest.approx(1 - math.sqrt(3 / 5))
    # Two nonzero differences have four assignments of signs; 2 of 4 sums are as far from 0 as the observed one.
    assert (comparison.p.wilcoxon, comparison.p.permutation) == (0.5, 0.5)
    assert comparison.interval is not None
    assert comparison.interval.low == pytest.approx(0.02 - 4.30265 * 0.02 / math.sqrt(3), abs=1e-6)


@given(several)
def test_the_t_test_agrees_with_scipy(values: list[float]) -> None:
    assume(min(values) < max(values))
    comparison = compare(by_seed(*values), by_seed(*(0.0,) * len(values)))
    expected = scipy.stats.ttest_rel(values, [0.0] * len(values))
    assert comparison.p.t == pytest.approx(expected.pvalue, abs=1e-9)
    low, high = expected.confidence_interval(0.95)
    assert comparison.interval is not None
    assert (comparison.interval.low, comparison.interval.high) == (pytest.approx(low), pytest.approx(high))
    assert comparison.effect == pytest.approx(np.mean(values) / np.std(values, ddof=1), abs=1e-12)


@given(st.lists(difference.filter(bool), min_size=2, max_size=8))
def test_wilcoxon_agrees_with_scipy_with_ties_too(values: list[float]) -> None:
    every = scipy.stats.PermutationMethod(n_resamples=np.inf)
    expected = scipy.stats.wilcoxon(np.round(values, 12), method=every).pvalue
    assert wilcoxon_p(values) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [5, 11, 20, 30, 31, 40])
def test_wilcoxon_without_ties_is_scipys_exact_one(n: int) -> None:
    values = list(np.random.default_rng(n).normal(0.3, 1, n))
    assert wilcoxon_p(values) == pytest.approx(scipy.stats.wilcoxon(values, method="exact").pvalue, abs=1e-12)


def test_zeros_are_left_out_of_wilcoxons_ranks() -> None:
    assert wilcoxon_p([0.0, 0.01, 0.02, 0.0, 0.05]) == wilcoxon_p([0.01, 0.02, 0.05]) == 0.25
    assert wilcoxon_p([0.0, 0.0]) == 1.0


@given(st.lists(difference, min_size=1, max_size=10))
def test_the_permutation_test_is_brute_force(values: list[float]) -> None:
    observed = abs(math.fsum(values))
    flips = [
        abs(math.fsum(sign * value for sign, value in zip(signs, values, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    assert permutation_p(values) == sum(flip >= observed - 1e-9 for flip in flips) / len(flips)


def test_the_permutation_test_agrees_with_scipy() -> None:
    values = [0.013, 0.052, -0.021, 0.034, 0.005, 0.041]
    expected = scipy.stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert permutation_p(values) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("n", "least"), [(3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125), (10, 1 / 512)])
def test_smallest_p_of_few_seeds(n: int, least: float) -> None:
    positive = [0.1 + i / 100 for i in range(n)]
    assert wilcoxon_p(positive) == permutation_p(positive) == smallest_p(n) == least


def test_no_permutation_test_for_many_pairs() -> None:
    assert permutation_p([0.1] * MAX_EXACT) == smallest_p(MAX_EXACT)
    assert permutation_p([0.1] * (MAX_EXACT + 1)) is None


# --- verdicts ---


def test_verdicts() -> None:
    none = by_seed(0.5, 0.5, 0.5, 0.5)
    assert compare(by_seed(0.61, 0.62, 0.60, 0.61), none).verdict() == BETTER
    assert compare(by_seed(0.41, 0.42, 0.40, 0.41), none).verdict() == WORSE
    assert compare(by_seed(0.61, 0.42, 0.60, 0.41), none).verdict() == UNDECIDED
    assert compare(none, none).verdict() == UNDECIDED


def test_fewer_than_three_pairs_give_no_verdict() -> None:
    for n in (1, 2):
        comparison = compare(by_seed(*(0.9,) * n), by_seed(*(0.1 * i for i in range(n))))
        assert (comparison.verdict(), comparison.p) == (TOO_FEW, PValues())
        assert (comparison.detectable, comparison.effect) == (None, None)
    assert compare({0: 1.0}, {1: 1.0}).summary is None
    assert compare({0: 1.0}, {1: 1.0}).verdict() == TOO_FEW


def test_equal_differences_give_no_t_test() -> None:
    # In binary these differences are not equal, and a t test of the rounding errors would be certain of anything.
    comparison = compare(by_seed(0.3, 0.8, 0.7), by_seed(0.2, 0.7, 0.6))
    assert comparison.differences == (0.1, 0.1, 0.1)
    assert (comparison.p.t, comparison.effect, comparison.detectable, comparison.verdict()) == (
        None,
        None,
        None,
        NO_SPREAD,
    )
    assert comparison.interval is None
    assert comparison.p.permutation == 0.25


def test_holms_correction_decides() -> None:
    clear = compare(by_seed(0.61, 0.62, 0.60, 0.61), by_seed(*(0.5,) * 4))
    weak = compare(by_seed(0.53, 0.52, 0.54, 0.51), by_seed(*(0.5,) * 4))
    assert weak.p.t is not None and 0.01 < weak.p.t < 0.05
    assert weak.verdict() == BETTER
    together = family([clear, *[weak] * 5])
    assert [comparison.verdict() for comparison in together] == [BETTER, *[UNDECIDED] * 5]


@given(st.lists(st.tuples(difference, difference), min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_swapping_changes_signs_and_order_changes_nothing(pairs: list[tuple[float, float]], rng: random.Random) -> None:
    a, b = (dict(enumerate(side)) for side in zip(*pairs, strict=True))
    comparison, swapped = compare(a, b), compare(b, a)
    assert swapped.differences == tuple(-value + 0.0 for value in comparison.differences)
    assert swapped.p == comparison.p and swapped.detectable == comparison.detectable
    seeds = list(a)
    rng.shuffle(seeds)
    assert compare({seed: a[seed] for seed in seeds}, b) == comparison


# --- the family ---

ps = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@settings(max_examples=40)  # statsmodels collects garbage in each call
@given(ps)
def test_holm_agrees_with_statsmodels(values: list[float]) -> None:
    expected = multipletests(values, method="holm")[1]
    assert holm(values) == pytest.approx(list(expected), abs=1e-12)


@given(ps, st.randoms(use_true_random=False))
def test_holm_is_monotone_never_below_p_and_independent_of_order(values: list[float], rng: random.Random) -> None:
    corrected = holm(values)
    assert all(p <= adjusted <= 1 for p, adjusted in zip(values, corrected, strict=True))
    by_p = [adjusted for _, adjusted in sorted(zip(values, corrected, strict=True))]
    assert by_p == sorted(by_p)
    order = rng.sample(range(len(values)), len(values))
    assert holm([values[i] for i in order]) == [corrected[i] for i in order]


def test_holm_by_hand_skips_missing_tests() -> None:
    # Sorted: 0.01, 0.03, 0.04. Adjusted: 3·0.01, 2·0.03, and 1·0.04, which is raised to 0.06.
    assert holm([0.04, None, 0.01, 0.03]) == [0.06, None, 0.03, 0.06]
    assert holm([]) == []


# --- detectable effects ---


@pytest.mark.parametrize("n", [3, 4, 5, 8, 20, 100])
def test_the_detectable_effect_agrees_with_statsmodels(n: int) -> None:
    expected = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert detectable_effect(n, 0.05, 0.8) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("n", "alpha", "power"), [(3, 0.05, 0.8), (5, 0.05, 0.8), (4, 0.01, 0.9)])
def test_the_detectable_effect_is_detected_with_that_power(n: int, alpha: float, power: float) -> None:
    draws = np.random.default_rng(0).normal(detectable_effect(n, alpha, power), 1, (20000, n))
    rejected = scipy.stats.ttest_1samp(draws, 0, axis=1).pvalue < alpha
    assert rejected.mean() == pytest.approx(power, abs=0.01)


def test_the_detectable_difference_is_the_effect_times_the_spread() -> None:
    comparison = compare(by_seed(0.52, 0.50, 0.54), by_seed(0.5, 0.5, 0.5))
    spread = summarise([0.02, 0.0, 0.04]).std
    assert spread is not None
    assert comparison.detectable == pytest.approx(3.264 * spread, rel=1e-4)


# --- McNemar ---


def test_mcnemar_by_hand() -> None:
    # Only A predicts one example correctly, only B five: 2·(1 + 6)/2⁶.
    right_a = [True] * 10 + [True] + [False] * 5 + [False] * 4
    right_b = [True] * 10 + [False] + [True] * 5 + [False] * 4
    result = mcnemar(right_a, right_b)
    assert (result.both, result.only_a, result.only_b, result.neither) == (10, 1, 5, 4)
    assert result.p == pytest.approx(14 / 64)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=200))
def test_mcnemar_agrees_with_statsmodels(pairs: list[tuple[bool, bool]]) -> None:
    result = mcnemar([a for a, _ in pairs], [b for _, b in pairs])
    table = [[result.both, result.only_a], [result.only_b, result.neither]]
    if result.only_a + result.only_b == 0:
        assert result.p == 1
        return
    assert result.p == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue, abs=1e-12)


def test_mcnemar_needs_as_many_examples_of_both() -> None:
    with pytest.raises(ValueError):
        mcnemar([True], [True, False])
