"""All figures of a leaderboard, by name, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError
from prunebench.reports.figures import ranks, scores
from prunebench.reports.figures.style import WIDTH, Style, settings
from prunebench.reports.leaderboard.report import Page, Section, Track
from prunebench.reports.leaderboard.retention import retention_points, sections_with_tasks
from prunebench.reports.render.files import file_names, write_files
from prunebench.reports.render.formatting import level, listing
from prunebench.reports.render.plots import FONT, render_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[], "Figure"]


def pictures(page: Page, style: Style | None = None) -> dict[str, Draw]:
    """The figures of a page by file name without its ending, as functions that draw them.

    For every task and track: scores, seeds and the score retained. A critical-difference diagram for each ranking with
    enough tasks.
    """
    style = style or Style.of(page)
    by_name: dict[str, Draw] = {}
    for name, draw in _pictures(page, style):
        free = next(candidate for candidate in file_names(name) if candidate not in by_name)
        by_name[free] = draw
    return by_name


def write(
    page: Page,
    out: Path,
    formats: Iterable[str],
    *,
    only: Sequence[str] = (),
    width: float = WIDTH,
    font: float = FONT,
) -> list[Path]:
    """Write figures into the folder `out`, in each of the formats, and return the paths.

    `only` are patterns of names, such as `score-*` or `retained`, of which a figure matches one; without any, all are
    written. `width` is that of every figure in inches, and `font` the size of its text in points. The metadata of each
    file say whether the bundle of the results was verified. Raises PrunebenchError if a pattern matches no figure.
    """
    style = Style.of(page, width, font)
    files: dict[str, bytes] = {}
    with settings():
        for name, draw in select_figures(pictures(page, style), only).items():
            files |= render_figure(name, draw, formats, font, page.verification)
    return write_files(out, files)


def select_figures(figures: Mapping[str, Draw], only: Sequence[str]) -> dict[str, Draw]:
    """The figures whose name, or a whole part of it from the start, matches one of the patterns; all without any."""
    for pattern in only:
        if not any(_matches(name, pattern) for name in figures):
            kinds = dict.fromkeys(name.partition("-")[0] for name in figures)
            hint = f"kinds are {listing(kinds)}; names are like {next(iter(figures), 'score-rte-unstructured')}"
            raise PrunebenchError(f"no figure is called {pattern!r}", hint)
    return {name: draw for name, draw in figures.items() if not only or any(_matches(name, each) for each in only)}


def _matches(name: str, pattern: str) -> bool:
    """Whether `score` matches `score-rte-unstructured`, as `score-rte-*` does."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}-*")


def _pictures(page: Page, style: Style) -> Iterator[tuple[str, Draw]]:
    for section, group in sections_with_tasks(page):
        points = retention_points(section, group)
        for track in section.tracks:
            if not track.levels or not any(entry.lines for entry in track.levels):
                continue
            yield from _of_track(section, track, style)
            of_track = [point for point in points if point.track == track.name and point.place.summary and point.share]
            if of_track:
                yield f"retained {section.name} {track.name}", partial(scores.retained, of_track, style)
    for ranking in page.rankings:
        for standing in ranking.standings:
            if standing.across.cd is not None:
                name = f"ranks {ranking.track} {level(standing.sparsity)}"
                yield name, partial(ranks.critical_difference, standing.across, style)


def _of_track(section: Section, track: Track, style: Style) -> Iterator[tuple[str, Draw]]:
    for i, column in enumerate(section.columns):
        name = f"{section.name} {column} {track.name}" if len(section.columns) > 1 else f"{section.name} {track.name}"
        yield f"score {name}", partial(scores.against_sparsity, section, track, i, style)
        yield f"seeds {name}", partial(scores.seeds, section, track, i, style)
