"""A page from top to bottom, the same for every format: who is first, then why, then every number.

Imports `tables`, `standings` and below.
"""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.reports.leaderboard import ranking, standings, tables
from prunebench.reports.leaderboard.model import Level, Options, Page, Section, Track
from prunebench.reports.render.blocks import Block, Caution, Commands, Details, Heading, Paragraph, Table
from prunebench.reports.render.formatting import level
from prunebench.results.statistics import INTERVALS

# Rows of the long table. With more of them a page is longer than GitHub shows and than anyone reads.
FULL = 4000

# What a reader must know of the setting before anything else.
INTRODUCTION = ("model", "protocol", "protocols", "split", "seeds", "hardware")
SCORES = (
    "Scores are × 100. They are given as mean ± std (n) over n seeds; std is the sample standard deviation (ddof = 1) "
    "and is left out for a single seed. Δ dense is the mean difference to the dense run of the same seed, over the "
    "seeds that both have. Brackets hold 95 % {} intervals, which equal numbers have none of."
)
ABOUT = (
    f"Rows are sorted by the mean of their first metric, rows with gaps last. {tables.BEST} Nothing is bold with fewer "
    "than three common seeds. Dense and majority class are for reference.",
    "Size and cost: removed is the realised fraction of the prunable units; encoder is the fraction of the encoder "
    "weights that are zero or gone, before → after the last training; trainings and steps are those to find the mask + "
    "those to train what is scored, as if each method ran alone (a benchmark runs what methods share only once). Speed "
    "is how many examples a second the scored model predicted, as a multiple of the dense model's: medians over seeds, "
    "on one kind of hardware and with the same number of threads, beside whatever else was running.",
)
LEFT_OUT = (
    "Intervals, differences to dense, every seed, sizes and costs are too many for this page: results.csv and "
    "results.json hold all of them, and index.html shows what is asked for."
)


def about(options: Options) -> tuple[str, ...]:
    """How to read the tables of a page with these options."""
    return SCORES.format(INTERVALS[options.interval]), *ABOUT


def blocks(page: Page) -> Iterator[Block]:
    """The whole page."""
    yield Heading(1, ": ".join(["Leaderboard", ", ".join(page.suites)]) if page.suites else "Leaderboard")
    setting = dict(page.setting)
    yield Paragraph("; ".join(f"{name}: {setting[name]}" for name in INTRODUCTION if name in setting) + ".")
    yield from map(Caution, page.warnings)
    full = len(page.rows) <= FULL
    yield from _rankings(page)
    for section in page.averages:
        yield from _section(section, full)
    yield Heading(2, "Reporting checklist")
    yield standings.checklist(page.checklist)
    yield Heading(2, "Setting, and how to read the tables")
    yield Table("Setting", ("setting", "value"), "ll", page.setting)
    yield from map(Paragraph, (*about(page.options), *(() if full else (LEFT_OUT,))))
    yield Paragraph("The largest matching sparsity, by four criteria:")
    yield from map(Paragraph, standings.criteria(page.options.delta))
    for section in page.sections:
        yield from _section(section, full)
    yield from _published(page)
    yield Heading(2, "Methods")
    yield tables.methods(page.methods)
    yield Heading(2, "Commands")
    yield Paragraph("The results on this page were made by")
    yield Commands(page.commands)


def _rankings(page: Page) -> Iterator[Block]:
    if not page.rankings:
        return
    yield Heading(2, "Ranking")
    yield from map(Paragraph, ranking.about(page.options.rank_by))
    for found in page.rankings:
        yield Heading(3, f"{found.title}, {found.track}, ranking")
        yield from standings.ranking(found)


def _section(section: Section, full: bool) -> Iterator[Block]:
    yield Heading(2, section.title)
    yield from map(Paragraph, section.about)
    for track in section.tracks:
        yield from _track(section, track, full)


def _track(section: Section, track: Track, full: bool) -> Iterator[Block]:
    title = f"{section.title}, {track.name}"
    yield Heading(3, title)
    yield from map(Paragraph, track.about)
    if len(track.levels) > 1:
        for i, column in enumerate(section.columns):
            yield Paragraph(f"The {column} at every sparsity, mean ± std:")
            yield from tables.overview(section, track, i)
    if track.matching:
        yield Paragraph("The largest sparsity at which a method matches dense:")
        yield standings.matching(section, track)
    if not full:
        return
    levels = tuple(block for entry in track.levels for block in _level(section, track, entry, title))
    yield Details(f"{title}: differences to dense, intervals and every seed", levels)
    if any(line.outcomes for entry in track.levels for line in (section.dense, *entry.lines)):
        size = (Heading(4, f"{title}, size and cost"), tables.sizes(section, track))
        yield Details(f"{title}: size and cost", size)


def _level(section: Section, track: Track, entry: Level, title: str) -> Iterator[Block]:
    yield Heading(4, f"{title}, sparsity {level(entry.sparsity)}")
    yield tables.scores(section, track, entry)
    yield tables.seeds(section, track, entry)


def _published(page: Page) -> Iterator[Block]:
    if not page.options.published:
        return
    yield Heading(2, "Published results")
    for paper in page.options.published:
        yield Heading(3, paper.citation)
        yield Paragraph(standings.setting(paper))
        yield from standings.paper(paper)
