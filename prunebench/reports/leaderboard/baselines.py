"""How strong the dense model of each task is, which all methods are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from prunebench.reports.examples import Examples
from prunebench.reports.leaderboard.marks import above_majority
from prunebench.reports.leaderboard.published import dense_scores, sources
from prunebench.reports.leaderboard.report import Baseline, Score, Section
from prunebench.reports.render.formatting import limits, metric_name
from prunebench.results.rows import Row
from prunebench.results.statistics import Interval

TWICE = "dense[trainings=2]"


def baselines(section: Section, rows: Sequence[Row], examples: Examples | None) -> Iterator[Baseline]:
    """A baseline for each metric of a task, from its section and its rows."""
    twice = next((line for line in section.references if line.label == TWICE), None)
    models = {row.cell.setting.model for row in rows}
    for i, column in enumerate(section.columns):
        score = section.dense.scores[i]
        yield Baseline(
            section.name,
            column,
            score.summary.mean if score.summary else None,
            section.majority[i],
            _above(score, section.majority[i]),
            section.learnt[i],
            _loss_share(rows, examples),
            _difference(twice.scores[i]) if twice else None,
            _published(section, column, models),
        )


def _above(score: Score, majority: float | None) -> tuple[float, Interval | None] | None:
    if score.summary is None or majority is None:
        return None
    estimate = above_majority(score, majority)
    return score.summary.mean - majority, estimate.interval() if estimate else None


def _difference(score: Score) -> tuple[float, Interval | None] | None:
    if score.difference is None:
        return None
    crossed = score.crossed.difference
    return score.difference.mean, crossed.interval() if crossed else limits(score.difference)


def _loss_share(rows: Sequence[Row], examples: Examples | None) -> float | None:
    dense = [row for row in rows if row.cell.is_plain_dense and row.outcome and row.outcome.loss is not None]
    entropy = examples.entropy(dense[0]) if examples and dense else None
    if not entropy:
        return None
    return fmean(row.outcome.loss for row in dense if row.outcome and row.outcome.loss is not None) / entropy


def _published(section: Section, column: str, models: set[str]) -> dict[str, float]:
    """What others published of the dense model on this split, as fractions by the short name of the source."""
    return {
        sources()[score.source].citation.partition(",")[0]: score.value / 100
        for model in models
        for score in dense_scores(model, section.name)
        if score.split == section.split and f"{metric_name(score.metric)} {score.evaluation}".strip() == column
    }
