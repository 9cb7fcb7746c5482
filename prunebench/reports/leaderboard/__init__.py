"""Leaderboards from stored results: Markdown, CSV, JSON, LaTeX and a few lines for the terminal, of one page.

Torch-free. Imports `results` and `stats`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prunebench.errors import PrunebenchError, unknown
from prunebench.reports.leaderboard.data import to_csv, to_json
from prunebench.reports.leaderboard.layout import blocks
from prunebench.reports.leaderboard.model import RETAINED, Options, Page
from prunebench.reports.leaderboard.page import build
from prunebench.reports.leaderboard.published import papers
from prunebench.reports.leaderboard.ranking import check_rule
from prunebench.reports.leaderboard.summary import summary
from prunebench.reports.leaderboard.web import html
from prunebench.reports.render import files
from prunebench.reports.render.latex import latex
from prunebench.reports.render.markdown import markdown
from prunebench.results.filters import Selection, nothing, select
from prunebench.results.rows import Row
from prunebench.results.statistics import INTERVALS, T
from prunebench.results.statistics.matching import DELTA

__all__ = [
    "FORMATS",
    "Options",
    "Selection",
    "build",
    "choose",
    "loss_of",
    "parse_formats",
    "render",
    "select",
    "summary",
    "terminal",
    "write",
]

# A format: the file that it makes, and how.
FORMATS: dict[str, tuple[str, Callable[[Page], str]]] = {
    "md": ("README.md", lambda page: markdown(blocks(page))),
    "csv": ("results.csv", to_csv),
    "json": ("results.json", to_json),
    "tex": ("table.tex", lambda page: latex(blocks(page))),
    "html": ("index.html", html),
}


def parse_formats(text: str) -> tuple[str, ...]:
    """`md,csv` as names of formats."""
    return files.parse_formats(text, FORMATS)


def loss_of(points: float) -> float:
    """The δ of so many points of a hundred, as a fraction of a score."""
    if not 0 < points < 100:
        raise PrunebenchError(f"δ is {points:g} points", "expected more than 0 and less than 100")
    return points / 100


def choose(rank_by: str = RETAINED, delta: float = 100 * DELTA, published: str = "", interval: str = T) -> Options:
    """What a person chose of a page; `delta` in points, `published` a list of names."""
    if interval not in INTERVALS:
        raise unknown("interval", interval, INTERVALS)
    wanted = tuple(name for part in published.split(",") if (name := part.strip()))
    return Options(check_rule(rank_by), loss_of(delta), papers(wanted), interval)


def render(
    rows: Sequence[Row], out: Path, formats: Iterable[str] = tuple(FORMATS), options: Options | None = None
) -> list[Path]:
    """Write the page of `rows` into the folder `out`, a file a format, and return the files' paths."""
    return write(build(rows, options), out, formats)


def write(page: Page, out: Path, formats: Iterable[str]) -> list[Path]:
    """Write `page` into the folder `out`, a file a format, and return the files' paths."""
    return files.saved(out, {FORMATS[name][0]: FORMATS[name][1](page) for name in formats})


def terminal(rows: Sequence[Row]) -> str:
    """The page of `rows` in short, without a newline at its end; it says so where no cell is done yet."""
    if not any(row.status == "done" for row in rows):
        return str(nothing(rows))
    return summary(build(rows))
