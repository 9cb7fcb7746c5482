"""Tukey's test with seeds as blocks: against statsmodels' residuals, published quantiles and simulation."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.formula.api import ols

from prunebench.results.statistics.best import Separation, separate, studentized_range


def by_method(table):
    return {f"m{i}": dict(enumerate(row)) for i, row in enumerate(table.tolist())}


def test_the_distance_is_that_of_an_analysis_of_variance():
    table = np.random.default_rng(0).normal(size=(4, 5)) + 3 * np.arange(5)
    frame = pd.DataFrame(table).stack().rename_axis(["method", "seed"]).rename("y").reset_index()
    anova = sm.stats.anova_lm(ols("y ~ C(method) + C(seed)", frame).fit())
    assert anova.df["Residual"] == 12
    # q for 4 methods and 12 degrees of freedom is 4.20 in printed tables (Pearson & Hartley 1970).
    separation = separate(by_method(table))
    assert studentized_range(4, 12) == pytest.approx(4.20, abs=0.005)
    assert separation.distance == pytest.approx(studentized_range(4, 12) * math.sqrt(anova.mean_sq["Residual"] / 5))
    assert separation.means == pytest.approx({f"m{i}": mean for i, mean in enumerate(table.mean(axis=1))})


def test_the_example_of_the_documentation():
    assert studentized_range(3, 4) * math.sqrt(1 / 3) == pytest.approx(2.91, abs=0.005)


def test_ranks_and_the_inseparable_ones():
    separation = Separation({"a": 0.9, "b": 0.88, "c": 0.8, "d": 0.9}, 0.05)
    assert separation.best == "a"
    assert separation.ranks() == {"a": 1, "d": 1, "b": 1, "c": 4}
    assert separation.inseparable() == {"a", "b", "d"}
    assert separation.inseparable(delta=0.01) == {"a", "d"}, (
        "a method 2 points behind is not as good, however few seeds"
    )


def test_identical_methods_share_the_first_rank():
    separation = separate(by_method(np.tile([0.5, 0.6, 0.7], (3, 1))))
    assert separation.distance == pytest.approx(0, abs=1e-12)
    assert set(separation.ranks().values()) == {1}
    assert len(separation.inseparable()) == 3


def test_a_difference_of_one_example_is_within_the_floor():
    """All seeds differ by the same single example of 277, which a t test calls certain."""
    table = np.array([[200.0, 205, 203], [199, 204, 202]]) / 277
    certain, floored = separate(by_method(table)), separate(by_method(table), floor=1 / (277 * math.sqrt(12)))
    assert max(certain.ranks().values()) == 2
    assert set(floored.ranks().values()) == {1}


@pytest.mark.parametrize("values", [{}, {"a": {0: 1.0, 1: 1.0, 2: 0.0}}, {"a": {0: 1, 1: 1}, "b": {0: 0, 1: 0}}])
def test_too_little_to_tell_apart(values):
    assert separate(values) is None


@given(st.integers(2, 6), st.integers(3, 6), st.integers(0, 50), st.floats(-1, 1))
def test_a_common_shift_of_a_seed_changes_nothing(methods, seeds, draw, shift):
    table = np.random.default_rng(draw).normal(size=(methods, seeds))
    moved = table + np.arange(seeds) * shift
    assert separate(by_method(moved)).distance == pytest.approx(separate(by_method(table)).distance)


def test_false_ranks_are_as_rare_as_promised():
    """Of 1,000 draws of six equal methods 50 should have a rank below the first; 7 is the binomial's deviation."""
    rng = np.random.default_rng(2)
    false = 0
    for _ in range(1000):
        table = rng.normal(0, 1, (6, 3)) + rng.normal(0, 3, 3)
        false += max(separate(by_method(table)).ranks().values()) > 1
    assert 29 <= false <= 71
