"""Summaries, differences and intervals, against numpy and scipy and by hand."""

import math
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.results.statistics import Interval, Summary, bootstrap, interval, paired_difference, summarise

scores = st.lists(st.floats(-1, 1), min_size=1, max_size=30)


def test_by_hand() -> None:
    summary = summarise([0.2, 0.4, 0.9])
    # The deviations from the mean 0.5 are −0.3, −0.1 and 0.4. Their squares sum to 0.26, divided by n − 1 = 2.
    assert summary == Summary(3, pytest.approx(0.5), pytest.approx(math.sqrt(0.13)), 0.2, 0.9, 0.4)


def test_a_single_number_has_no_deviation() -> None:
    assert summarise([0.25]) == Summary(1, 0.25, None, 0.25, 0.25, 0.25)
    assert interval(summarise([0.25])) is None
    assert bootstrap([0.25]) is None


def test_no_numbers_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        summarise([])


@given(scores)
def test_agrees_with_numpy(values: list[float]) -> None:
    summary = summarise(values)
    assert summary.n == len(values)
    assert summary.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert summary.median == pytest.approx(np.median(values), abs=1e-12)
    if len(values) > 1:
        assert summary.std == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert summary.minimum == min(values) <= summary.mean <= max(values) == summary.maximum


@given(scores, st.randoms(use_true_random=False))
def test_the_order_of_values_does_not_matter(values: list[float], rng: random.Random) -> None:
    shuffled = list(values)
    rng.shuffle(shuffled)
    assert summarise(shuffled) == summarise(values)


def test_values_are_paired_by_seed() -> None:
    values = {2: 0.70, 0: 0.50, 7: 0.9}
    dense = {0: 0.60, 1: 0.0, 2: 0.65}
    # Seed 0: −0.10, seed 2: +0.05. Seeds 1 and 7 are in one sample only.
    difference = paired_difference(values, dense)
    assert difference is not None
    assert (difference.n, difference.minimum, difference.maximum) == (2, pytest.approx(-0.10), pytest.approx(0.05))
    assert difference.mean == pytest.approx(-0.025)
    assert difference.std == pytest.approx(0.15 / math.sqrt(2))


def test_no_common_seed_means_no_difference() -> None:
    assert paired_difference({1: 0.5}, {2: 0.5}) is None


# --- intervals ---


def test_the_t_interval_by_a_printed_table() -> None:
    # 1, 2, 3 have mean 2 and std 1; t(0.975; 2) is 4.303 in every table.
    limits = interval(summarise([1.0, 2.0, 3.0]))
    assert limits == Interval(pytest.approx(2 - 4.303 / math.sqrt(3), abs=1e-3), pytest.approx(4.484, abs=1e-3))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_t_interval_agrees_with_scipy(values: list[float], confidence: float) -> None:
    limits = interval(summarise(values), confidence)
    assert limits is not None
    if max(values) - min(values) > 1e-9:
        low, high = scipy.stats.ttest_1samp(values, 0).confidence_interval(confidence)
        assert (limits.low, limits.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_the_bootstrap_is_seeded_and_independent_of_order() -> None:
    values = [0.61, 0.64, 0.58, 0.63, 0.7, 0.66, 0.59, 0.71, 0.6, 0.65]
    assert bootstrap(values) == bootstrap(values[::-1])
    assert bootstrap(values) != bootstrap(values, seed=1)
    limits, by_t = bootstrap(values), interval(summarise(values))
    assert limits is not None and by_t is not None
    # For ten values the two intervals are close, and the bootstrap's is slightly narrower.
    assert by_t.low < limits.low < np.mean(values) < limits.high < by_t.high
    assert limits.high - limits.low > 0.8 * (by_t.high - by_t.low)


# Ten values, three values, and twelve from a very skewed distribution.
SKEWED = [0.0, 0.01, 0.01, 0.02, 0.02, 0.03, 0.04, 0.05, 0.08, 0.15, 0.4, 0.9]
SAMPLES = [[0.61, 0.64, 0.58, 0.63, 0.7, 0.66, 0.59, 0.71, 0.6, 0.65], [0.5, -0.25, 0.125], SKEWED]


def by_scipy(values: list[float], method: str, confidence: float, resamples: int, seed: int) -> Interval:
    limits = scipy.stats.bootstrap(
        (sorted(values),),
        np.mean,
        n_resamples=resamples,
        confidence_level=confidence,
        method=method,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(limits.low), float(limits.high))


@pytest.mark.parametrize("values", SAMPLES, ids=lambda values: f"{len(values)} numbers")
def test_the_bootstrap_is_scipys_bca(values: list[float]) -> None:
    # The defaults are those that the pages state: 95 %, 9,999 resamples.
    assert bootstrap(values) == by_scipy(values, "BCa", 0.95, 9999, 0)
    assert bootstrap(values, 0.8, resamples=499, seed=7) == by_scipy(values, "BCa", 0.8, 499, 7)


def test_the_bootstrap_is_corrected_for_bias_and_skew() -> None:
    limits = bootstrap(SKEWED)
    by_percentile = by_scipy(SKEWED, "percentile", 0.95, 9999, 0)
    assert limits is not None
    # The percentile interval ignores the long right tail, so both limits of BCa lie further right.
    assert limits.low > by_percentile.low + 0.01
    assert limits.high > by_percentile.high + 0.05
    # The limits by Efron's formula from separate resamples: z0 from the share below the mean, a from the jackknife.
    numbers = np.array(SKEWED)
    means = np.random.default_rng(1).choice(numbers, (200_000, len(numbers))).mean(axis=1)
    z0 = scipy.stats.norm.ppf((np.mean(means < numbers.mean()) + np.mean(means <= numbers.mean())) / 2)
    left = numbers.mean() - (numbers.sum() - numbers) / (len(numbers) - 1)
    a = (left**3).sum() / (6 * (left**2).sum() ** 1.5)
    z = z0 + scipy.stats.norm.ppf([0.025, 0.975])
    low, high = np.quantile(means, scipy.stats.norm.cdf(z0 + z / (1 - a * z)))
    assert (limits.low, limits.high) == (pytest.approx(low, abs=0.004), pytest.approx(high, abs=0.012))


def test_the_bootstrap_of_equal_numbers_is_a_point() -> None:
    assert bootstrap([0.5, 0.5, 0.5]) == Interval(0.5, 0.5)
    # The cube of such a small spread underflows to zero.
    assert bootstrap([0.0, 2.2e-309]) == Interval(0.0, 2.2e-309)
    assert bootstrap([0.1 + 0.2, 0.3, 0.3]) == Interval(0.3, 0.1 + 0.2)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_the_bootstrap_stays_within_the_numbers(values: list[float]) -> None:
    limits = bootstrap(values, resamples=199)
    assert limits is not None
    assert min(values) - 1e-12 <= limits.low <= limits.high <= max(values) + 1e-12
