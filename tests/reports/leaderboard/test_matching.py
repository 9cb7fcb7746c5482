"""The largest matching sparsities of a page, by hand."""

from __future__ import annotations

from typing import Any

from lab import Lab

from prunebench.reports.leaderboard import build
from prunebench.reports.leaderboard.report import Options
from prunebench.reports.leaderboard.tables.matching import describe_criteria, matching_table
from prunebench.results.statistics.matching import CRITERIA


def match_table(lab: Lab, task: str = "rte", **options: Any) -> dict[str, dict[str, str]]:
    """The rows of the matching table of a task, by method."""
    page = build(lab.rows(), Options(**options))
    (section,) = [section for section in page.sections if section.name == task]
    table = matching_table(section, section.tracks[0])
    return {row[0]: dict(zip(table.headers, row, strict=True)) for row in table.body}


def test_largest_matching_sparsity_by_each_criterion() -> None:
    lab = Lab()
    dense = (0.60, 0.62, 0.64)
    # 0.3 is better or equal on each seed, by 0.67 ± 1.43. 0.5 is better on the mean, but not on each seed, and its
    # interval is wide. 0.7 is 0.5 points worse on each seed, and 0.9 is 1.5 points worse.
    levels = {0.3: (0.61, 0.63, 0.64), 0.5: (0.65, 0.61, 0.64), 0.7: (0.595, 0.615, 0.635), 0.9: (0.585, 0.605, 0.625)}
    for seed, value in enumerate(dense):
        lab.done("rte", "dense", 0.0, seed, value)
        for sparsity, values in levels.items():
            lab.done("rte", "imp", sparsity, seed, values[seed])
    # 0.7 would be non-inferior, but 0.5 is not.
    expected = {"strict": "0.5", "each-seed": "0.3", "one-std": "0.9", "non-inferior": "0.3"}
    imp = match_table(lab)["imp"]
    assert {name: imp[name] for name in expected} == expected
    # The interval of the differences at 0.5 (5, −1, 0) is 1.33 ± 7.99.
    assert match_table(lab, delta=0.1)["imp"]["non-inferior"] == "0.9"
    assert any("δ is 2 points" in sentence for sentence in describe_criteria(0.02))
    assert any("δ is 1 point " in sentence for sentence in describe_criteria(0.01))


def test_a_winning_ticket_is_strict_and_trained_from_theta0() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        for label, phases in (("imp", "Train Prune Rewind Train"), ("magnitude", "Train Prune Train")):
            record = lab.done("rte", label, 0.3, seed, 0.61)
            record["phases"] = [
                {"phase": phase, "strategy": "", **({"sparsity": 0.3} if phase == "Prune" else {})}
                for phase in phases.split()
            ]
    table = match_table(lab)
    assert (table["imp"]["strict"], table["imp"]["winning ticket"]) == ("0.3", "0.3")
    assert (table["magnitude"]["strict"], table["magnitude"]["winning ticket"]) == ("0.3", "n/a")


def test_a_level_with_gaps_never_matches() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.3, seed, 0.7)
    for seed in (0, 1):
        lab.done("rte", "imp", 0.5, seed, 0.7)
    lab.plan("rte", "imp", 0.5, 2)
    assert match_table(lab)["imp"]["strict"] == "0.3"


def test_nothing_matches_a_dense_model_that_learnt_nothing() -> None:
    """Dense is at the majority class (55), or above it by no more than chance."""
    for dense in ((0.55, 0.55, 0.55), (0.54, 0.55, 0.60)):
        lab = Lab()
        for seed, value in enumerate(dense):
            lab.done("rte", "dense", 0.0, seed, value)
            lab.done("rte", "imp", 0.3, seed, 0.9)
        assert {match_table(lab)["imp"][name] for name in CRITERIA} == {"—"}
