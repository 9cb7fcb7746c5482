"""The one chart that a page begins with: the score that every method retains, by sparsity.

Where nothing is ranked by a share of dense, it is the score itself, of the first task or average, beside the dense runs
and the majority class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prunebench.reports.leaderboard.headline import main_ranking
from prunebench.reports.leaderboard.report import RATIO, RETAINED, Page, Ranking, Section, Track
from prunebench.reports.render.svg import LineChart, Series, line_chart
from prunebench.results.statistics import Summary

FILE = "glance.svg"
# Shares of what dense learned below this are cut off.
LEAST = -30.0
Y_LABELS = {RETAINED: "score retained above chance, %", RATIO: "score, % of dense"}


def glance(page: Page) -> str:
    """The chart as an SVG document, or "" if the page has nothing to draw."""
    chart = glance_chart(page)
    return line_chart(chart) if chart else ""


def glance_chart(page: Page) -> LineChart | None:
    """The chart of the page's first ranking; None if no method has a score."""
    ranking = main_ranking(page)
    if ranking is not None and ranking.rule in Y_LABELS and any(_summaries(ranking)):
        return _of_ranking(page, ranking)
    for section in (*page.averages, *page.sections):
        for track in section.tracks:
            if any(line.scores[0].summary for level in track.levels for line in level.lines):
                return _of_scores(page, section, track)
    return None


def ordered_methods(page: Page) -> dict[str, bool]:
    """All methods but dense in the order of their colours, and whether each is a control."""
    methods = [method for method in page.methods if method.label != "dense"]
    methods.sort(key=lambda method: (method.reference, bool(method.control_of), method.label))
    return {method.label: bool(method.control_of) for method in methods}


def _summaries(ranking: Ranking) -> Iterable[tuple[str, float, Summary]]:
    return (
        (each.label, standing.sparsity, each.summary)
        for standing in ranking.standings
        for each in standing.placements
        if each.summary
    )


def _of_ranking(page: Page, ranking: Ranking) -> LineChart:
    summaries = list(_summaries(ranking))
    cut = any(summary.mean < LEAST / 100 for _, _, summary in summaries)
    guides = [("dense", 100.0)] + ([("majority class", 100 * ranking.majority)] if ranking.majority is not None else [])
    return LineChart(
        title=f"{ranking.title}, {ranking.track} methods",
        x_label="sparsity",
        y_label=Y_LABELS[ranking.rule] + (f", from {LEAST:g}".replace("-", "−") if cut else ""),
        series=_series(page, summaries),
        guides=tuple(guides),
        least=LEAST,
    )


def _of_scores(page: Page, section: Section, track: Track) -> LineChart:
    lines = [(line, level.sparsity) for level in track.levels for line in level.lines]
    summaries = [(line.label, sparsity, line.scores[0].summary) for line, sparsity in lines]
    dense, majority = section.dense.scores[0].summary, section.majority[0]
    guides = [("dense", 100 * dense.mean)] if dense else []
    guides += [("majority class", 100 * majority)] if majority is not None else []
    return LineChart(
        title=f"{section.title}, {track.name} methods",
        x_label="sparsity",
        y_label=f"{section.columns[0]} × 100",
        series=_series(page, [(label, sparsity, each) for label, sparsity, each in summaries if each]),
        guides=tuple(guides),
    )


def _series(page: Page, summaries: Sequence[tuple[str, float, Summary]]) -> tuple[Series, ...]:
    points: dict[str, list[tuple[float, float, float | None]]] = {}
    for label, sparsity, summary in summaries:
        std = None if summary.std is None else 100 * summary.std
        points.setdefault(label, []).append((sparsity, 100 * summary.mean, std))
    return tuple(
        Series(label, tuple(sorted(points[label])), i, dotted=control)
        for i, (label, control) in enumerate(ordered_methods(page).items())
        if label in points
    )
