"""A page in a few lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.reports.leaderboard.page_model import Page, Section
from prunebench.reports.leaderboard.tables.scores import DEGENERATE, overview_tables
from prunebench.reports.render.blocks import one_line
from prunebench.reports.render.formatting import level, listing
from prunebench.reports.render.terminal import terminal_table


def summary(page: Page) -> str:
    """The first metric of every task, method and sparsity as mean ± std × 100, what is missing, and warnings."""
    parts = [part for section in (*page.sections, *page.averages) for part in _section(section)]
    return "\n\n".join([*parts, *(f"warning: {one_line(warning)}" for warning in page.warnings)])


def _section(section: Section) -> Iterator[str]:
    seeds = f"seed{'s' if len(section.seeds) > 1 else ''} {listing(section.seeds)}"
    yield one_line(f"{section.title}: {section.columns[0]} × 100, mean ± std over {seeds}")
    for track in section.tracks:
        yield from map(terminal_table, overview_tables(section, track))
    lines = [
        (0.0, section.dense),
        *((entry.sparsity, line) for track in section.tracks for entry in track.levels for line in entry.lines),
    ]
    # A reason explains a gap, so gaps with a reason are left out, except for missing cells.
    notes = [
        one_line(f"{line.label} at {level(sparsity)}: {note}")
        for sparsity, line in lines
        for note in (*line.reasons, *(gap for gap in line.gaps if gap.startswith("missing") or not line.reasons))
    ]
    if any(line.scores[0].degenerate for _, line in lines):
        notes.append(DEGENERATE)
    if notes:
        yield "\n".join(notes)
