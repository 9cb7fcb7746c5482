"""Ranks over tasks, against Demšar's example and tables, scipy and brute force."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.results.statistics.ranks import average_ranks, critical_difference, friedman, nemenyi_q, rank

# Demšar 2006, table 6: AUC of C4.5 with m, cf, both and neither on 14 data sets. His average ranks are 3.143,
# 2.000, 2.893 and 1.964, χ² = 9.28, F = 3.69, and a critical difference of 1.25 at α = 0.05 (1.18 at 0.10).
DEMSAR = {
    "C4.5": (0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.94, 0.619, 0.972, 0.957),
    "C4.5+m": (0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978),
    "C4.5+cf": (0.771, 0.59, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.0, 0.965, 0.614, 0.9751, 0.946),
    "C4.5+m+cf": (0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.0, 0.962, 0.669, 0.975, 0.97),
}


def blocks(*values: float) -> dict[str, float]:
    return {f"task {i}": value for i, value in enumerate(values)}


def test_demsars_example() -> None:
    ranking = rank({method: blocks(*values) for method, values in DEMSAR.items()})
    assert {method: round(mean, 3) for method, mean in ranking.ranks.items()} == {
        "C4.5+m+cf": 1.964,
        "C4.5+m": 2.0,
        "C4.5+cf": 2.893,
        "C4.5": 3.143,
    }
    # He does not correct for ties: all four on one data set and pairs on three, (60 + 3·6)/(14·4·15) = 0.0929.
    by_block = [average_ranks(column) for column in zip(*DEMSAR.values(), strict=True)]
    sums = [sum(ranks[i] for ranks in by_block) for i in range(4)]
    assert 12 / (14 * 4 * 5) * sum(total**2 for total in sums) - 3 * 14 * 5 == pytest.approx(9.28, abs=0.01)
    assert ranking.chi2 == pytest.approx(9.2786 / (1 - 0.0929), abs=0.005)
    assert ranking.cd == pytest.approx(1.25, abs=0.005)
    assert ranking.rejects
    # No two methods differ by 1.25.
    assert ranking.groups == (tuple(ranking.ranks),)


@pytest.mark.parametrize(
    ("alpha", "row"),
    [
        (0.05, (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)),
        (0.10, (1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920)),
    ],
)
def test_critical_values_agree_with_demsars_table_5(alpha: float, row: tuple[float, ...]) -> None:
    assert [nemenyi_q(k, alpha) for k in range(2, 11)] == pytest.approx(row, abs=1.5e-3)


@pytest.mark.parametrize("k", [2, 5, 12, 40])
def test_critical_values_agree_with_scipy(k: int) -> None:
    for alpha in (0.01, 0.05, 0.2):
        expected = scipy.stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
        assert nemenyi_q(k, alpha) == pytest.approx(expected, abs=1e-9)


tables = st.integers(3, 6).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 5).map(float), min_size=k, max_size=k), min_size=3, max_size=8)
)


@given(st.lists(st.integers(0, 5).map(float), min_size=1, max_size=8))
def test_average_ranks_agree_with_scipy(values: list[float]) -> None:
    assert average_ranks(values) == list(scipy.stats.rankdata([-value for value in values]))


@given(tables)
def test_friedman_agrees_with_scipy(table: list[list[float]]) -> None:
    chi2, p, _, _ = friedman([average_ranks(row) for row in table])
    if all(len(set(row)) == 1 for row in table):
        assert (chi2, p) == (0, 1)
        return
    expected = scipy.stats.friedmanchisquare(*zip(*table, strict=True))
    assert (chi2, p) == (pytest.approx(expected.statistic, abs=1e-9), pytest.approx(expected.pvalue, abs=1e-9))


def test_iman_and_davenport_is_an_analysis_of_variance_of_the_ranks() -> None:
    # Without ties, F is that of a two-way layout of the ranks (Conover), computed here from sums of squares.
    rng = np.random.default_rng(0)
    by_block = [list(rng.permutation(4) + 1.0) for _ in range(7)]
    ranks = np.array(by_block)
    between = 7 * ((ranks.mean(axis=0) - 2.5) ** 2).sum() / 3
    within = ((ranks - ranks.mean(axis=0)) ** 2).sum() / (3 * 6)
    _, _, f, p = friedman(by_block)
    assert f == pytest.approx(between / within)
    assert p == pytest.approx(scipy.stats.f.sf(f, 3, 18))


def test_methods_far_apart_by_hand() -> None:
    scores = {name: blocks(*(level + task for task in range(20))) for name, level in zip("dcba", range(4), strict=True)}
    ranking = rank(scores)
    # Ranks 1 to 4 in all of 20 tasks: χ² = 20·3 = 60 and CD = 2.569·√(4·5/120) = 1.0488, so neighbours are tied.
    assert (ranking.ranks, ranking.chi2) == ({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, pytest.approx(60))
    assert ranking.cd == pytest.approx(1.0488, abs=1e-4)
    assert ranking.groups == (("a", "b"), ("b", "c"), ("c", "d"))
    # c is significantly worse than a, and d than a and b.
    assert ranking.places == {"a": 1, "b": 1, "c": 2, "d": 3}


def test_without_a_rejection_all_methods_are_tied() -> None:
    values = {"a": (4, 4, 4, 1), "b": (3, 3, 3, 4), "c": (2, 2, 2, 3), "d": (1, 1, 1, 2)}
    ranking = rank({name: blocks(*row) for name, row in values.items()})
    assert ranking.p is not None and ranking.p > 0.05
    assert ranking.groups == (("a", "b", "c", "d"),)
    assert set(ranking.places.values()) == {1}


@pytest.mark.parametrize(
    ("methods", "tasks", "reason"),
    [
        (2, 9, "2 methods: Friedman's test needs at least 3"),
        (5, 2, "2 tasks: ranks need at least 3 to tell methods apart"),
        (0, 0, "0 methods: Friedman's test needs at least 3"),
    ],
)
def test_too_few_methods_or_tasks_have_no_test_and_are_tied(methods: int, tasks: int, reason: str) -> None:
    ranking = rank({f"m{i}": blocks(*(float(i) for _ in range(tasks))) for i in range(methods)})
    assert (ranking.p, ranking.chi2, ranking.cd, ranking.reason) == (None, None, None, reason)
    assert len(ranking.groups) == min(methods, 1)
    assert set(ranking.places.values()) <= {1}
    assert list(ranking.ranks.values()) == [1.0 + i for i in range(methods)]


def test_two_blocks_could_never_tell_two_methods_apart() -> None:
    assert all(critical_difference(k, 2) > k - 1 for k in range(2, 200))


def test_a_method_that_lacks_a_task_is_not_ranked() -> None:
    scores = {name: blocks(1, 2, 3) for name in "abc"} | {"half": blocks(9, 9)}
    ranking = rank(scores)
    assert (ranking.methods, ranking.unranked) == (("a", "b", "c"), ("half",))
    assert ranking.blocks == ("task 0", "task 1", "task 2")


def test_rounding_does_not_break_ties() -> None:
    assert average_ranks([0.1 + 0.2, 0.3]) == [1.5, 1.5]


@settings(max_examples=50)
@given(tables, st.randoms(use_true_random=False))
def test_order_changes_nothing(table: list[list[float]], rng: random.Random) -> None:
    scores = {f"m{i}": blocks(*column) for i, column in enumerate(zip(*table, strict=True))}
    shuffled = [(method, list(by_task.items())) for method, by_task in scores.items()]
    for _, by_task in shuffled:
        rng.shuffle(by_task)
    rng.shuffle(shuffled)
    assert rank({method: dict(by_task) for method, by_task in shuffled}) == rank(scores)


@settings(max_examples=50)
@given(tables)
def test_groups_and_tied_ranks_agree_with_brute_force(table: list[list[float]]) -> None:
    # With such a large α the test nearly always rejects, so the critical difference decides about groups.
    ranking = rank({f"m{i}": blocks(*column) for i, column in enumerate(zip(*table, strict=True))}, alpha=0.6)
    distance = ranking.cd if ranking.rejects else float("inf")
    assert distance is not None
    alike = [
        set(some)
        for size in range(1, len(ranking.methods) + 1)
        for some in itertools.combinations(ranking.methods, size)
        if all(abs(ranking.ranks[a] - ranking.ranks[b]) < distance - 1e-9 for a, b in itertools.combinations(some, 2))
    ]
    largest = [some for some in alike if not any(some < other for other in alike)]
    assert sorted(map(sorted, largest)) == sorted(map(sorted, ranking.groups))
    for method in ranking.methods:
        better = [other for other in ranking.methods if ranking.ranks[method] - ranking.ranks[other] >= distance - 1e-9]
        assert ranking.places[method] == 1 + len(better)
