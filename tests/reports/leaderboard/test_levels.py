"""Levels that a method does not have, and FLOPs, on pages of hand-made records."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from lab import Lab
from pages import page, paper_text, tables

from prunebench.reports.leaderboard import build
from prunebench.reports.leaderboard.export import to_csv, to_json
from prunebench.reports.leaderboard.ranking import methods_in_order
from prunebench.reports.leaderboard.report import Options
from prunebench.reports.leaderboard.schema import Results
from prunebench.reports.leaderboard.terminal_summary import summary
from prunebench.reports.leaderboard.web import html

PATTERN = "magnitude[pattern=2:4]"
REASONS = {"0.3": "pattern 2:4 has sparsity 0.5", "0.7": "pattern 2:4 has sparsity 0.5"}
SENTENCE = f"{PATTERN} has no model at 0.3, 0.7: pattern 2:4 has sparsity 0.5."


def level_lab(with_pattern: bool = True) -> Lab:
    """Two tasks with three seeds, IMP at three levels, and beside it a method that has one of them and is the best."""
    lab = Lab()
    for task, seed in ((task, seed) for task in ("rte", "cola") for seed in range(3)):
        lab.done(task, "dense", 0.0, seed, 0.6)
        for sparsity in (0.3, 0.5, 0.7):
            lab.done(task, "imp", sparsity, seed, 0.6 - sparsity / 10 + seed / 1000)
        lab.done(task, "magnitude", 0.3, seed, 0.56)
        lab.done(task, "magnitude", 0.5, seed, 0.555)
        if with_pattern:
            lab.done(task, PATTERN, 0.5, seed, 0.59 + seed / 500, unsupported=REASONS)
    return lab


def test_overviews_and_rankings_say_which_levels_do_not_exist_and_why() -> None:
    text = page(level_lab())
    (overview, *_) = tables(text, "rte (dev), unstructured")
    rows = {row["unstructured"]: row for row in overview}
    assert [rows[PATTERN][sparsity] for sparsity in ("0.3", "0.7")] == ["n/a", "n/a"]
    assert rows[PATTERN]["0.5"].startswith("**59.20")
    # Nobody has planned magnitude at 0.7.
    assert rows["magnitude"]["0.7"] == "—"
    (ranking, *_) = tables(text, "Average of 2 GLUE tasks (dev), unstructured, ranking")
    assert {row["unstructured"]: row["0.3"] for row in ranking}[PATTERN] == "n/a"
    # In the ranking, in the average of README.md and of its own file, and in the file of each task.
    assert text.count(SENTENCE.replace("[", r"\[").replace("]", r"\]")) == 5
    assert SENTENCE in summary(build(level_lab().rows()))
    assert SENTENCE.replace("[", "{[}").replace("]", "{]}") in paper_text(build(level_lab().rows()))


def test_nobody_is_incomplete_and_the_ranks_of_the_others_stay_the_same() -> None:
    own, other = build(level_lab().rows()), build(level_lab(with_pattern=False).rows())
    assert not any(line.gaps for each in (*own.sections, *own.averages) for track in each.tracks
                   for level in track.levels for line in level.lines)  # fmt: skip
    for mine, theirs in zip(own.rankings, other.rankings, strict=True):
        for mine_at, theirs_at in zip(mine.standings, theirs.standings, strict=True):
            if mine_at.sparsity != 0.5:
                assert mine_at == theirs_at
    cells = {check.question: check for check in own.checklist}["all planned cells"]
    assert (cells.passed, cells.details) == (True, "42 of 42 cells")


@pytest.mark.parametrize("rule", ["retained", "score", "rank"])
def test_the_best_method_at_one_level_is_not_listed_above_those_that_have_all(rule: str) -> None:
    (ranking, *_) = build(level_lab().rows(), Options(rank_by=rule)).rankings
    assert methods_in_order(ranking) == ["imp", "magnitude", PATTERN]


def test_a_method_whose_levels_differ_from_all_others_still_says_why() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", PATTERN, 0.5, seed, 0.58, unsupported={"0.3": REASONS["0.3"]})
    text = page(lab)
    assert r"has no model at 0.3: pattern 2:4 has sparsity 0.5." in text
    assert tables(text, "rte (dev), unstructured, ranking")[0][-1]["0.5"].startswith("60.00")


def test_json_has_the_reasons_and_the_browser_shows_them() -> None:
    data = json.loads(to_json(build(level_lab().rows())))
    Results.model_validate(data)
    assert {method["label"]: method["unsupported"] for method in data["methods"] if method["unsupported"]} == {
        PATTERN: REASONS
    }
    text = html(build(level_lab().rows()))
    assert text.count('<td class="number" style="--fill: 0.0%" data-order="2">n/a</td>') == 1
    assert f"<li>{SENTENCE}</li>" in text


# --- FLOPs ---


def flops(dense: int, scored: int, skipping: int) -> dict[str, Any]:
    return {"length": 128, "dense": dense, "scored": scored, "skipping_zeros": skipping}


def flops_lab() -> Lab:
    lab = Lab()
    for seed in range(2):
        lab.done("rte", "dense", 0.0, seed, 0.6)["flops"] = flops(22_400_000_000, 22_400_000_000, 22_400_000_000)
        lab.done("rte", "imp", 0.5, seed, 0.6)["flops"] = flops(22_400_000_000, 22_400_000_000, 11_760_000_000)
        heads = lab.done("rte", "heads", 0.5, seed, 0.6)
        heads["flops"] = flops(22_400_000_000, 16_800_000_000 - seed * 1_120_000_000, 16_800_000_000)
    return lab


def test_flops_are_a_share_of_the_dense_model_and_a_number() -> None:
    text = page(flops_lab())
    (sizes,) = tables(text, "rte (dev), unstructured, size and cost")
    assert [(row["method"], row["FLOPs"], row["zeros skipped"]) for row in sizes] == [
        ("dense", "100.00 % (22.4 G)", "100.00 % (22.4 G)"),
        ("imp", "100.00 % (22.4 G)", "52.50 % (11.8 G)"),
    ]
    (heads,) = tables(text, "rte (dev), structured, size and cost")
    assert heads[-1]["FLOPs"] == "70.00 % to 75.00 % (15.7 to 16.8 G)"
    assert "FLOPs are those of one forward pass of 128 tokens" in text
    assert "Pruned weights save FLOPs only if they are skipped." in text
    document = html(build(flops_lab().rows()))
    assert "52.50 % (11.8 G)" in document and "FLOPs are those of one forward pass of 128 tokens" in document


def test_records_without_flops_have_a_dash_or_no_column() -> None:
    lab = flops_lab()
    for seed in range(2):
        del lab.records[lab.cells[3 * seed + 1]["key"]]["flops"]
    (sizes,) = tables(page(lab), "rte (dev), unstructured, size and cost")
    assert (sizes[1]["method"], sizes[1]["FLOPs"], sizes[1]["zeros skipped"]) == ("imp", "—", "—")
    for record in lab.records.values():
        record.pop("flops", None)
    (sizes,) = tables(page(lab), "rte (dev), unstructured, size and cost")
    assert "FLOPs" not in sizes[0]
    assert "FLOPs" not in page(lab)


def test_flops_are_columns_of_the_long_table() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(build(flops_lab().rows())))))
    numbers = {tuple(value for name, value in row.items() if name.startswith("flops_")) for row in rows
               if row["label"] == "imp"}  # fmt: skip
    assert numbers == {("128", "22400000000", "22400000000", "11760000000")}
    assert [name for name in rows[0] if name.startswith("flops_")] == [
        *("flops_length", "flops_dense", "flops_scored", "flops_skipping_zeros")
    ]
