"""Averages over the tasks of a benchmark, against hand computation."""

from __future__ import annotations

import math

import pytest
import scipy.stats
from lab import Lab, golden_lab
from pages import by_method, page, tables

from prunebench.reports.leaderboard import build

DELTA = "Δ dense [95 %]"


def test_average_is_over_metrics_first_and_then_over_tasks() -> None:
    text = page(golden_lab())
    scores, seeds = tables(text, "Average of 2 GLUE tasks (dev), unstructured, sparsity 0.3")
    # Seed 0: MRPC (83 + 88)/2 = 85.5 and RTE 61, so 73.25; a mean of all three metrics would be 77.33.
    assert [by_method(seeds)["imp"][f"seed {seed}"] for seed in range(3)] == ["73.25", "74.00", "76.25"]
    # The deviations of MRPC (85.5, 86, 86.5) and RTE (61, 62, 66) are 0.5 and √7.
    assert by_method(scores)["imp"]["average"] == f"**74.50 ± {math.sqrt(0.25 + 7) / 2:.2f} (3)**"
    # Differences from dense of MRPC: −0.5, −1, −1.5, and of RTE: 1, 0, 2. Their variances are 0.25 and 1; the degrees
    # of freedom (Satterthwaite): (1.25/3)² / ((0.25/3)²/2 + (1/3)²/2) = 2.94.
    half = scipy.stats.t.ppf(0.975, 2.5**2 / (0.5**2 + 2**2) * 2) * math.sqrt(1.25 / 3) / 2
    assert by_method(scores)["imp"][DELTA] == f"0.00 [−{half:.2f}, +{half:.2f}]"
    missing = by_method(tables(text, "Average of 2 GLUE tasks (dev), unstructured, sparsity 0.5")[0])
    assert missing["random-pruning"]["note"] == "missing mrpc seed 2"


def glue_lab(without: str = "") -> Lab:
    """GLUE's nine tasks, but for one."""
    lab = Lab()
    for i, task in enumerate(["cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli"]):
        if task != without:
            lab.done(task, "dense", 0.0, 0, 0.9, 0.9)
            lab.done(task, "imp", 0.5, 0, i / 10, i / 10 + 0.2)
    return lab


def test_glue_average_with_and_without_wnli() -> None:
    with_wnli, without = build(glue_lab().rows()).averages
    assert (with_wnli.title, without.title) == (
        "GLUE average, 9 tasks (dev)",
        "GLUE average without WNLI, 8 tasks (dev)",
    )
    # Values are 0, 0.1, … 0.8, plus 0.1 each for MRPC and MNLI, which have two columns.
    nine, eight = (section.tracks[0].levels[0].lines[0].scores[0].summary for section in (with_wnli, without))
    assert nine is not None and eight is not None
    assert nine.mean == pytest.approx((3.6 + 0.2) / 9)
    assert eight.mean == pytest.approx((2.8 + 0.2) / 8)


def test_average_without_all_tasks_names_them() -> None:
    assert [section.title for section in build(glue_lab(without="wnli").rows()).averages] == [
        "GLUE average without WNLI, 8 tasks (dev)"
    ]
    average = build(glue_lab(without="rte").rows()).averages[0]
    assert average.title == "Average of 8 GLUE tasks (dev)"
    assert average.about[0].endswith("The tasks are cola, sst2, mrpc, qqp, stsb, mnli, qnli, wnli.")


def test_a_single_task_of_a_benchmark_has_no_average() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.done("squad", "imp", 0.5, 0, 0.5, benchmark="")
    assert build(lab.rows()).averages == ()


def test_each_benchmark_has_its_own_average_and_its_name_on_its_tasks() -> None:
    lab = Lab()
    for task, value in (("rte", 0.5), ("sst2", 0.7)):
        lab.done(task, "imp", 0.5, 0, value)
    for task, value in (("ants", 0.1), ("bees", 0.3)):
        lab.done(task, "imp", 0.5, 0, value, benchmark="toy")
    page = build(lab.rows())
    assert {
        average.title: average.tracks[0].levels[0].lines[0].scores[0].summary.mean for average in page.averages
    } == {
        "Average of 2 GLUE tasks (dev)": pytest.approx(0.6),
        "Average of 2 toy tasks (dev)": pytest.approx(0.2),
    }
    assert [section.title for section in page.sections] == [
        "sst2 (dev)",
        "rte (dev)",
        "ants (toy, dev)",
        "bees (toy, dev)",
    ]


def test_a_method_that_a_task_lacks_is_shown_without_a_number() -> None:
    lab = glue_lab()
    lab.done("rte", "magnitude", 0.5, 0, 0.99)
    line = {line.label: line for line in build(lab.rows()).averages[0].tracks[0].levels[0].lines}["magnitude"]
    assert line.scores[0].summary is None
    assert "missing cola" in line.gaps and "missing rte" not in line.gaps


def test_sparsities_that_differ_between_tasks_have_no_average() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.done("wnli", "imp", 0.9, 0, 0.5)
    (average,) = build(lab.rows()).averages
    assert average.tracks == ()
    assert average.about[-1] == "There is no average at sparsity 0.5, 0.9: not every task was planned there."
