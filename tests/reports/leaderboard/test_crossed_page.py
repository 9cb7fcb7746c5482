"""Pages with errors over seeds and examples: against plain formulas on the committed results of `quick`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from commands import call
from lab import Lab

from prunebench.api import load
from prunebench.hooks.registry import Registry
from prunebench.reports.leaderboard import build
from prunebench.reports.leaderboard.schema import read
from prunebench.results.rows import Row
from prunebench.tasks.task import DataSource

BUNDLE = Path(__file__).parents[3] / "leaderboards" / "quick" / "bundle.zip"


@pytest.fixture(scope="module")
def results():
    return load(BUNDLE)


@pytest.fixture(scope="module")
def page(results):
    return results.leaderboard().page


def section_of(page, name):
    return next(section for section in page.sections if section.name == name)


def line_of(section, label, sparsity):
    return next(
        line
        for track in section.tracks
        for level in track.levels
        for line in level.lines
        if (line.label, level.sparsity) == (label, sparsity)
    )


def right(results, task, label, sparsity) -> np.ndarray:
    """Whether each prediction is right, shape (seeds, examples), from the bundle and the task's own data."""
    gold = np.array(Registry().get("tasks", task).load(DataSource()).evaluations["validation"].labels)
    rows: dict[int, Row] = {
        row.cell.seed: row
        for row in results.rows
        if (row.cell.task, row.cell.label, row.cell.sparsity) == (task, label, sparsity)
    }
    return np.array([results.source.predictions(rows[seed].cell.key)["validation"] == gold for seed in sorted(rows)])


def plain(table) -> tuple[float, float]:
    """The error and degrees of freedom of a two-way layout, written out."""
    n, m = table.shape
    seeds = m * table.mean(axis=1).var(ddof=1)
    texts = n * table.mean(axis=0).var(ddof=1)
    fitted = table.mean(axis=1, keepdims=True) + table.mean(axis=0, keepdims=True) - table.mean()
    rest = ((table - fitted) ** 2).sum() / ((n - 1) * (m - 1))
    total = max(seeds + texts - rest, seeds, texts)
    degrees = total**2 / (max(seeds, 0.8 * rest) ** 2 / (n - 1) + texts**2 / (m - 1) + rest**2 / ((n - 1) * (m - 1)))
    return math.sqrt(total / (n * m)), degrees


def test_errors_of_scores_and_differences_are_those_of_right_and_wrong(results, page):
    section = section_of(page, "sentiment")
    dense = right(results, "sentiment", "dense", 0.0).astype(float)
    for label in ("imp", "magnitude", "random-pruning"):
        own = right(results, "sentiment", label, 0.7).astype(float)
        score = line_of(section, label, 0.7).scores[0]
        assert score.crossed.score.mean == score.summary.mean
        assert score.crossed.difference.mean == score.difference.mean
        if own.std(axis=1).any() and label != "random-pruning":
            assert (score.crossed.score.error, score.crossed.score.degrees) == pytest.approx(plain(own), rel=1e-4)
        expected = plain(own - dense)
        assert (score.crossed.difference.error, score.crossed.difference.degrees) == pytest.approx(expected, rel=1e-4)


def test_the_error_of_a_score_is_never_below_that_of_either_alone(page):
    for section in page.sections:
        for line in (section.dense, line_of(section, "imp", 0.7)):
            for score in line.scores:
                assert score.crossed.score.error >= score.summary.std / math.sqrt(score.summary.n) - 1e-9


def test_an_average_adds_the_variances_of_its_tasks(page):
    [average] = page.averages
    score = line_of(average, "imp", 0.7).scores[0]
    variances = []
    for section in page.sections:
        table = np.mean([s.examples.own.table(range(5)) for s in line_of(section, "imp", 0.7).scores], axis=0)
        variances.append(plain(table)[0] ** 2)
    assert score.crossed.score.error == pytest.approx(math.sqrt(sum(variances)) / 5, rel=1e-4)


def test_the_share_retained_has_the_error_of_the_delta_method(results, page):
    """One task, accuracy: r = (a − m) / (d − m), whose error is that of (a − m) − r·(d − m), over d − m."""
    one = results.select(tasks="sentiment").leaderboard().page
    [standing] = [entry for entry in one.rankings[0].standings if entry.sparsity == 0.7]
    [placement] = [place for place in standing.placements if place.label == "imp"]
    own, dense = (
        right(results, "sentiment", label, level).astype(float) for label, level in (("imp", 0.7), ("dense", 0.0))
    )
    gold = np.array(Registry().get("tasks", "sentiment").load(DataSource()).evaluations["validation"].labels)
    errors = []
    for label in (0, 1):
        majority = (gold == label).astype(float)
        learnt = (dense - majority).mean()
        ratio = (own - majority).mean() / learnt
        errors.append(plain((own - majority - ratio * (dense - majority)) / learnt)[0])
        assert placement.crossed.mean == pytest.approx(ratio)
    # Both classes are as frequent in the dev split.
    assert min(abs(placement.crossed.error - error) for error in errors) < 1e-6


def test_learnt_and_baseline_come_from_the_difference_to_the_majority_class(results, page):
    section = section_of(page, "sentiment")
    gold = np.array(Registry().get("tasks", "sentiment").load(DataSource()).evaluations["validation"].labels)
    dense = right(results, "sentiment", "dense", 0.0).astype(float)
    [baseline] = [each for each in page.baselines if each.task == "sentiment"]
    mean, interval = baseline.above
    assert mean == pytest.approx(dense.mean() - 0.5)
    halves = []
    for label in (0, 1):
        error, degrees = plain(dense - (gold == label))
        halves.append(scipy.stats.t.ppf(0.975, degrees) * error)
    assert (interval.high - interval.low) / 2 in [pytest.approx(half, rel=1e-4) for half in halves]
    assert section.learnt == (True,)
    losses = [row.outcome.loss for row in results.rows if row.cell.is_plain_dense and row.cell.task == "sentiment"]
    assert baseline.loss == pytest.approx(np.mean(losses) / math.log(2))
    assert baseline.published == {}


def test_no_interval_of_a_score_is_above_100_or_below_the_least_value(page):
    scores = [
        score
        for section in (*page.sections, *page.averages)
        for track in section.tracks
        for level in track.levels
        for line in level.lines
        for score in line.scores
    ]
    raw = [score.crossed.score.interval() for score in scores]
    shown = [bounds for score in scores for bounds in (score.bounds, score.crossed_bounds) if bounds]
    assert max(interval.high for interval in raw) > 1, "an interval that has to be cut"
    assert all(-1 <= bounds.low <= bounds.high <= 1 for bounds in shown)


def test_files_hold_both_errors(results, tmp_path):
    view = results.select(tasks="sentiment").leaderboard()
    view.write(tmp_path)
    entry = next(each for each in read(tmp_path / "results.json").summary if each.label == "imp" and each.sparsity > 0)
    assert entry.crossed.error > 0
    assert entry.crossed_difference.low < entry.difference.mean < entry.crossed_difference.high
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "95 %, seeds and examples" in text
    assert "over seeds alone:" not in text
    baselines = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["baselines"]
    assert [each["task"] for each in baselines] == ["sentiment"]


def test_without_labels_a_page_says_so_and_how_to_get_them():
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.7 + seed / 100)
        lab.done("rte", "imp", 0.5, seed, 0.69 + seed / 100)
    page = build(lab.rows())
    [note] = page.error_notes
    assert note.startswith("Errors on rte are over seeds alone")
    assert "--glue-dir" in note
    assert page.sections[0].dense.scores[0].crossed.score is None


def test_where_dense_is_at_the_majority_class_the_table_says_why_nothing_is_ranked():
    lab = Lab()
    for seed, value in enumerate((0.54, 0.56, 0.55)):
        lab.done("rte", "dense", 0.0, seed, value)
        lab.done("rte", "imp", 0.5, seed, value)
    from prunebench.reports.leaderboard.tables.baselines import baseline_table

    page = build(lab.rows())
    [baseline] = page.baselines
    assert not baseline.learnt
    [note] = baseline_table(page.baselines).notes
    assert note.startswith("rte, accuracy: nothing is ranked, bold, a match or a winning ticket")
    assert not page.rankings or all(p.rank is None for s in page.rankings[0].standings for p in s.placements)


def test_a_published_score_is_that_of_the_same_model_split_and_metric():
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.66, setting={"model": "bert-base-uncased"})
    [baseline] = build(lab.rows()).baselines
    assert baseline.published == {
        "Chen et al. 2020": pytest.approx(0.662),
        "Prasanna et al. 2020": pytest.approx(0.632),
        "Sanh et al. 2019": pytest.approx(0.693),
        "Xu et al. 2020": pytest.approx(0.711),
    }


def test_a_folder_with_glue_gives_the_labels_of_a_bundle(tmp_path, on_tiny, tiny_glue):
    """A bundle of a task of GLUE, without any labels but those in the folder."""
    words = ["--tasks", "rte", "--strategies", "magnitude", "--sparsities", "0.5", "--seeds", "2", "--epochs", "1"]
    store, bundle = tmp_path / "store", tmp_path / "bundle.zip"
    assert call("run", *words, *on_tiny, "--store", store).status == 0
    assert call("bundle", "--store", store, "--out", bundle).status == 0
    without = call("leaderboard", "--bundle", bundle, "--out", tmp_path / "a")
    with_folder = call("leaderboard", "--bundle", bundle, "--glue-dir", tiny_glue, "--out", tmp_path / "b")
    from_store = call("leaderboard", "--store", store, "--out", tmp_path / "c")
    assert without.status == with_folder.status == from_store.status == 0
    crossed = [[entry.crossed for entry in read(tmp_path / name / "results.json").summary] for name in ("a", "b", "c")]
    assert crossed[0] == [None] * len(crossed[0])
    assert crossed[1] == crossed[2]
    assert None not in crossed[1]
