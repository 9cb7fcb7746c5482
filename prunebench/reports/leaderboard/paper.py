"""The tables for a paper: the main one in table.tex, all others in appendix.tex.

Cells hold numbers and marks; words are in captions and notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prunebench.reports.leaderboard.headline import headline, main_ranking
from prunebench.reports.leaderboard.page import FULL, INTRODUCTION
from prunebench.reports.leaderboard.ranking_rules import MEASURES
from prunebench.reports.leaderboard.report import Page, Ranking, Section, Track
from prunebench.reports.leaderboard.tables.matching import matching_table
from prunebench.reports.leaderboard.tables.rankings import number_table, ranking_notes
from prunebench.reports.leaderboard.tables.scores import CLOSE, overview_tables, score_table
from prunebench.reports.leaderboard.tables.sizes import size_table
from prunebench.reports.render.blocks import Table
from prunebench.reports.render.latex import latex

APPENDIX = "appendix.tex"
MARKS = (
    f"Bold: the best method, if it beats the majority class for certain. {CLOSE}: cannot be told apart from it. In "
    "parentheses: not ranked, because cells are missing or the score is no better than the majority class."
)


def main_table(page: Page) -> str:
    """table.tex: the main ranking as numbers by sparsity, in one float."""
    ranking, setting = main_ranking(page), dict(page.setting)
    facts = "; ".join(f"{name}: {setting[name]}" for name in INTRODUCTION if name in setting)
    warnings = tuple(f"Warning: {warning}" for warning in page.warnings)
    if ranking is None:
        table = Table("", ("setting", "value"), "lp", page.setting, warnings, caption=headline(page))
        return latex([table], _prefix(page), source=_source(page))
    caption = f"{headline(page)} {_describe(ranking)} {facts}."
    table = replace(number_table(ranking), title="", caption=caption, notes=(*ranking_notes(ranking), *warnings))
    return latex([table], _prefix(page), source=_source(page))


def appendix(page: Page) -> dict[str, str]:
    """appendix.tex: the other rankings, and the tables of every average and task; {} if there are none."""
    tables = list(_appendix(page))
    return {APPENDIX: latex(tables, _prefix(page), position="p")} if tables else {}


def _source(page: Page) -> tuple[str, ...]:
    """Where the numbers come from, for comments at the top of the file."""
    return (*((page.verification,) if page.verification else ()), *page.commands)


def _prefix(page: Page) -> str:
    return " ".join(page.suites) or "leaderboard"


def _describe(ranking: Ranking) -> str:
    return f"{ranking.title}, {ranking.track} methods by sparsity: {_measure(ranking)}. {MARKS}"


def _measure(ranking: Ranking) -> str:
    """The numbers of a ranking in words, with the dense runs that they are shares of."""
    others = {each.other[0] for standing in ranking.standings for each in standing.placements if each.other}
    equal = ", after equal training" if "dense" in others else ""
    return f"{MEASURES[ranking.rule]}{equal}"


def _appendix(page: Page) -> Iterator[Table]:
    first = main_ranking(page)
    for ranking in (ranking for ranking in page.rankings if ranking != first):
        caption = f"{_measure(ranking)}. {MARKS}"
        yield replace(number_table(ranking), caption=caption, notes=ranking_notes(ranking))
    for section in (*page.averages, *page.sections):
        for track in section.tracks:
            yield from _track(section, track, full=len(page.rows) <= FULL)


def _track(section: Section, track: Track, full: bool) -> Iterator[Table]:
    for i in range(len(section.columns) if len(track.levels) > 1 else 0):
        yield from overview_tables(section, track, i)
    if track.matching:
        yield matching_table(section, track)
    if not full:
        return
    for entry in track.levels:
        yield _without_gaps(score_table(section, track, entry))
    if any(line.outcomes for entry in track.levels for line in (section.dense, *entry.lines)):
        yield size_table(section, track)


def _without_gaps(table: Table) -> Table:
    """The table with its column of gaps, which are words, as notes below it."""
    if table.headers[-1] != "note":
        return table
    gaps = tuple(f"{row[0]}: {row[-1]}." for row in table.body if row[-1])
    return replace(
        table,
        headers=table.headers[:-1],
        aligns=table.aligns[:-1],
        body=tuple(row[:-1] for row in table.body),
        notes=(*gaps, *table.notes),
    )
