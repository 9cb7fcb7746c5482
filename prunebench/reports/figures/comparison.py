"""The average ranks of a comparison as one picture. Imports `ranks`, `compare` and `analysis.drawing`."""

from __future__ import annotations

from functools import partial

from prunebench.errors import PrunebenchError
from prunebench.reports.comparison.report import Ranked, Report
from prunebench.reports.figures.ranks import critical_differences
from prunebench.reports.figures.style import settings
from prunebench.reports.render.numbers import level, listing
from prunebench.reports.render.plots import drawn
from prunebench.results.statistics.ranks import LEAST_BLOCKS, LEAST_METHODS


def picture(report: Report, kind: str) -> bytes:
    """A critical-difference diagram for each sparsity that has one, as a file of that format.

    An error where no sparsity has one.
    """
    titled = {_title(entry): entry.ranking for entry in report.ranked if entry.ranking.cd is not None}
    if not titled:
        hint = f"expected {LEAST_METHODS} methods or more, and {LEAST_BLOCKS} tasks or more that all of them have"
        raise PrunebenchError(f"there is no critical difference to draw: {_reason(report)}", hint)
    with settings():
        (data,) = drawn("ranks", partial(critical_differences, titled), [kind]).values()
    return data


def left_out(report: Report) -> list[str]:
    """A sentence for each sparsity whose ranks have no critical difference, so that they are not drawn."""
    found = [entry for entry in report.ranked if entry.ranking.cd is None]
    return [f"Not drawn: {_title(entry)}: {entry.ranking.reason}" for entry in found]


def _title(entry: Ranked) -> str:
    return f"sparsity {level(entry.sparsity)}, {len(entry.ranking.blocks)} tasks ({listing(entry.splits)})"


def _reason(report: Report) -> str:
    methods = len(report.methods) + (report.reference is not None)
    if methods < LEAST_METHODS:
        return f"{methods} methods"
    if not report.ranked:
        return "at no sparsity do all methods share two tasks"
    return max(report.ranked, key=lambda entry: len(entry.ranking.blocks)).ranking.reason
