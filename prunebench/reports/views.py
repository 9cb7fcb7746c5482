"""Leaderboards and comparisons as Python objects: they show themselves in a notebook, and become files on request."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import unknown_name
from prunebench.reports import comparison, leaderboard
from prunebench.reports.leaderboard.layout import blocks
from prunebench.reports.leaderboard.page_model import Page
from prunebench.reports.render.blocks import Details
from prunebench.reports.render.files import write_file
from prunebench.reports.render.markdown import markdown
from prunebench.reports.render.terminal import render
from prunebench.results.rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Leaderboard:
    """The methods of some results ranked, with all tables behind the ranking."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def to_text(self, *, colour: bool = False) -> str:
        """The ranking and the scores of every task, for a terminal."""
        return leaderboard.summary(self.page, colour=colour)

    def _repr_markdown_(self) -> str:
        """The ranking and the overviews, for a notebook; folded parts of the page are left out."""
        return markdown([block for block in blocks(self.page) if not isinstance(block, Details)])

    def to_markdown(self) -> str:
        return self._render("md")

    def to_latex(self) -> str:
        """The tables for a paper, with booktabs."""
        return self._render("tex")

    def to_html(self, path: str | Path | None = None) -> str:
        """The page for a browser as one file that needs no network; written to `path` where that is given."""
        html = self._render("html")
        if path is not None:
            write_file(Path(path), html)
        return html

    def to_csv(self) -> str:
        """The long table: a row for each cell, evaluation and metric."""
        return self._render("csv")

    def to_json(self) -> str:
        """Everything on the page, as `results.json` holds it."""
        return self._render("json")

    def write(self, folder: str | Path, formats: Iterable[str] = tuple(leaderboard.FORMATS)) -> list[Path]:
        """Write README.md, index.html, table.tex, results.csv and results.json into a folder."""
        return leaderboard.write(self.page, Path(folder), formats)

    def _render(self, name: str) -> str:
        return leaderboard.FORMATS[name][1](self.page)


class Comparison:
    """Methods against each other, seed by seed on every task and over tasks."""

    def __init__(self, report: comparison.Report) -> None:
        self.report = report

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def to_text(self, *, colour: bool = False) -> str:
        """The whole comparison, for a terminal."""
        return render(comparison.blocks(self.report), colour=colour)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def to_markdown(self) -> str:
        return comparison.FORMATS["md"](self.report)

    def to_csv(self) -> str:
        return comparison.FORMATS["csv"](self.report)

    def to_json(self) -> str:
        return comparison.FORMATS["json"](self.report)


def plot(rows: Sequence[Row], task: str | None = None, metric: str | None = None, track: str | None = None) -> Axes:
    """Score against sparsity: every method's mean with a band of one standard deviation, and the dense runs.

    Of the first task, metric and track unless others are named.
    """
    from prunebench.reports.figures.scores import against_sparsity
    from prunebench.reports.figures.style import Style

    page = leaderboard.build(rows)
    sections = {section.name: section for section in page.sections}
    section = sections[_choose("task", task, sections)]
    tracks = {each.name: each for each in section.tracks if each.levels}
    chosen = tracks[_choose("track", track, tracks)]
    column = section.columns.index(_choose("metric", metric, section.columns))
    return against_sparsity(section, chosen, column, Style.of(page)).axes[0]


def _choose(kind: str, name: str | None, known: Collection[str]) -> str:
    if name is not None and name not in known:
        raise unknown_name(kind, name, known)
    return name or next(iter(known))
