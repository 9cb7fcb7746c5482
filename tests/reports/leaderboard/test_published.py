"""Tables of papers, and the checks of a page's options."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from lab import golden_lab
from pages import page_text

from prunebench import PrunebenchError
from prunebench.reports.leaderboard import build, parse_options
from prunebench.reports.leaderboard.published import Paper, papers


def test_published_rows_are_marked_and_state_their_setting() -> None:
    text = page_text(build(golden_lab().rows(), parse_options(published="chen2020,prasanna2020")))
    assert "## Published results" in text
    assert "Reported, not measured here, and never ranked: Chen et al. 2020" in text
    assert "Model bert-base-uncased, split dev, 5 seeds" in text
    (imp,) = [line for line in text.splitlines() if line.startswith("| imp (reported)") and "82.6" in line]
    assert [entry.strip() for entry in imp.strip("|").split("|")][1:4] == ["82.6 ± 0.2", "90.0 ± 0.2", "88.2 ± 0.2"]
    assert "bad, retrained (reported)" in text


def test_published_rows_change_no_ranking() -> None:
    plain, with_papers = build(golden_lab().rows()), build(golden_lab().rows(), parse_options(published="all"))
    assert with_papers.rankings == plain.rankings and with_papers.sections == plain.sections
    assert [paper.name for paper in with_papers.options.published] == ["chen2020", "prasanna2020"]


def test_entries_of_the_papers() -> None:
    """Some entries of Chen et al. 2020, table 2, and of Prasanna et al. 2020."""
    chen, prasanna = papers(("all",))
    columns = {(column.task, column.metric): i for i, column in enumerate(chen.columns)}
    rows = {row.method: row for row in chen.rows}
    cola = columns["cola", "matthews_correlation"]
    assert (rows["dense"].mean[cola], rows["imp"].mean[cola], rows["random-reinit"].mean[cola]) == (54.5, 53.8, 0.0)
    assert rows["imp"].std is not None and rows["imp"].std[columns["rte", "accuracy"]] == 2.4
    assert rows["layer-shuffle"].std is None
    assert {column.task: column.sparsity for column in chen.columns}["qqp"] == 0.9
    (bad,) = [row for row in prasanna.rows if row.method == "bad, retrained"]
    assert [column.metric for column, mean in zip(prasanna.columns, bad.mean, strict=True) if mean is None] == ["f1"]


def test_a_paper_with_a_missing_value_is_refused() -> None:
    data = json.loads((files("prunebench.reports.leaderboard.published") / "chen2020.json").read_text(encoding="utf-8"))
    data["rows"][0]["mean"].pop()
    with pytest.raises(ValueError, match="dense: expected 11 values"):
        Paper.model_validate(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"published": "chen2021"}, "unknown published table 'chen2021' (did you mean 'chen2020'?)"),
        ({"rank_by": "scores"}, "unknown ranking rule 'scores' (did you mean 'score'?)"),
        ({"delta": 0.0}, "δ is 0 points (expected more than 0 and less than 100)"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError) as error:
        parse_options(**options)
    assert str(error.value) == message
