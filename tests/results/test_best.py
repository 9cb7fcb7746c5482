"""Tukey's test with an error for each pair: against scipy's t tests, statsmodels, published quantiles, simulation."""

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
from prunebench.results.statistics.crossed import crossed
from prunebench.results.statistics.examples import ExampleValues


def by_method(table):
    return {f"m{i}": dict(enumerate(row)) for i, row in enumerate(np.asarray(table).tolist())}


def of_tasks(*tables, floor=0.0):
    return separate([TaskScores(by_method(table), floor) for table in tables])


def test_pairs_that_are_alike_share_the_error_of_an_analysis_of_variance():
    """Latin squares: every pair of methods has the same variance of differences, so that all of it is shared."""
    table = np.array([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0.0]]) + 3 * np.arange(4)
    frame = pd.DataFrame(table).stack().rename_axis(["method", "seed"]).rename("y").reset_index()
    anova = sm.stats.anova_lm(ols("y ~ C(method) + C(seed)", frame).fit())
    assert anova.df["Residual"] == 9
    # q for 4 methods and 9 degrees of freedom is 4.41 in printed tables (Pearson & Hartley 1970).
    assert studentized_range(4, 9) == pytest.approx(4.41, abs=0.006)
    # Both tests are made at half of 0.05.
    shared = studentized_range(4, 9, 0.025) * math.sqrt(anova.mean_sq["Residual"] / 4)
    differences = table[0] - table[1]
    own = scipy.stats.t.ppf(1 - 0.0125, 3) * differences.std(ddof=1) / 2
    separation = of_tasks(table)
    assert separation.distance("m0", "m1") == pytest.approx(max(shared, own), rel=5e-3)
    assert separation.means == pytest.approx({f"m{i}": mean for i, mean in enumerate(table.mean(axis=1))})


@given(st.integers(3, 8), st.integers(0, 50))
def test_two_methods_are_compared_by_their_paired_t_test(seeds, draw):
    table = np.random.default_rng(draw).normal(size=(2, seeds))
    test = scipy.stats.ttest_rel(*table)
    separation = of_tasks(table)
    assert (max(separation.ranks().values()) == 2) == (test.pvalue <= 0.05)
    half = np.diff(test.confidence_interval())[0] / 2
    assert separation.distance("m0", "m1") == pytest.approx(half, rel=5e-3)


@given(st.integers(3, 5), st.integers(20, 60), st.integers(0, 50))
def test_two_methods_with_examples_are_compared_by_their_crossed_error(seeds, examples, draw):
    tables = np.random.default_rng(draw).normal(size=(2, seeds, examples))
    expected = crossed(tables[0] - tables[1])
    half = scipy.stats.t.ppf(0.975, expected.degrees) * expected.error
    assert of_examples(tables).distance("m0", "m1") == pytest.approx(half, rel=5e-3)


def of_examples(tables, floor=0.0):
    examples = {
        f"m{i}": ExampleValues(dict(enumerate(table)), (("dev", table.shape[1]),)) for i, table in enumerate(tables)
    }
    return separate([TaskScores(by_method(tables.mean(axis=2)), floor, examples)])


def test_examples_of_some_methods_alone_are_of_no_use():
    tables = np.random.default_rng(0).normal(size=(3, 4, 20))
    examples = {"m0": ExampleValues(dict(enumerate(tables[0])), (("dev", 20),))}
    scores = by_method(tables.mean(axis=2))
    alone, some = separate([TaskScores(scores)]), separate([TaskScores(scores, 0.0, examples)])
    assert some.distances == pytest.approx(alone.distances)


def test_an_erratic_method_hides_no_difference_of_the_others():
    """Five methods that differ by 3 with a deviation of 0.1, and one with a deviation of 30."""
    rng = np.random.default_rng(0)
    table = rng.normal(0, 0.1, (6, 5)) + 3 * np.arange(6)[:, None]
    table[5] = rng.normal(0, 30, 5)
    ranks = of_tasks(table).ranks()
    assert [ranks[f"m{i}"] for i in range(5)] == [5, 4, 3, 2, 1]
    assert ranks["m5"] == 1, "its own error is that of its own spread"


@pytest.mark.parametrize(("methods", "degrees"), [(2, 1.0), (2, 4), (4, 1.5), (6, 10), (8, 3.7), (30, 58), (50, 200)])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_quantiles_are_those_of_scipy(methods, degrees, alpha):
    expected = scipy.stats.studentized_range.isf(alpha, methods, degrees)
    assert studentized_range(methods, degrees, alpha) == pytest.approx(expected, rel=5e-4)


def test_the_example_of_the_documentation():
    assert studentized_range(3, 4, 0.025) * math.sqrt(1 / 3) == pytest.approx(3.60, abs=0.005)
    assert scipy.stats.t.ppf(1 - 0.0125, 2) * math.sqrt(2 / 3) == pytest.approx(5.07, abs=0.005)


def test_ranks_and_the_inseparable_ones():
    separation = Separation({"a": 0.9, "b": 0.88, "c": 0.8, "d": 0.9}, np.full((4, 4), 0.05))
    assert separation.best == "a"
    assert separation.ranks() == {"a": 1, "d": 1, "b": 1, "c": 4}
    assert separation.inseparable() == {"a", "b", "d"}
    assert separation.inseparable(delta=0.01) == {"a", "d"}, (
        "a method 2 points behind is not as good, however few seeds"
    )


def test_each_pair_has_its_own_distance():
    """b is certainly worse than a, and c, which is further behind, is not."""
    distances = np.array([[0, 0.01, 0.5], [0.01, 0, 0.5], [0.5, 0.5, 0]])
    separation = Separation({"a": 0.9, "b": 0.88, "c": 0.8}, distances)
    assert separation.ranks() == {"a": 1, "b": 2, "c": 1}
    assert separation.inseparable() == {"a", "c"}


def test_identical_methods_share_the_first_rank():
    separation = of_tasks(np.tile([0.5, 0.6, 0.7], (3, 1)))
    assert separation.distances == pytest.approx(np.zeros((3, 3)), abs=1e-9)
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
    """Two methods: the difference of their averages is that of two independent paired differences (Welch)."""
    rng = np.random.default_rng(1)
    tables = [rng.normal(size=(2, 4)), rng.normal(0, 3, (2, 6))]
    differences = [one - other for one, other in tables]
    welch = scipy.stats.ttest_ind(differences[0], -differences[1], equal_var=False)
    separation = of_tasks(*tables)
    half = np.diff(welch.confidence_interval())[0] / 2 / 2
    assert separation.distance("m0", "m1") == pytest.approx(half, rel=5e-3)
    means = (tables[0].mean(axis=1) + tables[1].mean(axis=1)) / 2
    assert separation.means == pytest.approx({f"m{i}": mean for i, mean in enumerate(means)})


@given(st.integers(0, 50), st.permutations(range(4)))
def test_the_order_of_one_tasks_seeds_changes_nothing(draw, order):
    rng = np.random.default_rng(draw)
    one, other = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    assert of_tasks(one, other[:, order]).distances == pytest.approx(of_tasks(one, other).distances)


@given(st.integers(2, 6), st.integers(3, 6), st.integers(0, 50), st.floats(-1, 1))
def test_a_common_shift_of_a_seed_changes_nothing(methods, seeds, draw, shift):
    table = np.random.default_rng(draw).normal(size=(methods, seeds))
    moved = table + np.arange(seeds) * shift
    assert of_tasks(moved).distances == pytest.approx(of_tasks(table).distances)


@pytest.mark.parametrize("tasks", [1, 3])
def test_false_ranks_are_as_rare_as_promised(tasks):
    """Of 1,000 draws of six equal methods 50 should have a rank below the first; 7 is the binomial's deviation."""
    rng = np.random.default_rng(2)
    false = 0
    for _ in range(1000):
        tables = [rng.normal(0, 1, (6, 3)) + rng.normal(0, 3, 3) for _ in range(tasks)]
        false += max(of_tasks(*tables).ranks().values()) > 1
    assert 8 <= false <= 71


def test_false_ranks_are_rare_where_scores_are_whole_numbers_of_examples():
    """Six methods that get the same share of 277 examples right, with less spread than the rounding of one example."""
    rng = np.random.default_rng(3)
    false = 0
    for _ in range(300):
        table = np.round(rng.uniform(150, 160) + rng.normal(0, 0.3, (6, 3))) / 277
        false += max(of_tasks(table, floor=1 / (277 * math.sqrt(12))).ranks().values()) > 1
    # 15 are promised, and 4 is the binomial's deviation.
    assert false <= 15 + 8
