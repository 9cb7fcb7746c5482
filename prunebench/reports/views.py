"""Results, leaderboards and comparisons as Python objects: they show themselves in a notebook, and become files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.execution.runner import RunResult
from prunebench.hooks.registry import Registry
from prunebench.recipes.options import split_list
from prunebench.reports import comparison, leaderboard
from prunebench.reports.leaderboard.page import blocks
from prunebench.reports.leaderboard.report import Page
from prunebench.reports.render.blocks import Details
from prunebench.reports.render.files import write_file
from prunebench.reports.render.markdown import markdown
from prunebench.reports.render.terminal import render
from prunebench.results import export
from prunebench.results.filters import Selection, allow_mixed, no_results, one_setting, select
from prunebench.results.rows import Row
from prunebench.results.warnings import older_versions
from prunebench.store.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from prunebench.sharing.bundle.reader import Bundle


class Results:
    """The results of a run, a store or a bundle: one row for each method, task, sparsity, seed and metric.

    `failures` says why cells have no result. In a notebook the object shows its leaderboard.
    """

    def __init__(
        self, rows: Sequence[Row], source: Store | Bundle, registry: Registry, run: RunResult | None = None
    ) -> None:
        self.rows = list(rows)
        self.source = source
        self.registry = registry
        self.run = run

    @property
    def failures(self) -> dict[str, str]:
        """By method, sparsity, task and seed, the reason why there is no result."""
        failed = {}
        for row in self.rows:
            if row.status.startswith("failed: "):
                cell = row.cell
                name = f"{cell.label} at {cell.sparsity:g} on {cell.task}, seed {cell.seed}"
                failed[name] = row.status.removeprefix("failed: ")
        return failed

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return self.to_text()

    def to_text(self, *, colour: bool = False) -> str:
        """The ranking and the scores of every task, for a terminal."""
        return leaderboard.summarise_rows(self.rows, colour=colour)

    def _repr_markdown_(self) -> str:
        if not any(row.status == "done" for row in self.rows):
            return str(no_results(self.rows))
        return self.leaderboard()._repr_markdown_()

    @property
    def store(self) -> Store:
        """The store of the results. Raises PrunebenchError where they come from a bundle."""
        if not isinstance(self.source, Store):
            raise PrunebenchError("a bundle holds no masks or weights", "expected the results of a store")
        return self.source

    @property
    def verification(self) -> str:
        """Whether and how the bundle of the results was verified, as a sentence; "" for the results of a store."""
        return "" if isinstance(self.source, Store) else self.source.verification

    def on_one_page(self, mixed: bool = False) -> tuple[list[Row], tuple[str, ...]]:
        """The rows that may stand on one page, and sentences on what is `mixed` or left out there.

        Raises PrunebenchError if settings differ.
        """
        if not self.rows:
            raise no_results(self.rows)
        rows, mixtures = allow_mixed(self.rows) if mixed else (one_setting(self.rows), ())
        return rows, (*mixtures, *older_versions(rows))

    def frame(self) -> pd.DataFrame:
        """The long table as a DataFrame. Scores are fractions from 0 to 1; what is not known is missing."""
        return export.frame(self.rows)

    def select(
        self, *, tasks: str | Iterable[str] = (), strategies: str | Iterable[str] = (), **setting: str
    ) -> Results:
        """The rows of these tasks and strategies, with dense beside them; `setting` may name a model, protocol, …"""
        selection = Selection(_names(tasks), _names(strategies), **setting)
        return Results(select(self.rows, selection), self.source, self.registry, self.run)

    def leaderboard(
        self,
        *,
        rank_by: str = "retained",
        delta: float = 1.0,
        interval: str = "t",
        published: str = "",
        mixed: bool = False,
    ) -> Leaderboard:
        """Methods ranked by what they retain of dense (or by `score` or `rank`), with all tables.

        `delta` are the points that a non-inferior method may lose, `interval` is "t" or "bootstrap", `published` names
        papers whose tables are shown as reported. `mixed` allows different settings on one page.
        """
        return Leaderboard(
            leaderboard.build(
                self.rows,
                leaderboard.parse_options(rank_by, delta, published, interval),
                mixed=mixed,
                verification=self.verification,
            )
        )

    def compare(
        self,
        *methods: str,
        reference: str | None = None,
        sparsities: Iterable[float] = (),
        interval: str = "t",
        mcnemar: bool = False,
        glue_dir: str | None = None,
        mixed: bool = False,
    ) -> Comparison:
        """Paired differences of methods with intervals, effect sizes and corrected p, seed by seed and over tasks."""
        if interval not in comparison.INTERVALS:
            raise unknown_name("interval", interval, comparison.INTERVALS)
        report = comparison.build(
            self.rows,
            methods,
            reference,
            tuple(sparsities),
            interval=interval,
            mixed=mixed,
            verification=self.verification,
        )
        if mcnemar:
            from prunebench.reports.comparison.predictions import add_example_comparisons

            report = add_example_comparisons(report, self.source, self.registry, glue_dir)
        return Comparison(report)

    def plot(self, task: str | None = None, metric: str | None = None, track: str | None = None) -> Axes:
        """Score against sparsity with bands of one standard deviation and every seed, as matplotlib axes."""
        return plot(self.rows, task, metric, track)


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
    """Score against sparsity: every method's mean with a band of one standard deviation, every seed, and dense.

    It takes the first task, metric and track unless others are named. The figure belongs to pyplot, so that a notebook
    shows it.
    """
    import matplotlib.pyplot as plt

    from prunebench.reports.figures.scores import against_sparsity
    from prunebench.reports.figures.style import WIDTH, Style

    page = leaderboard.build(rows)
    sections = {section.name: section for section in page.sections}
    section = sections[_choose("task", task, sections)]
    tracks = {each.name: each for each in section.tracks if each.levels}
    selected = tracks[_choose("track", track, tracks)]
    column = section.columns.index(_choose("metric", metric, section.columns))
    style = Style.of(page)
    figure = plt.figure(figsize=(WIDTH, 3.3), layout="constrained")
    axes = against_sparsity(section, selected, column, style, figure).axes[0]
    for entry in selected.levels:
        for line in entry.lines:
            values = [100 * value for value in line.scores[column].values.values()]
            axes.plot([entry.sparsity] * len(values), values, ".", color=style.looks[line.label].colour, alpha=0.5)
    return axes


def _choose(kind: str, name: str | None, known: Collection[str]) -> str:
    if name is not None and name not in known:
        raise unknown_name(kind, name, known)
    return name or next(iter(known))


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(split_list(value)) if isinstance(value, str) else tuple(value)
