"""A page from top to bottom, for Markdown and LaTeX: the ranking first, then averages, then every task."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.reports.leaderboard.ranking_rules import describe_rule
from prunebench.reports.leaderboard.report import Level, Options, Page, Section, Track
from prunebench.reports.leaderboard.tables.baselines import ABOUT as ABOUT_BASELINES
from prunebench.reports.leaderboard.tables.baselines import TITLE, baseline_table
from prunebench.reports.leaderboard.tables.matching import describe_criteria, matching_table
from prunebench.reports.leaderboard.tables.methods import checklist_table, method_table
from prunebench.reports.leaderboard.tables.papers import describe_paper, paper_tables
from prunebench.reports.leaderboard.tables.rankings import ranking_tables
from prunebench.reports.leaderboard.tables.scores import BEST, overview_tables, score_table, seed_table
from prunebench.reports.leaderboard.tables.sizes import size_table
from prunebench.reports.render.blocks import Block, Caution, Commands, Details, Heading, Paragraph, Table
from prunebench.reports.render.formatting import level
from prunebench.results.statistics import INTERVALS

# The most rows of the long table with which a page shows every seed. Beyond that a page is longer than GitHub renders.
FULL = 4000

# The parts of the setting that open the page, because a reader needs them before anything else.
INTRODUCTION = ("model", "training of the model", "protocol", "protocols", "split", "seeds", "hardware")
SCORES = (
    "Scores are × 100, as mean ± std (n) over n seeds; std is the sample standard deviation (ddof = 1) and is left out "
    "for a single seed. Δ dense is the mean difference from the dense run of the same seed, over the seeds that both "
    "have. Brackets hold 95 % {} intervals; there is none if all values are equal. The std and the interval of an "
    "average are those of the mean of independent tasks (Satterthwaite's t interval): seeds of different tasks have "
    "nothing in common but their number. No deviation of a difference below that of the rounding to one example is "
    "believed."
)
ABOUT = (
    f"Rows are sorted by the mean of their first metric; rows with gaps come last. {BEST} Nothing is bold with fewer "
    "than three common seeds, or where the dense runs or the best row do not beat the majority class for certain. "
    "Dense and majority class are shown for reference.",
    "Size and cost: removed is the fraction of the prunable units that were removed. Encoder is the fraction of the "
    "encoder weights that are zero or removed, before → after the last training. Trainings and steps are given as "
    "those that find the mask + those that train the scored model, as if each method ran alone; a benchmark runs "
    "shared work only once. Speed is how many examples per second the scored model predicts, as a multiple of the "
    "dense model's speed. It is a median over seeds, measured on one kind of hardware with the same number of "
    "threads; other work may have run at the same time.",
)
EQUAL = (
    "Equal training: dense[trainings=2] is the dense model after two trainings in a row. Δ equal is the mean "
    "difference from the dense run of the same seed that was trained as many times as the row's weights since θ0 or "
    "their last rewind. For a method that trains once it is Δ dense."
)
OMITTED = (
    "This page leaves out intervals, differences from dense, single seeds, sizes and costs, because there are too many "
    "rows. results.csv and results.json hold all of them, and index.html shows those you choose."
)


def describe_tables(options: Options) -> tuple[str, ...]:
    """How to read the tables of a page with these options."""
    return SCORES.format(INTERVALS[options.interval]), *ABOUT


def page_title(suites: tuple[str, ...]) -> str:
    return f"Leaderboard: {', '.join(suites)}" if suites else "Leaderboard"


def blocks(page: Page) -> Iterator[Block]:
    """All blocks of a page."""
    yield Heading(1, page_title(page.suites))
    setting = dict(page.setting)
    yield Paragraph("; ".join(f"{name}: {setting[name]}" for name in INTRODUCTION if name in setting) + ".")
    if page.verification:
        yield Paragraph(page.verification)
    yield from map(Caution, page.warnings)
    full = len(page.rows) <= FULL
    yield from _rankings(page)
    yield Heading(2, TITLE)
    yield Paragraph(ABOUT_BASELINES)
    yield baseline_table(page.baselines)
    for section in page.averages:
        yield from _section(section, full)
    yield Heading(2, "Reporting checklist")
    yield checklist_table(page.checklist)
    yield Heading(2, "Setting and how to read the tables")
    yield Table("Setting", ("setting", "value"), "ll", page.setting)
    equal = (EQUAL,) if page.has_equal_training else ()
    yield from map(
        Paragraph, (*describe_tables(page.options), *page.error_notes, *equal, *(() if full else (OMITTED,)))
    )
    yield Paragraph("The largest matching sparsity, by four criteria:")
    yield from map(Paragraph, describe_criteria(page.options.delta, page.has_equal_training))
    for section in page.sections:
        yield from _section(section, full)
    yield from _published(page)
    yield Heading(2, "Methods")
    yield method_table(page.methods)
    yield Heading(2, "Commands")
    yield Paragraph("The results on this page come from")
    yield Commands(page.commands)


def _rankings(page: Page) -> Iterator[Block]:
    if not page.rankings:
        return
    yield Heading(2, "Ranking")
    yield from map(Paragraph, describe_rule(page.options.rank_by, page.has_equal_training))
    for ranking in page.rankings:
        yield Heading(3, f"{ranking.title}, {ranking.track}, ranking")
        yield from ranking_tables(ranking)


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
            yield from overview_tables(section, track, i)
    if track.matching:
        yield Paragraph("The largest sparsity at which each method matches dense:")
        yield matching_table(section, track)
    if not full:
        return
    levels = tuple(block for entry in track.levels for block in _level(section, track, entry, title))
    yield Details(f"{title}: differences from dense, intervals and every seed", levels)
    if any(line.outcomes for entry in track.levels for line in (section.dense, *entry.lines)):
        size = (Heading(4, f"{title}, size and cost"), size_table(section, track))
        yield Details(f"{title}: size and cost", size)


def _level(section: Section, track: Track, entry: Level, title: str) -> Iterator[Block]:
    yield Heading(4, f"{title}, sparsity {level(entry.sparsity)}")
    yield score_table(section, track, entry)
    yield seed_table(section, track, entry)


def _published(page: Page) -> Iterator[Block]:
    if not page.options.published:
        return
    yield Heading(2, "Published results")
    for paper in page.options.published:
        yield Heading(3, paper.citation)
        yield Paragraph(describe_paper(paper))
        yield from paper_tables(paper)
