"""What is marked as the best, as close to it, or not at all, and the spread of averages: by hand and by properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import Lab, golden_lab
from pages import by_method, page, paper_text, tables

from prunebench.reports.leaderboard import build
from prunebench.reports.leaderboard.report import Options, Page, Section
from prunebench.reports.leaderboard.web import html

ONE = 1 / 277  # an example


def lab_of(task: str = "rte", **methods: tuple[float, ...]) -> Lab:
    """The scores of each method by seed, at sparsity 0.5 (dense: 0)."""
    lab = Lab()
    for label, values in methods.items():
        for seed, value in enumerate(values):
            lab.done(task, label, 0.0 if label == "dense" else 0.5, seed, value)
    return lab


def marks(lab: Lab, delta: float = 0.01) -> dict[str, str]:
    """The mark of each method in the first column of the first task."""
    return marks_of(build(lab.rows(), Options(delta=delta)).sections[0])


def marks_of(section: Section) -> dict[str, str]:
    (level,) = section.tracks[0].levels
    scores = {line.label: line.scores[0] for line in level.lines}
    assert not any(score.best and score.close for score in scores.values())
    return {label: "best" if each.best else "close" if each.close else "" for label, each in scores.items()}


DENSE = (0.80, 0.81, 0.82, 0.80)


def test_bold_is_the_highest_mean_alone_and_close_is_within_delta() -> None:
    lab = lab_of(
        dense=DENSE,
        # Means 60, 59.75, 58 and 48.25. The residuals of a two-way layout have a deviation of about a point.
        a=(0.60, 0.60, 0.60, 0.60),
        b=(0.59, 0.62, 0.57, 0.61),
        c=(0.58, 0.60, 0.55, 0.59),
        d=(0.49, 0.48, 0.47, 0.49),
    )
    assert marks(lab) == {"a": "best", "b": "close", "c": "", "d": ""}
    # c cannot be told apart from a either, but is 2 points behind; d can.
    assert marks(lab, delta=0.021) == {"a": "best", "b": "close", "c": "close", "d": ""}
    assert marks(lab, delta=0.5) == {"a": "best", "b": "close", "c": "close", "d": ""}


def test_a_method_that_is_certainly_worse_is_not_close_within_delta() -> None:
    """0.72 points behind on each seed, which is two examples: Tukey's distance of two methods is 6.09·√(MS/3)."""
    lab = lab_of(dense=DENSE[:3], a=(0.75, 0.8, 0.85), b=tuple(value - 2 * ONE for value in (0.75, 0.8, 0.85)))
    # MS is the floor: 1/12 of an example squared. 6.09·√(1/36) = 1.01 examples.
    assert marks(lab) == {"a": "best", "b": ""}


def test_a_difference_of_one_example_on_every_seed_is_not_certain() -> None:
    lab = lab_of(dense=DENSE[:3], a=(0.75, 0.8, 0.85), b=tuple(value - ONE for value in (0.75, 0.8, 0.85)))
    assert marks(lab) == {"a": "best", "b": "close"}
    (ranking,) = build(lab.rows()).rankings
    assert [(each.rank, each.tied) for each in ranking.standings[0].placements] == [(1, True), (1, True)]
    # 1/277 ± 4.303/(277·√6·√3), so that 0 is inside.
    scores = by_method(tables(page(lab_of(dense=DENSE[:3], a=tuple(v - ONE for v in DENSE[:3]))),
                              "rte (dev), unstructured, sparsity 0.5")[0])  # fmt: skip
    half = 100 * 4.3027 / (277 * math.sqrt(18))
    assert scores["a"]["Δ dense [95 %]"] == f"−0.36 [−{100 / 277 + half:.2f}, +{half - 100 / 277:.2f}]"


def test_gaps_are_never_marked() -> None:
    lab = lab_of(dense=DENSE, a=(0.6,) * 4, b=(0.6,) * 4, c=(0.9,) * 3)
    assert marks(lab) == {"a": "best", "b": "close", "c": ""}


def test_with_two_seeds_nothing_is_marked_and_the_caption_says_so() -> None:
    lab = lab_of(dense=DENSE[:2], imp=(0.6, 0.601), magnitude=(0.4, 0.4))
    assert marks(lab) == {"imp": "", "magnitude": ""}
    assert "Nothing is bold: with fewer than three common seeds" in paper_text(build(lab.rows()))


def test_a_mark_stands_in_tables_and_in_the_browser() -> None:
    lab = lab_of(dense=DENSE, a=(0.60,) * 4, b=(0.59, 0.62, 0.57, 0.61))
    scores = by_method(tables(page(lab), "rte (dev), unstructured, sparsity 0.5")[0])
    assert (scores["a"]["accuracy"], scores["b"]["accuracy"]) == ("**60.00 ± 0.00 (4)**", "59.75 ± 2.22 (4) ≈")
    assert r"$\approx$: a row that cannot be told apart" in paper_text(build(lab.rows()))
    assert '"best","close","note"' in html(build(lab.rows()))


# --- learnt or not ---


@pytest.mark.parametrize(
    ("dense", "learnt"),
    [
        pytest.param((0.55, 0.55, 0.55), False, id="the majority class"),
        # 57 ± 4.303·1/√3 = 2.48 begins at 54.52.
        pytest.param((0.56, 0.57, 0.58), False, id="not for certain"),
        # 58 ± 2.48 begins at 55.52.
        pytest.param((0.57, 0.58, 0.59), True, id="for certain"),
        pytest.param((0.55 + ONE,) * 3, False, id="one example on each seed"),
        pytest.param((0.55 + 2 * ONE,) * 3, True, id="two examples on each seed"),
        pytest.param((0.58, 0.53), True, id="two seeds: the mean decides"),
        pytest.param((0.58, 0.52), False, id="two seeds, at the majority class"),
        pytest.param((0.56,), True, id="one seed"),
        pytest.param((), False, id="no dense run"),
    ],
)
def test_what_dense_has_learnt(dense: tuple[float, ...], learnt: bool) -> None:
    built = build(lab_of(dense=dense, imp=(0.7, 0.71, 0.72), magnitude=(0.3, 0.31, 0.32)).rows())
    (section,) = built.sections
    assert section.learnt == (learnt,)
    expected = {"imp": "best", "magnitude": ""} if learnt else {"imp": "", "magnitude": ""}
    assert marks_of(section) == expected
    captions = paper_text(built)
    assert ("Nothing is bold: no dense run beats the majority class for certain" in captions) is not learnt


def test_each_metric_is_judged_alone() -> None:
    lab = Lab()
    for seed in range(3):
        # The majority class has accuracy 55 and F1 70.
        lab.done("mrpc", "dense", 0.0, seed, 0.8, 0.7)
        lab.done("mrpc", "imp", 0.5, seed, 0.7, 0.9)
        lab.done("mrpc", "magnitude", 0.5, seed, 0.6, 0.3)
    (section,) = build(lab.rows()).sections
    assert section.learnt == (True, False)
    lines = {line.label: line.scores for line in section.tracks[0].levels[0].lines}
    assert [score.best for score in lines["imp"]] == [True, False]


def test_where_all_rows_are_at_the_majority_class_nothing_is_marked() -> None:
    """The majority class has 55. The best mean is 56.33, and its interval 56.33 ± 4.303·1.53/√3 reaches 52.5."""
    lab = lab_of(dense=(0.8, 0.8, 0.8), a=(0.55, 0.55, 0.55), b=(0.55, 0.56, 0.58))
    assert marks(lab) == {"a": "", "b": ""}
    text = paper_text(build(lab.rows()))
    assert "Nothing is bold: no row beats the majority class for certain" in text
    (ranked,) = tables(page(lab), "rte (dev), unstructured, ranking")
    assert [row["0.5"].startswith("**") for row in ranked] == [False] * 4
    assert html(build(lab.rows())).count('class="number first"') == 0


# --- averages ---


def two_tasks(order: tuple[int, ...], sections: tuple[str, ...] = ("rte", "wnli")) -> Page:
    """Two methods on two tasks. `order` is the order of the second task's seeds, the same for methods and dense."""
    scores = {
        "dense": ((0.80, 0.82, 0.81, 0.83), (0.70, 0.76, 0.73, 0.71)),
        "a": ((0.70, 0.75, 0.71, 0.77), (0.60, 0.69, 0.66, 0.61)),
        "b": ((0.71, 0.72, 0.70, 0.75), (0.62, 0.66, 0.61, 0.63)),
    }
    lab = Lab()
    for label, by_task in scores.items():
        for task, values, seeds in zip(sections, by_task, (range(4), order), strict=True):
            for seed, value in zip(seeds, values, strict=True):
                lab.done(task, label, 0.0 if label == "dense" else 0.5, seed, value)
    return build(lab.rows())


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(4)))
def test_the_spread_of_an_average_does_not_depend_on_which_seeds_share_a_number(order: list[int]) -> None:
    plain, moved = two_tasks((0, 1, 2, 3)), two_tasks(tuple(order))
    for one, other in zip(plain.averages, moved.averages, strict=True):
        for own, theirs in zip(one.tracks[0].levels[0].lines, other.tracks[0].levels[0].lines, strict=True):
            assert own.label == theirs.label
            for name in ("summary", "difference"):
                mine, its = getattr(own.scores[0], name), getattr(theirs.scores[0], name)
                assert (mine.mean, mine.std) == (pytest.approx(its.mean), pytest.approx(its.std))
                assert (mine.bounds.low, mine.bounds.high) == pytest.approx((its.bounds.low, its.bounds.high))
        assert marks_of(one) == marks_of(other)
    for ours, others in zip(plain.rankings, moved.rankings, strict=True):
        assert [(each.label, each.rank) for each in ours.standings[0].placements] == [
            (each.label, each.rank) for each in others.standings[0].placements
        ]
        deviations = [[each.summary.std for each in ranking.standings[0].placements if each.summary] for ranking in
                      (ours, others)]  # fmt: skip
        assert deviations[0] == pytest.approx(deviations[1])


def test_an_average_is_learnt_if_it_beats_the_average_of_the_majority_classes() -> None:
    assert [average.learnt for average in build(golden_lab().rows()).averages] == [(True,)]
    lab = lab_of(dense=(0.55, 0.54, 0.56), imp=(0.6, 0.6, 0.6))
    for label, value in (("dense", 0.55), ("imp", 0.6)):
        for seed in range(3):
            lab.done("sst2", label, 0.0 if label == "dense" else 0.5, seed, value)
    built = build(lab.rows())
    assert [average.learnt for average in built.averages] == [(False,)]
    (ranking,) = built.rankings
    assert [(each.rank, each.gaps) for each in ranking.standings[0].placements] == [(None, ("no metric to rank by",))]
