"""A page in short for the terminal: the ranking first, then every task, what is missing, and warnings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from prunebench.reports.leaderboard.ranking_rules import EQUAL_RETAINED
from prunebench.reports.leaderboard.report import RATIO, RETAINED, Page, Ranking, Section
from prunebench.reports.leaderboard.tables.rankings import ranking_tables
from prunebench.reports.leaderboard.tables.scores import DEGENERATE, overview_tables
from prunebench.reports.render.blocks import Block, Caution, Paragraph, Subtitle, one_line
from prunebench.reports.render.formatting import level, listing
from prunebench.reports.render.terminal import render

RANKED_BY = {
    "retained": "% of what dense learned above chance that is retained; # is the rank, = a shared one",
    "ratio": "% of the dense score; # is the rank, = a shared one",
    "score": "score × 100; rank in brackets, = for a shared rank",
    "rank": "average rank over tasks",
}


def summary(page: Page, *, colour: bool = False) -> str:
    """The ranking, and the first metric of every task, method and sparsity as mean ± std × 100."""
    return render(_blocks(page), colour=colour)


def _blocks(page: Page) -> Iterator[Block]:
    for ranking in page.rankings:
        yield from _ranking(ranking, page.has_equal_training)
    for section in (*page.averages, *page.sections):
        yield from _section(section)
    if page.verification:
        yield Paragraph(page.verification)
    yield from map(Caution, page.warnings)


def _ranking(ranking: Ranking, equal: bool) -> Iterator[Block]:
    yield Subtitle(f"Ranking, {ranking.track}: {ranking.title}, {RANKED_BY[ranking.rule]}")
    if equal and ranking.rule in (RETAINED, RATIO):
        yield Paragraph(EQUAL_RETAINED)
    yield from ranking_tables(ranking)


def _section(section: Section) -> Iterator[Block]:
    seeds = f"seed{'s' if len(section.seeds) > 1 else ''} {listing(section.seeds)}"
    yield Subtitle(f"{section.title}: {section.columns[0]} × 100, mean ± std over {seeds}")
    for track in section.tracks:
        # The ranking above says why levels are n/a.
        yield from (replace(table, notes=()) for table in overview_tables(section, track))
    lines = [
        *((0.0, line) for line in (section.dense, *section.references)),
        *((entry.sparsity, line) for track in section.tracks for entry in track.levels for line in entry.lines),
    ]
    # A reason explains a gap, so gaps with a reason are left out, except for missing cells.
    cells_by_note: dict[str, list[str]] = defaultdict(list)
    for sparsity, line in lines:
        for note in (*line.reasons, *(gap for gap in line.gaps if gap.startswith("missing") or not line.reasons)):
            cells_by_note[note].append(f"{line.label} at {level(sparsity)}")
    notes = [one_line(f"{', '.join(cells)}: {note}") for note, cells in cells_by_note.items()]
    if any(line.scores[0].degenerate for _, line in lines):
        notes.append(DEGENERATE)
    yield from map(Paragraph, notes)
