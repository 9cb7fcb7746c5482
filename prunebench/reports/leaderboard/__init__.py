"""A leaderboard: all methods of a benchmark on one page, as Markdown, HTML, LaTeX, CSV, JSON, or a few terminal lines.

`build` turns rows into a `Page`, and every format is rendered from that. In reading order:

`score`, `report`   the data of a page: sections, tracks, levels, lines, scores
`build`             builds it from rows
`task_section`      the section of one task
`averages`          the averages over the tasks of a benchmark
`crossed_scores`    errors of scores over seeds and examples
`marks`             the best scores, those close to them, and where the dense model learnt anything
`ranking_rules`     what a page can rank by
`ranking`           the ranking of each benchmark and track
`ranking_examples`  the values of examples in what methods are ranked by
`baselines`         how strong the dense models are
`error_notes`       what a page says about its errors
`ranking_notes`     what a ranking leaves out
`matching`          the largest sparsity that matches the dense model
`checklist`         what reviewers ask for
`intervals`         bootstrap intervals in place of t intervals
`retention`         scores retained, beside sizes and costs, for charts
`published`         tables of papers
`tables`            the tables of a page, as plain text
`page`              the page from top to bottom, for Markdown and LaTeX
`web`               the page for a browser
`schema`, `export`  results.json and results.csv
`terminal_summary`  the page in a few lines
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.reports.leaderboard.build import build
from prunebench.reports.leaderboard.export import to_csv, to_json
from prunebench.reports.leaderboard.page import blocks
from prunebench.reports.leaderboard.published import papers
from prunebench.reports.leaderboard.ranking_rules import check_rule
from prunebench.reports.leaderboard.report import RETAINED, Options, Page
from prunebench.reports.leaderboard.terminal_summary import summary
from prunebench.reports.leaderboard.web import html
from prunebench.reports.render import files
from prunebench.reports.render.latex import latex
from prunebench.reports.render.markdown import markdown
from prunebench.results.filters import Selection, no_results, select
from prunebench.results.rows import Row
from prunebench.results.statistics import INTERVALS, T
from prunebench.results.statistics.matching import DELTA

__all__ = [
    "FORMATS",
    "Options",
    "Selection",
    "build",
    "parse_delta",
    "parse_formats",
    "parse_options",
    "render",
    "select",
    "summarise_rows",
    "summary",
    "write",
]

# By the name of a format: the file that it writes, and the function that makes its text.
FORMATS: dict[str, tuple[str, Callable[[Page], str]]] = {
    "md": ("README.md", lambda page: markdown(blocks(page))),
    "csv": ("results.csv", to_csv),
    "json": ("results.json", to_json),
    "tex": ("table.tex", lambda page: latex(blocks(page))),
    "html": ("index.html", html),
}


def parse_formats(text: str) -> tuple[str, ...]:
    """Parse `md,csv` into names of formats."""
    return files.parse_formats(text, FORMATS)


def parse_delta(points: float) -> float:
    """Convert δ from points of a hundred to a fraction. Raises `PrunebenchError` if it is out of range."""
    if not 0 < points < 100:
        raise PrunebenchError(f"δ is {points:g} points", "expected more than 0 and less than 100")
    return points / 100


def parse_options(
    rank_by: str = RETAINED, delta: float = 100 * DELTA, published: str = "", interval: str = T
) -> Options:
    """Parse the options of a page as the command line gives them: `delta` in points, `published` as `a,b`.

    Raises `PrunebenchError` for an unknown name and for a δ out of range.
    """
    if interval not in INTERVALS:
        raise unknown_name("interval", interval, INTERVALS)
    names = tuple(name for part in published.split(",") if (name := part.strip()))
    return Options(check_rule(rank_by), parse_delta(delta), papers(names), interval)


def render(
    rows: Sequence[Row], out: Path, formats: Iterable[str] = tuple(FORMATS), options: Options | None = None
) -> list[Path]:
    """Build the page of `rows`, write it into the folder `out`, a file per format, and return the files' paths."""
    return write(build(rows, options), out, formats)


def write(page: Page, out: Path, formats: Iterable[str]) -> list[Path]:
    """Write `page` into the folder `out`, a file per format, and return the files' paths."""
    return files.write_files(out, {FORMATS[name][0]: FORMATS[name][1](page) for name in formats})


def summarise_rows(rows: Sequence[Row], *, colour: bool = False) -> str:
    """The page of `rows` in a few lines without a trailing newline, or why there is none if no cell is done."""
    if not any(row.status == "done" for row in rows):
        return str(no_results(rows))
    return summary(build(rows), colour=colour)
