"""All figures of a leaderboard, by name, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.reports.figures import ranks, scores
from prunebench.reports.figures.style import Style, settings
from prunebench.reports.leaderboard.report import Page, Section, Track
from prunebench.reports.leaderboard.retention import retention_points, sections_with_tasks
from prunebench.reports.render.files import write_files
from prunebench.reports.render.formatting import level
from prunebench.reports.render.plots import render_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[], "Figure"]


def pictures(page: Page) -> dict[str, Draw]:
    """The figures of a page by file name without its ending, as functions that draw them.

    For every task and track: scores, seeds and the score retained. A critical-difference diagram for each ranking with
    enough tasks.
    """
    style = Style.of(page)
    by_name: dict[str, Draw] = {}
    for name, draw in _pictures(page, style):
        free = next(candidate for candidate in _file_names(name) if candidate not in by_name)
        by_name[free] = draw
    return by_name


def write(page: Page, out: Path, formats: Iterable[str]) -> list[Path]:
    """Write every figure into the folder `out`, in each of the formats, and return the paths.

    The metadata of each file say whether the bundle of the results was verified.
    """
    files: dict[str, bytes] = {}
    with settings():
        for name, draw in pictures(page).items():
            files |= render_figure(name, draw, formats, page.verification)
    return write_files(out, files)


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
                yield name, partial(ranks.critical_difference, standing.across)


def _of_track(section: Section, track: Track, style: Style) -> Iterator[tuple[str, Draw]]:
    for i, column in enumerate(section.columns):
        name = f"{section.name} {column} {track.name}" if len(section.columns) > 1 else f"{section.name} {track.name}"
        yield f"score {name}", partial(scores.against_sparsity, section, track, i, style)
        yield f"seeds {name}", partial(scores.seeds, section, track, i, style)


def _file_names(name: str) -> Iterator[str]:
    """The name as a file name: `score-rte-unstructured`, then the same with -2, -3 and so on, if it is taken."""
    # A point is left within a number only.
    plain = re.sub(r"(?:(?!(?<=\d)\.(?=\d))[^A-Za-z0-9])+", "-", name).strip("-")
    yield plain
    for i in range(2, 1000):
        yield f"{plain}-{i}"
