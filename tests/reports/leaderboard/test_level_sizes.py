"""Encoder sparsity and FLOPs beside the level, in every table of a page."""

from __future__ import annotations

import pytest
from lab import Lab
from pages import page_text, paper_text, tables

from prunebench.reports.leaderboard import build, summary
from prunebench.reports.leaderboard.level_sizes import ENCODER, FLOPS
from prunebench.reports.leaderboard.report import Page
from prunebench.reports.leaderboard.web import html


def size_page(flops: bool = True) -> Page:
    """Heads, and heads that are twice as large, of two tasks. Two of eight heads are 100 of 1,000 encoder weights."""
    lab = Lab()
    for task in ("rte", "wnli"):
        for seed in range(3):
            lab.done(task, "dense", 0.0, seed, 0.85)
            lab.done(task, "imp", 0.5, seed, 0.8)
            for sparsity in (0.25, 0.5):
                lab.done(task, "heads", sparsity, seed, 0.85)
                large = lab.done(task, "large", sparsity, seed, 0.84, unit="head", track="structured")
                large["sparsity"]["encoder_after"] = 0.8 * sparsity
    for record in lab.records.values() if flops else ():
        skipping = 1000 - round(500 * record["sparsity"]["encoder_after"])
        record["flops"] = {"length": 128, "dense": 1000, "scored": 1000, "skipping_zeros": skipping}
    return build(lab.rows())


EXPECTED = {ENCODER: ("10.0 to 20.0 %", "20.0 to 40.0 %"), FLOPS: ("90.0 to 95.0 %", "80.0 to 90.0 %")}
AVERAGE = "Average of 2 GLUE tasks (dev), structured"


@pytest.mark.parametrize("title", [f"{AVERAGE}, ranking", f"{AVERAGE}, by sparsity", "rte (dev), structured"])
def test_tables_by_sparsity_have_a_row_for_each(title: str) -> None:
    table = tables(page_text(size_page()), title)[0]
    rows = {row["structured"]: (row["0.25"], row["0.5"]) for row in table}
    assert {name: rows[name] for name in EXPECTED} == EXPECTED


def test_the_terminal_the_browser_and_papers_have_them() -> None:
    page = size_page()
    for text in (summary(page), html(page), paper_text(page)):
        assert all(name in text for name in EXPECTED)
        assert "20.0 to 40.0" in text and "80.0 to 90.0" in text


def test_tables_at_one_sparsity_have_a_column_for_each() -> None:
    text = page_text(size_page())
    for title in (f"{AVERAGE}, sparsity 0.5", "rte (dev), structured, sparsity 0.5"):
        rows = {row["method"]: (row[ENCODER], row[FLOPS]) for row in tables(text, title)[0]}
        assert rows == {
            **{"dense": ("0.0 %", "100.0 %"), "majority class": ("—", "—")},
            **{"heads": ("20.0 %", "90.0 %"), "large": ("40.0 %", "80.0 %")},
        }


def test_the_largest_matching_sparsity_says_what_it_is_of_the_encoder() -> None:
    matching = {row["method"]: row for row in tables(page_text(size_page()), "rte (dev), structured")[1]}
    assert matching["heads"]["strict"] == "0.5 (encoder 20 %)"


def test_where_the_level_is_the_encoder_sparsity_there_is_no_row() -> None:
    text = page_text(size_page(flops=False))
    (table,) = tables(text, "Average of 2 GLUE tasks (dev), unstructured, ranking")
    assert [row["unstructured"] for row in table] == ["dense", "majority class", "imp"]
    table = tables(text, f"{AVERAGE}, ranking")[0]
    assert [row["structured"] for row in table] == ["dense", "majority class", ENCODER, "heads", "large"]
