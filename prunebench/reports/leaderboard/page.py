"""A page in Markdown: a README.md that says it at a glance, and a file beside it for every task and average."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.reports.leaderboard.glance import FILE as GLANCE
from prunebench.reports.leaderboard.glance import glance
from prunebench.reports.leaderboard.headline import headline, other_sentence
from prunebench.reports.leaderboard.level_sizes import describe_sizes
from prunebench.reports.leaderboard.ranking_rules import describe_rule
from prunebench.reports.leaderboard.report import Page, Section, Track
from prunebench.reports.leaderboard.tables.baselines import ABOUT as ABOUT_BASELINES
from prunebench.reports.leaderboard.tables.baselines import TITLE as BASELINES
from prunebench.reports.leaderboard.tables.baselines import baseline_table
from prunebench.reports.leaderboard.tables.matching import describe_criteria, matching_table
from prunebench.reports.leaderboard.tables.methods import checklist_table, method_table
from prunebench.reports.leaderboard.tables.papers import describe_paper, paper_tables
from prunebench.reports.leaderboard.tables.rankings import ranking_tables
from prunebench.reports.leaderboard.tables.scores import BEST, overview_tables, score_table, seed_table
from prunebench.reports.leaderboard.tables.sizes import size_table
from prunebench.reports.render.blocks import (
    Block,
    Caution,
    Commands,
    Details,
    Heading,
    Links,
    Paragraph,
    Picture,
    Table,
)
from prunebench.reports.render.files import file_names
from prunebench.reports.render.formatting import level, listing, points, spread
from prunebench.reports.render.markdown import markdown
from prunebench.results.statistics import INTERVALS

# The headings of README.md.
RANKING, SCORES_TITLE, TASKS_TITLE, CHECKLIST = "Ranking", "Scores by sparsity", "Every task", "Reporting checklist"
PUBLISHED, SETTING, METHODS = "Published results", "Setting and how to read the tables", "Methods"

# The most rows of the long table with which a page shows every seed. Beyond that a page is longer than GitHub renders.
FULL = 4000

# The most methods whose scores stand on README.md itself, which is to stay short.
MANY = 20
METHODS_FILE = "methods.md"

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
    "dense model's speed, mean ± std over the seeds, on one kind of hardware with the same number of threads. It is "
    "printed only where it is known to a tenth: the 95 % interval reaches at most that far to each side. Other work "
    "may have run at the same time.",
)
EQUAL = (
    "Equal training: dense[trainings=2] is the dense model after two trainings in a row. Δ equal is the mean "
    "difference from the dense run of the same seed that was trained as many times as the row's weights since θ0 or "
    "their last rewind. For a method that trains once it is Δ dense."
)
OMITTED = (
    "The pages of the tasks leave out intervals, differences from dense, single seeds, sizes and costs, because there "
    "are too many rows. results.csv and results.json hold all of them, and index.html shows those you choose."
)


def describe_tables(page: Page) -> tuple[str, ...]:
    """How to read the tables of a page."""
    equal = (EQUAL,) if page.has_equal_training else ()
    scores = SCORES.format(INTERVALS[page.options.interval])
    return scores, *ABOUT, *page.error_notes, *describe_sizes(page.sections), *equal


def page_title(suites: tuple[str, ...]) -> str:
    return f"Leaderboard: {', '.join(suites)}" if suites else "Leaderboard"


def blocks(page: Page) -> Iterator[Block]:
    """The blocks of README.md: the result in one sentence and one chart, then the ranking, then where the rest is."""
    yield Heading(1, page_title(page.suites))
    yield Paragraph(headline(page))
    picture = glance(page)
    if picture:
        yield Picture(GLANCE, "The chart of this page: the tables below hold its numbers", picture)
    setting = dict(page.setting)
    yield Paragraph("; ".join(f"{name}: {setting[name]}" for name in INTRODUCTION if name in setting) + ".")
    if page.verification:
        yield Paragraph(page.verification)
    yield from map(Caution, page.warnings)
    yield Links(tuple((title, f"#{title.lower().replace(' ', '-')}", about) for title, about in _contents(page)))
    yield from _rankings(page)
    yield Heading(2, BASELINES)
    yield Paragraph(ABOUT_BASELINES)
    yield baseline_table(page.baselines)
    yield Heading(2, SCORES_TITLE)
    if len(page.methods) > MANY:
        yield Paragraph("There are too many methods for their tables on this page.")
        files = {section.title: file for file, section in task_files(page).items()}
        titles = [section.title for section in _main_sections(page)]
        yield Links(tuple((title, files[title], "every metric, by sparsity") for title in titles))
    else:
        for section in _main_sections(page):
            yield from map(Paragraph, section.about)
            for track in section.tracks:
                yield from _overview(section, track, Heading(3, f"{section.title}, {track.name}, by sparsity"))
    yield Heading(2, TASKS_TITLE)
    yield Links(tuple((section.title, file, _strength(section)) for file, section in task_files(page).items()))
    yield Heading(2, CHECKLIST)
    yield Details("What reviewers ask for, answered from the results", (checklist_table(page.checklist),))
    yield from _published(page)
    yield Heading(2, SETTING)
    yield Details("The whole setting, and what the columns and criteria mean", tuple(_explanations(page)))
    yield Heading(2, METHODS)
    if len(page.methods) > MANY:
        yield Links(((f"What the {len(page.methods)} labels stand for", METHODS_FILE, "options, sources"),))
    else:
        yield Details(f"What the {len(page.methods)} labels stand for", (method_table(page.methods),))
    yield Heading(2, "Commands")
    yield Paragraph("The results on this page come from")
    yield Commands(page.commands)


def files_beside(page: Page) -> dict[str, str]:
    """The files beside README.md, by name: the chart, and a page for every task and average."""
    full = len(page.rows) <= FULL
    files = {file: markdown(_section(section, full)) for file, section in task_files(page).items()}
    if len(page.methods) > MANY:
        files[METHODS_FILE] = markdown([Heading(1, METHODS), method_table(page.methods)])
    picture = glance(page)
    return {GLANCE: picture, **files} if picture else files


def task_files(page: Page) -> dict[str, Section]:
    """The sections by the names of their files, such as `tasks/rte.md`."""
    files: dict[str, Section] = {}
    for section in (*page.averages, *page.sections):
        name = next(name for name in file_names(section.name) if f"tasks/{name}.md" not in files)
        files[f"tasks/{name}.md"] = section
    return files


def _main_sections(page: Page) -> tuple[Section, ...]:
    """The averages or, where there are none, the first task."""
    return page.averages or page.sections[:1]


def _contents(page: Page) -> Iterator[tuple[str, str]]:
    """The headings of README.md, and what stands below them."""
    if page.rankings:
        yield RANKING, "who is best at which sparsity"
    yield BASELINES, "whether the dense models have learnt anything to lose"
    yield SCORES_TITLE, listing(section.title for section in _main_sections(page))
    yield TASKS_TITLE, "every score, difference, interval and seed, sizes and costs, in a file for each task"
    yield CHECKLIST, "what reviewers ask for"
    if page.options.published:
        yield PUBLISHED, "tables of papers, as reported"
    yield SETTING, "model, hardware, versions, and what columns and criteria mean"
    yield METHODS, "what each label stands for"
    yield "Commands", "what made these results"


def _strength(section: Section) -> str:
    """The dense scores of a task beside the majority class."""
    parts = [
        f"dense {spread(score.summary)}, majority class {points(majority)} {column}"
        for column, score, majority in zip(section.columns, section.dense.scores, section.majority, strict=True)
    ]
    return "; ".join(parts)


def _explanations(page: Page) -> Iterator[Block]:
    yield Table("Setting", ("setting", "value"), "ll", page.setting)
    full = len(page.rows) <= FULL
    yield from map(Paragraph, (*describe_tables(page), *(() if full else (OMITTED,))))
    yield Paragraph("The largest matching sparsity, by four criteria:")
    yield from map(Paragraph, describe_criteria(page.options.delta, page.has_equal_training))


def _rankings(page: Page) -> Iterator[Block]:
    if not page.rankings:
        return
    yield Heading(2, RANKING)
    first, question, *more = describe_rule(page.options.rank_by, page.has_equal_training)
    yield Paragraph(question)
    yield Paragraph(first)
    yield Details("How ranks are assigned, and when a method has none", tuple(map(Paragraph, more)))
    for ranking in page.rankings:
        yield Heading(3, f"{ranking.title}, {ranking.track}, ranking")
        if sentence := other_sentence(page, ranking):
            yield Paragraph(sentence)
        yield from ranking_tables(ranking)


def _section(section: Section, full: bool) -> Iterator[Block]:
    """The page of a task or an average."""
    yield Heading(1, section.title)
    yield from map(Paragraph, section.about)
    for track in section.tracks:
        yield from _track(section, track, full)


def _overview(section: Section, track: Track, heading: Heading) -> Iterator[Block]:
    """Every metric at every sparsity, and the largest that match dense."""
    yield heading
    yield from map(Paragraph, track.about)
    for i, column in enumerate(section.columns if len(track.levels) > 1 else ()):
        yield Paragraph(f"The {column} at every sparsity, mean ± std:")
        yield from overview_tables(section, track, i)
    if track.matching:
        yield Paragraph("The largest sparsity at which each method matches dense:")
        yield matching_table(section, track)


def _track(section: Section, track: Track, full: bool) -> Iterator[Block]:
    title = f"{section.title}, {track.name}"
    yield from _overview(section, track, Heading(2, title))
    if not full:
        return
    for entry in track.levels:
        yield Heading(3, f"{title}, sparsity {level(entry.sparsity)}")
        yield score_table(section, track, entry)
        yield Details("Intervals and every seed", (seed_table(section, track, entry),))
    if any(line.outcomes for entry in track.levels for line in (section.dense, *entry.lines)):
        yield Heading(3, f"{title}, size and cost")
        yield size_table(section, track)


def _published(page: Page) -> Iterator[Block]:
    if not page.options.published:
        return
    yield Heading(2, PUBLISHED)
    for paper in page.options.published:
        yield Heading(3, paper.citation)
        yield Paragraph(describe_paper(paper))
        yield from paper_tables(paper)
