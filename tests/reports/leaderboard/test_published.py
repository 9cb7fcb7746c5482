"""Tables of papers, and the checks of a page's options."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from lab import golden_lab

from prunebench import PrunebenchError
from prunebench.reports.leaderboard import build, parse_options
from prunebench.reports.leaderboard.page import blocks
from prunebench.reports.leaderboard.published import (
    PublishedScore,
    dense_scores,
    names,
    papers,
    scores,
    sources,
)
from prunebench.reports.leaderboard.published.scores import parse
from prunebench.reports.render.markdown import markdown


def test_published_rows_are_marked_and_state_their_setting() -> None:
    text = markdown(blocks(build(golden_lab().rows(), parse_options(published="chen2020,prasanna2020"))))
    assert "## Published results" in text
    assert "Reported, not measured here, and never ranked: Chen et al. 2020" in text
    assert "Model bert-base-uncased, split dev, 5 seeds" in text
    (imp,) = [line for line in text.splitlines() if line.startswith("| imp (reported)") and "82.6" in line]
    assert [entry.strip() for entry in imp.strip("|").split("|")][1:4] == ["82.6 ± 0.2", "90.0 ± 0.2", "88.2 ± 0.2"]
    assert "bad, retrained (reported)" in text


def test_published_rows_change_no_ranking() -> None:
    plain, with_papers = build(golden_lab().rows()), build(golden_lab().rows(), parse_options(published="all"))
    assert with_papers.rankings == plain.rankings and with_papers.sections == plain.sections
    assert [paper.name for paper in with_papers.options.published] == names()


def test_entries_of_the_papers() -> None:
    """Some entries of Chen et al. 2020, table 2, and of Prasanna et al. 2020."""
    chen, prasanna = papers(("chen2020", "prasanna2020"))
    columns = {(column.task, column.metric): i for i, column in enumerate(chen.columns)}
    rows = {row.method: row for row in chen.rows}
    cola = columns["cola", "matthews_correlation"]
    assert (rows["dense"].mean[cola], rows["imp"].mean[cola], rows["random-reinit"].mean[cola]) == (54.5, 53.8, 0.0)
    assert rows["imp"].std[columns["rte", "accuracy"]] == 2.4
    assert set(rows["layer-shuffle"].std) == {None}
    assert {column.task: column.sparsity for column in chen.columns}["qqp"] == 0.9
    (bad,) = [row for row in prasanna.rows if row.method == "bad, retrained"]
    assert [column.metric for column, mean in zip(prasanna.columns, bad.mean, strict=True) if mean is None] == ["f1"]


def test_methods_at_90_percent_on_mnli() -> None:
    """All distilled, BERT-base, matched dev: as the README and model cards of each print it."""
    found = {
        score.method: (score.value, score.distilled)
        for score in scores()
        if (score.task, score.evaluation, score.metric) == ("mnli", "matched", "accuracy")
        and score.sparsity == 0.9
        and score.model == "bert-base-uncased"
        and score.distilled
    }
    expected = {"obert-30-epochs": 83.787, "smp-s": 83.7, "prune-ofa": 81.45, "soft-movement": 81.2, "movement": 80.1}
    assert {method: found[method] for method in expected} == {
        method: (pytest.approx(value, abs=0.005), True) for method, value in expected.items()
    }


def test_rows_with_and_without_a_teacher_are_apart() -> None:
    (movement,) = papers(("sanh2020",))
    marks = {row.distilled for row in movement.rows if row.method == "movement"}
    assert marks == {True, False}
    assert "movement, 90 %, distilled" in {row.label for row in movement.rows}


def test_every_number_stands_in_the_table_of_its_source() -> None:
    for paper in papers(("all",)):
        own = Counter(
            (score.task, score.evaluation, score.metric, score.method, score.value)
            for score in scores()
            if score.source == paper.name
        )
        shown = Counter(
            (column.task, column.evaluation, column.metric, row.method, value)
            for row in paper.rows
            for column, value in zip(paper.columns, row.mean, strict=True)
            if value is not None
        )
        assert shown == own


def test_every_row_has_a_known_source() -> None:
    assert {score.source for score in scores()} == set(sources())
    assert len(scores()) == 862


@pytest.mark.parametrize(
    ("model", "value"),
    [
        ("google-bert/bert-base-uncased", 66.2),  # Chen et al., Table 2
        ("google-bert/bert-base-uncased@86b5e09", 66.2),
        ("microsoft/MiniLM-L12-H384-uncased", 73.3),  # README of MiniLM
        ("google/bert_uncased_L-2_H-128_A-2", 57.2),  # README of the miniatures, on test
        ("google/electra-small-discriminator", 66.7),
        ("sentence-transformers/all-MiniLM-L6-v2", None),
    ],
)
def test_dense_scores_of_models_on_the_hub(model: str, value: float | None) -> None:
    found = {score.value for score in dense_scores(model, "rte")}
    assert value in found if value else not found


@pytest.mark.parametrize(
    ("field", "value"),
    [("value", "101"), ("sparsity", "1.5"), ("split", "train"), ("seeds", "0"), ("distilled", "maybe")],
)
def test_a_row_that_cannot_be_is_refused(field: str, value: str) -> None:
    good = {name: "" if (v := getattr(scores()[0], name)) is None else str(v) for name in PublishedScore.model_fields}
    assert parse(good) == scores()[0]
    with pytest.raises(ValueError, match=field):
        parse({**good, field: value})


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
