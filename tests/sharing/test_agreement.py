"""Records that were made again against those of a bundle: the tolerance and the test of mean differences."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from prunebench.sharing.bundle.agreement import QUANTILE, Comparison, judge, mean_tests, measured_tolerance


def comparison(key="a" * 32, **changes):
    return Comparison(key, **{"differences": ("has other predictions for validation",), "step": 0.002, **changes})


def t_probability(value, degrees):
    """P(|T| > value) of Student's t, from its density (Student 1908)."""
    factor = math.gamma((degrees + 1) / 2) / math.sqrt(degrees * math.pi) / math.gamma(degrees / 2)
    inside, _ = integrate.quad(lambda x: factor * (1 + x**2 / degrees) ** (-(degrees + 1) / 2), -value, value)
    return 1 - inside


def test_the_test_of_a_mean_is_the_one_of_the_textbook():
    """By hand: mean 0.02, standard deviation 0.01, three cells, so that t = 0.02 / (0.01 / √3) = 3.46."""
    ((label, mean, number, p),) = mean_tests([("imp", 0.01), ("imp", 0.02), ("imp", 0.03)])
    assert (label, number) == ("imp", 3) and mean == pytest.approx(0.02)
    assert p == pytest.approx(t_probability(2 * math.sqrt(3), 2))


def test_all_methods_together_are_tested_too_and_p_is_corrected():
    tests = mean_tests([("imp", 0.01), ("imp", 0.02), ("imp", 0.03), ("heads", 0.01)])
    assert [(label, number) for label, _, number, _ in tests] == [("all methods", 4), ("imp", 3)]
    # Holm: the smaller one is doubled.
    p_of_all = 2 * t_probability(0.0175 / (math.sqrt(0.000275 / 3) / 2), 3)
    assert tests[0][3] == pytest.approx(p_of_all)


@pytest.mark.parametrize(("values", "p"), [([0.1] * 3, 0.0), ([0.1] * 2, 1.0), ([0.0] * 5, 1.0)])
def test_equal_differences_are_drift_only_if_they_are_zero_or_few(values, p):
    assert [entry[3] for entry in mean_tests([("imp", value) for value in values])] == [p]


@given(st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=20), st.booleans())
def test_a_lie_counts_the_same_in_both_directions(values, mixed):
    labels = [f"m{i % 2}" if mixed else "m" for i in range(len(values))]
    one = mean_tests(list(zip(labels, values, strict=True)))
    other = mean_tests(list(zip(labels, [-value for value in values], strict=True)))
    assert [entry[3] for entry in one] == pytest.approx([entry[3] for entry in other])


def test_the_tolerance_follows_from_the_drift_of_dense_runs():
    # The quantile of t with one degree of freedom has a closed form.
    quantile = math.tan(math.pi * (QUANTILE - 0.5))
    assert measured_tolerance([0.001], comparison(), 1.0) == pytest.approx(quantile * 0.001)
    assert measured_tolerance([0.001], comparison(trainings=4), 1.0) == pytest.approx(2 * quantile * 0.001)
    assert measured_tolerance([0.001], comparison(), 0.01) == 0.01
    assert measured_tolerance([0.0, 0.0], comparison(), 0.1) == 0.002
    assert measured_tolerance([], comparison(), 0.1) == 0.1


@given(st.lists(st.floats(0, 0.1), min_size=1, max_size=9), st.floats(0, 0.1))
def test_more_drift_never_gives_a_smaller_tolerance(drift, more):
    wider = [distance + more for distance in drift]
    assert measured_tolerance(drift, comparison(), 1.0) <= measured_tolerance(wider, comparison(), 1.0) + 1e-12


EXACT = comparison("b" * 32, differences=(), exact=True)


@pytest.mark.parametrize(
    ("comparisons", "gains", "reason"),
    [
        ([EXACT], [], ""),
        ([EXACT, comparison()], [], "has other predictions"),
        ([comparison(must_be_exact=True)], [], "has other predictions"),
        ([comparison()], [], ""),
        ([comparison(distance=0.01)], [], "has scores that are 0.0100 away, expected at most 0.0020"),
        ([comparison(faults=("has 2 steps instead of 3",))], [], "has 2 steps instead of 3"),
        ([comparison()] * 3, [("imp", 0.001), ("imp", 0.0011), ("imp", 0.0012)], "which is no drift"),
        ([comparison()] * 3, [("imp", 0.001), ("imp", -0.001), ("imp", 0.0012)], ""),
    ],
)
def test_the_judgement(comparisons, gains, reason):
    dense = comparison("d" * 32, distance=0.0)
    same = [EXACT] if EXACT in comparisons else [dense]
    result = judge([*comparisons, *same], [dense.key], gains, 0.1)
    assert bool(reason) == bool(result.wrong) and reason in "\n".join(result.wrong)
    assert reason or result.confirmed
