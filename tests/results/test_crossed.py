"""Errors over seeds and examples: against statsmodels, scipy, brute force and by hand."""

import math
import random

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.formula.api import ols

from prunebench.results.statistics.crossed import (
    GROUPS,
    Estimate,
    average,
    average_of_all,
    crossed,
    group_values,
    over_seeds,
    pseudo_values,
    rounding_floor,
)


def test_by_hand():
    """The seeds agree, the examples do not: MS 0, 1 and 0, and 1 + 0 − 0 over four values."""
    estimate = crossed([[1, 0], [1, 0]])
    assert (estimate.mean, estimate.error, estimate.degrees) == (0.5, 0.5, 1)


def test_mean_squares_are_those_of_statsmodels():
    table = np.random.default_rng(0).normal(size=(4, 9)) + np.arange(9) + np.arange(4)[:, None] / 2
    frame = pd.DataFrame(table).stack().rename_axis(["seed", "text"]).rename("y").reset_index()
    anova = sm.stats.anova_lm(ols("y ~ C(seed) + C(text)", frame).fit())
    seeds, texts, rest = anova.mean_sq
    variance = seeds + texts - rest
    degrees = variance**2 / sum(ms**2 / df for ms, df in zip(anova.mean_sq, anova.df, strict=True))
    estimate = crossed(table)
    assert estimate.mean == pytest.approx(table.mean())
    assert estimate.error == pytest.approx(math.sqrt(variance / 36))
    assert estimate.degrees == pytest.approx(degrees)


@given(st.integers(2, 5), st.integers(2, 20), st.integers(0, 99))
def test_never_less_than_either_error_alone(seeds, examples, draw):
    table = np.random.default_rng(draw).normal(size=(seeds, examples))
    estimate = crossed(table)
    for means in (table.mean(axis=0), table.mean(axis=1)):
        assert estimate.error >= means.std(ddof=1) / math.sqrt(len(means)) - 1e-12
    assert estimate.degrees >= 1


def test_without_any_spread_there_is_no_error():
    assert crossed(np.ones((3, 5))).error == 0


def test_one_seed_says_nothing_of_seeds():
    assert crossed([[1, 0, 1]]) is None
    assert over_seeds([0.5]) is None


def accuracy(predicted, expected):
    return float((predicted == expected).mean())


def f1(predicted, expected):
    return float(2 * (predicted * expected).sum() / (predicted.sum() + expected.sum()))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=40))
def test_the_value_of_an_example_in_accuracy_is_whether_it_is_right(pairs):
    predicted, expected = map(list, zip(*pairs, strict=True))
    right = [float(a == b) for a, b in pairs]
    assert pseudo_values(accuracy, predicted, expected) == pytest.approx(right)


def test_values_of_f1_are_those_of_leaving_out_each_example():
    rng = np.random.default_rng(3)
    predicted, expected = rng.integers(0, 2, (2, 60)).astype(float)
    whole = f1(predicted, expected)
    every = [60 * whole - 59 * f1(np.delete(predicted, i), np.delete(expected, i)) for i in range(60)]
    assert pseudo_values(f1, predicted, expected) == pytest.approx(every)


def test_an_undefined_score_counts_as_unchanged():
    """Without the only right example F1 is 0/0."""
    with np.errstate(invalid="ignore"):
        assert pseudo_values(f1, [1, 0], [1, 0]) == pytest.approx([1, 1])


def pearson(predicted, expected):
    return float(np.corrcoef(predicted, expected)[0, 1])


@given(st.integers(2, 350), st.integers(0, 99))
def test_the_values_of_groups_in_a_mean_are_their_means(n, draw):
    numbers = np.random.default_rng(draw).normal(size=n)
    values = group_values(lambda predicted, expected: float(predicted.mean()), numbers, np.zeros(n))
    groups = np.arange(n) % min(n, GROUPS)
    assert values == pytest.approx([numbers[groups == group].mean() for group in range(groups.max() + 1)])


def test_the_error_of_a_correlation_is_that_of_its_normal_approximation():
    """The error of Pearson's r of normal values is (1 − ρ²)/√n for large n."""
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 1000).T
        values = group_values(pearson, x, y)
        errors.append(values.std(ddof=1) / math.sqrt(len(values)))
    assert np.mean(errors) == pytest.approx((1 - 0.36) / math.sqrt(1000), rel=0.05)


def test_coverage_of_new_seeds_and_new_examples():
    """Of 400 intervals 380 should hold the truth; 4.4 is the binomial's deviation. Seeds alone hold far fewer."""
    rng = np.random.default_rng(5)
    hits = alone = 0
    for _ in range(400):
        table = rng.normal(0, 0.3, (4, 1)) + rng.normal(0, 2.0, (1, 30)) + rng.normal(0, 1.0, (4, 30))
        limits = crossed(table).interval()
        seeds = over_seeds(table.mean(axis=1).tolist()).interval()
        hits += limits.low <= 0 <= limits.high
        alone += seeds.low <= 0 <= seeds.high
    assert 365 <= hits <= 396
    assert alone < 365


def test_an_average_has_the_degrees_of_freedom_of_welch():
    a, b = [0.6, 0.64, 0.7], [0.8, 0.81, 0.85, 0.83]
    welch = scipy.stats.ttest_ind(a, b, equal_var=False)
    estimate = average([over_seeds(a), over_seeds(b)])
    assert estimate.degrees == pytest.approx(welch.df)
    assert estimate.mean == pytest.approx((np.mean(a) + np.mean(b)) / 2)
    # The difference of two means has the variance of their sum, and an average has half the error of a sum.
    assert estimate.error == pytest.approx((np.mean(b) - np.mean(a)) / abs(welch.statistic) / 2)


def test_an_average_does_not_depend_on_which_seeds_of_two_tasks_have_the_same_number():
    a, b = [0.5, 0.6, 0.9], [0.4, 0.6, 0.7]
    averages = {average([over_seeds(a), over_seeds(random.Random(i).sample(b, 3))]).error for i in range(9)}
    assert max(averages) - min(averages) < 1e-15


def test_an_average_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        average([])


def test_an_average_of_certain_estimates_is_certain():
    assert average([Estimate(1.0, 0.0, 2.0), Estimate(3.0, 0.0, 4.0)]) == Estimate(2.0, 0.0, 6.0)


def test_equal_differences_are_not_certain():
    """The floor for 277 examples is 0.147 points, so three equal differences of one example are 0.36 ± 0.37."""
    assert rounding_floor(277) == pytest.approx(0.0014738, abs=1e-7)
    estimate = over_seeds([1 / 277] * 3, rounding_floor(277))
    limits = estimate.interval()
    assert limits.low < 0 < limits.high
    assert over_seeds([1 / 277] * 3).error == 0


def test_the_floor_is_the_deviation_of_rounded_differences():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.7, 0.05, (2, 100_000))
    rounding = (np.round(a * 50) - np.round(b * 50)) / 50 - (a - b)
    assert rounding.std() == pytest.approx(rounding_floor(50), rel=0.01)


def test_no_average_where_an_estimate_is_missing():
    one, other = Estimate(1.0, 0.3, 2.0), Estimate(3.0, 0.4, 4.0)
    assert average_of_all([one, other]) == average([one, other])
    assert average_of_all([one, None]) is average_of_all([None]) is average_of_all([]) is None
