"""Tukey's test with seeds as blocks: against statsmodels' residuals, published quantiles and simulation."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.formula.api import ols

from prunebench.results.statistics.best import Separation, TaskScores, separate, studentized_range


def by_method(table):
    return {f"m{i}": dict(enumerate(row)) for i, row in enumerate(np.asarray(table).tolist())}


def of_tasks(*tables, floor=0.0):
    return separate([TaskScores(by_method(table), floor) for table in tables])


def test_the_distance_is_that_of_an_analysis_of_variance():
    table = np.random.default_rng(0).normal(size=(4, 5)) + 3 * np.arange(5)
    frame = pd.DataFrame(table).stack().rename_axis(["method", "seed"]).rename("y").reset_index()
    anova = sm.stats.anova_lm(ols("y ~ C(method) + C(seed)", frame).fit())
    assert anova.df["Residual"] == 12
    # q for 4 methods and 12 degrees of freedom is 4.20 in printed tables (Pearson & Hartley 1970).
    separation = of_tasks(table)
    assert studentized_range(4, 12) == pytest.approx(4.20, abs=0.005)
    assert separation.distance == pytest.approx(studentized_range(4, 12) * math.sqrt(anova.mean_sq["Residual"] / 5))
    assert separation.means == pytest.approx({f"m{i}": mean for i, mean in enumerate(table.mean(axis=1))})


@pytest.mark.parametrize(("methods", "degrees"), [(2, 1.0), (2, 4), (4, 1.5), (6, 10), (8, 3.7), (30, 58), (50, 200)])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_quantiles_are_those_of_scipy(methods, degrees, alpha):
    expected = scipy.stats.studentized_range.isf(alpha, methods, degrees)
    assert studentized_range(methods, degrees, alpha) == pytest.approx(expected, rel=5e-4)


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
    separation = of_tasks(np.tile([0.5, 0.6, 0.7], (3, 1)))
    assert separation.distance == pytest.approx(0, abs=1e-12)
    assert set(separation.ranks().values()) == {1}
    assert len(separation.inseparable()) == 3


def test_a_difference_of_one_example_is_within_the_floor():
    """All seeds differ by the same single example of 277, which a t test calls certain."""
    table = np.array([[200.0, 205, 203], [199, 204, 202]]) / 277
    certain, floored = of_tasks(table), of_tasks(table, floor=1 / (277 * math.sqrt(12)))
    assert max(certain.ranks().values()) == 2
    assert set(floored.ranks().values()) == {1}


@pytest.mark.parametrize("values", [{}, {"a": {0: 1.0, 1: 1.0, 2: 0.0}}, {"a": {0: 1, 1: 1}, "b": {0: 0, 1: 0}}])
def test_too_little_to_tell_apart(values):
    enough = {label: {0: 1.0, 1: 0.5, 2: 0.0} for label in values}
    assert separate([TaskScores(values)]) is None
    assert separate([TaskScores(enough), TaskScores(values)]) is None
    assert separate([]) is None


# --- averages over tasks ---


def test_an_average_adds_the_variances_of_its_tasks():
    """The residuals' mean squares are those of statsmodels, the degrees of freedom Satterthwaite's, written out."""
    rng = np.random.default_rng(1)
    tables = [rng.normal(size=(3, 4)), rng.normal(0, 3, (3, 6))]
    frames = [pd.DataFrame(table).stack().rename_axis(["method", "seed"]).rename("y").reset_index() for table in tables]
    squares = [
        sm.stats.anova_lm(ols("y ~ C(method) + C(seed)", frame).fit()).mean_sq["Residual"] / seeds
        for frame, seeds in zip(frames, (4, 6), strict=True)
    ]
    degrees = sum(squares) ** 2 / (squares[0] ** 2 / 6 + squares[1] ** 2 / 10)
    quantile = scipy.stats.studentized_range.ppf(0.95, 3, degrees)
    separation = of_tasks(*tables)
    assert separation.distance == pytest.approx(quantile * math.sqrt(sum(squares)) / 2, rel=1e-4)
    means = (tables[0].mean(axis=1) + tables[1].mean(axis=1)) / 2
    assert separation.means == pytest.approx({f"m{i}": mean for i, mean in enumerate(means)})


@given(st.integers(0, 50), st.permutations(range(4)))
def test_the_order_of_one_tasks_seeds_changes_nothing(draw, order):
    rng = np.random.default_rng(draw)
    one, other = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    assert of_tasks(one, other[:, order]).distance == pytest.approx(of_tasks(one, other).distance)


@given(st.integers(2, 6), st.integers(3, 6), st.integers(0, 50), st.floats(-1, 1))
def test_a_common_shift_of_a_seed_changes_nothing(methods, seeds, draw, shift):
    table = np.random.default_rng(draw).normal(size=(methods, seeds))
    moved = table + np.arange(seeds) * shift
    assert of_tasks(moved).distance == pytest.approx(of_tasks(table).distance)


@pytest.mark.parametrize("tasks", [1, 3])
def test_false_ranks_are_as_rare_as_promised(tasks):
    """Of 1,000 draws of six equal methods 50 should have a rank below the first; 7 is the binomial's deviation."""
    rng = np.random.default_rng(2)
    false = 0
    for _ in range(1000):
        tables = [rng.normal(0, 1, (6, 3)) + rng.normal(0, 3, 3) for _ in range(tasks)]
        false += max(of_tasks(*tables).ranks().values()) > 1
    assert 29 <= false <= 71


def test_false_ranks_are_rare_where_scores_are_whole_numbers_of_examples():
    """Six methods that get the same share of 277 examples right, with less spread than the rounding of one example."""
    rng = np.random.default_rng(3)
    false = 0
    for _ in range(300):
        table = np.round(rng.uniform(150, 160) + rng.normal(0, 0.3, (6, 3))) / 277
        false += max(of_tasks(table, floor=1 / (277 * math.sqrt(12))).ranks().values()) > 1
    # 15 are promised, and 4 is the binomial's deviation.
    assert false <= 15 + 8
