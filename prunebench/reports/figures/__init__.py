"""Figures of a leaderboard for papers: what there is to draw, by name. Imports `leaderboard`, `analysis.drawing`.

`compared` draws the ranks of a comparison instead, for which it imports `compare`.
No display is needed, and the same results give the same bytes. matplotlib is imported where it draws.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.reports.figures import ranks, scores
from prunebench.reports.figures.style import Style, settings
from prunebench.reports.leaderboard.page_model import Page, Section, Track
from prunebench.reports.leaderboard.retention import kept, sections
from prunebench.reports.render.files import saved
from prunebench.reports.render.formatting import level
from prunebench.reports.render.plots import drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Make = Callable[[], "Figure"]


def pictures(page: Page) -> dict[str, Make]:
    """What there is to draw, by the name of its file: scores, seeds and what is retained of every task and track, and
    a critical-difference diagram wherever there are tasks enough."""
    style = Style.of(page)
    found: dict[str, Make] = {}
    for name, make in _pictures(page, style):
        free = next(each for each in _names(name) if each not in found)
        found[free] = make
    return found


def write(page: Page, out: Path, formats: Iterable[str]) -> list[Path]:
    """Write every picture into the folder `out`, a file a format, and return the files' paths."""
    files: dict[str, bytes] = {}
    with settings():
        for name, make in pictures(page).items():
            files |= drawn(name, make, formats)
    return saved(out, files)


def _pictures(page: Page, style: Style) -> Iterator[tuple[str, Make]]:
    for section, group in sections(page):
        points = kept(section, group)
        for track in section.tracks:
            if not track.levels or not any(entry.lines for entry in track.levels):
                continue
            yield from _of_track(section, track, style)
            own = [point for point in points if point.track == track.name and point.place.summary and point.share]
            if own:
                yield f"retained {section.name} {track.name}", partial(scores.retained, own, style)
    for ranking in page.rankings:
        for standing in ranking.standings:
            if standing.across.cd is not None:
                name = f"ranks {ranking.track} {level(standing.sparsity)}"
                yield name, partial(ranks.critical_difference, standing.across)


def _of_track(section: Section, track: Track, style: Style) -> Iterator[tuple[str, Make]]:
    for i, column in enumerate(section.columns):
        name = f"{section.name} {column} {track.name}" if len(section.columns) > 1 else f"{section.name} {track.name}"
        yield f"score {name}", partial(scores.against_sparsity, section, track, i, style)
        yield f"seeds {name}", partial(scores.seeds, section, track, i, style)


def _names(name: str) -> Iterator[str]:
    """The name as a file's, and what it is called where that is taken."""
    # A point stays within a number only.
    plain = re.sub(r"(?:(?!(?<=\d)\.(?=\d))[^A-Za-z0-9])+", "-", name).strip("-")
    yield plain
    for i in range(2, 1000):
        yield f"{plain}-{i}"
