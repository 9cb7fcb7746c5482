"""The average ranks of a comparison as one picture: a critical-difference diagram for each sparsity."""

from __future__ import annotations

from functools import partial

from prunebench.errors import PrunebenchError
from prunebench.reports.comparison.report import Report, TaskRanking
from prunebench.reports.figures.ranks import critical_differences
from prunebench.reports.figures.style import settings
from prunebench.reports.render.formatting import level, listing
from prunebench.reports.render.plots import render_figure
from prunebench.results.statistics.ranks import MIN_BLOCKS, MIN_METHODS


def draw_ranks(report: Report, kind: str) -> bytes:
    """The diagrams of all sparsities that have a critical difference, below each other, as a file of the format `kind`.

    Raises PrunebenchError if no sparsity has one.
    """
    rankings = {_title(entry): entry.ranking for entry in report.rankings if entry.ranking.cd is not None}
    if not rankings:
        hint = f"expected at least {MIN_METHODS} methods, and at least {MIN_BLOCKS} tasks that all of them have"
        raise PrunebenchError(f"there is no critical difference to draw: {_reason(report)}", hint)
    draw = partial(critical_differences, rankings)
    with settings():
        (data,) = render_figure("ranks", draw, [kind], report.verification).values()
    return data


def omissions(report: Report) -> list[str]:
    """A sentence for each sparsity that `draw_ranks` leaves out, with the reason."""
    omitted = [entry for entry in report.rankings if entry.ranking.cd is None]
    return [f"Not drawn: {_title(entry)}: {entry.ranking.reason}" for entry in omitted]


def _title(entry: TaskRanking) -> str:
    return f"sparsity {level(entry.sparsity)}, {len(entry.ranking.blocks)} tasks ({listing(entry.splits)})"


def _reason(report: Report) -> str:
    methods = len(report.methods) + (report.reference is not None)
    if methods < MIN_METHODS:
        return f"{methods} methods"
    if not report.rankings:
        return "no sparsity has two tasks that all methods share"
    return max(report.rankings, key=lambda entry: len(entry.ranking.blocks)).ranking.reason
