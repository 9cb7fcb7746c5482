"""A page from top to bottom, the same for every format. Imports `tables` and below."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.leaderboard import tables
from prunebench.leaderboard.blocks import Block, Caution, Commands, Heading, Paragraph, Table
from prunebench.leaderboard.model import Page, Section, Track
from prunebench.leaderboard.numbers import level

ABOUT = (
    "Scores are × 100. They are given as mean ± std (n) over n seeds; std is the sample standard deviation (ddof = 1) "
    "and is left out for a single seed. Δ dense is the difference to the dense run of the same seed, as mean ± std "
    "over the seeds that both have.",
    "Rows are sorted by the mean of their first metric, rows with gaps last. Bold is the highest mean among the "
    "complete rows of a table, which says nothing about significance. Dense and majority class are for reference.",
    "Size and cost: removed is the realised fraction of the prunable units; encoder is the fraction of the encoder "
    "weights that are zero or gone, before → after the last training; trainings and steps are those to find the mask + "
    "those to train what is scored, as if each method ran alone (a benchmark runs what methods share only once).",
)


def blocks(page: Page) -> Iterator[Block]:
    """The whole page."""
    yield Heading(1, ": ".join(["Leaderboard", ", ".join(page.suites)]) if page.suites else "Leaderboard")
    yield Table("Setting", ("setting", "value"), "ll", page.setting)
    yield from map(Caution, page.warnings)
    yield from map(Paragraph, ABOUT)
    for section in (*page.averages, *page.sections):
        yield from _section(section)
    yield Heading(2, "Methods")
    yield tables.methods(page.methods)
    yield Heading(2, "Commands")
    yield Paragraph("The results on this page were made by")
    yield Commands(page.commands)


def _section(section: Section) -> Iterator[Block]:
    yield Heading(2, section.title)
    yield from map(Paragraph, section.about)
    for track in section.tracks:
        yield from _track(section, track)


def _track(section: Section, track: Track) -> Iterator[Block]:
    title = f"{section.title}, {track.name}"
    yield Heading(3, title)
    yield from map(Paragraph, track.about)
    if len(track.levels) > 1:
        yield Paragraph(f"The {section.columns[0]} at every sparsity, mean ± std:")
        yield from tables.overview(section, track)
    for entry in track.levels:
        yield Heading(4, f"{title}, sparsity {level(entry.sparsity)}")
        yield tables.scores(section, track, entry)
        yield tables.seeds(section, track, entry)
    if any(line.outcomes for entry in track.levels for line in (section.dense, *entry.lines)):
        yield Heading(4, f"{title}, size and cost")
        yield tables.sizes(section, track)
