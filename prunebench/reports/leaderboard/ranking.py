"""The ranking of a page: every rule by name, what it needs, and ties where methods cannot be told apart.

Imports `section`, `average`, `apart` and `stats`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from prunebench.errors import unknown
from prunebench.reports.leaderboard.apart import RULE, places
from prunebench.reports.leaderboard.average import groups, title
from prunebench.reports.leaderboard.model import (
    RANK,
    RETAINED,
    SCORE,
    Level,
    Line,
    Place,
    Ranking,
    Section,
    Standing,
    Track,
)
from prunebench.reports.render.formatting import listing, points, seeds
from prunebench.results.statistics import Summary, summarise
from prunebench.results.statistics.ranks import LEAST_BLOCKS, rank

# From 0 to 1. What is divided by less is noise: a Matthews coefficient of 0.01 would be kept ten times by one of 0.1.
LEAST_DENSE = 0.05

RULES = {
    RETAINED: "Ranked by the score retained: the score divided by that of the dense run of the same seed, mean over "
    "the metrics and evaluations of a task first, then over the tasks, for every seed; × 100, mean ± std over the "
    "seeds.",
    SCORE: "Ranked by the score: mean over the metrics and evaluations of a task first, then over the tasks, for every "
    "seed; × 100, mean ± std over the seeds.",
    RANK: "Ranked by the average rank over the tasks, 1 for the best score of a task (mean over its metrics and "
    "evaluations, and over the seeds); equal scores share the mean of their ranks.",
}
TIES = (
    f"The rank is 1 + the number of methods that are better for certain ({RULE} over all pairs; a difference that is "
    "the same for every seed counts as certain), so that methods which cannot be told apart share it (=). It speaks of "
    "these tasks; average ranks over tasks speak of tasks like them."
)
TIES_OF_RANKS = (
    "The rank is 1 + the number of methods that are better for certain: Friedman's test over the tasks rejects, and "
    "the average ranks differ by Nemenyi's critical difference (α = 0.05) or more. Methods which cannot be told apart "
    f"share it (=), and so do all with fewer than {LEAST_BLOCKS} tasks."
)
UNRANKED = "Rows that lack a cell, or fail a check, are shown without a rank. Structured methods are ranked apart."

Values = dict[int, float]
# A metric that counts: the section that it stands in, and its column there.
Column = tuple[Section, int]
# By task, sparsity and label, the lines of one track.
Lines = Mapping[str, Mapping[tuple[float, str], Line]]


def check_rule(name: str) -> str:
    """The name of a rule, or an error that says which there are."""
    if name not in RULES:
        raise unknown("rule of ranking", name, RULES)
    return name


def about(rule: str) -> tuple[str, ...]:
    """The rule in sentences."""
    return RULES[rule], TIES_OF_RANKS if rule == RANK else TIES, UNRANKED


def rankings(sections: Sequence[Section], averages: Sequence[Section], rule: str) -> tuple[Ranking, ...]:
    """A ranking for each benchmark and track; a benchmark of one task is that task."""
    by_title = {section.title: section for section in averages}
    found = []
    for benchmark, group in groups(sections):
        whole = by_title[title(benchmark, group)] if len(group) > 1 else group[0]
        found += [_ranking(whole, group, track, rule) for track in whole.tracks]
    return tuple(ranking for ranking in found if any(standing.places for standing in ranking.standings))


def retained(whole: Section, group: Sequence[Section]) -> Iterator[tuple[str, float, Place]]:
    """What every method keeps of the dense runs, by track and sparsity, without ranks."""
    columns = [column for column in _columns(group) if _divides(column)]
    for track in whole.tracks:
        lines = {section.name: _lines(section, track.name) for section in group}
        for level in track.levels:
            for line in level.lines:
                yield track.name, level.sparsity, _place(line, level.sparsity, lines, columns, set(), RETAINED)


def _columns(group: Sequence[Section]) -> list[Column]:
    return [(section, i) for section in group for i in range(len(section.columns))]


def _ranking(whole: Section, group: Sequence[Section], track: Track, rule: str) -> Ranking:
    columns = _columns(group)
    kept = [column for column in columns if rule != RETAINED or _divides(column)]
    lost = [column for column in columns if rule == RETAINED and not _divides(column)]
    lines = {section.name: _lines(section, track.name) for section in group}
    return Ranking(
        title=whole.title,
        track=track.name,
        rule=rule,
        tasks=tuple(section.name for section in group),
        majority=_majority(kept, rule),
        standings=tuple(_standing(level, lines, kept, rule) for level in track.levels),
        notes=(*_left_out(lost), *_unlearnt(group)),
    )


def _lines(section: Section, track: str) -> dict[tuple[float, str], Line]:
    levels = (level for found in section.tracks if found.name == track for level in found.levels)
    return {(level.sparsity, line.label): line for level in levels for line in level.lines}


def _standing(level: Level, lines: Lines, columns: Sequence[Column], rule: str) -> Standing:
    expected = {seed for line in level.lines for score in line.scores for seed in (*score.values, *line.absent)}
    found = [_place(line, level.sparsity, lines, columns, expected, rule) for line in level.lines]
    tasks = {line.label: _by_task(line.label, level.sparsity, lines) for line in level.lines if not line.gaps}
    across = rank(tasks)
    if rule == RANK:
        means = {label: summarise([mean]) for label, mean in across.ranks.items()}
        found = [replace(place, values={}, summary=means.get(place.label)) for place in found]
        tied = dict(across.places)
    else:
        tied = places({place.label: place.values for place in found if not place.gaps})
    return Standing(level.sparsity, tuple(_in_order(found, tied, rule)), across)


def _place(
    line: Line, sparsity: float, lines: Lines, columns: Sequence[Column], expected: set[int], rule: str
) -> Place:
    value = _retained if rule == RETAINED else _plain
    values = _mean_by_task(
        columns,
        lambda section, i: value(own, section, i) if (own := lines[section.name].get((sparsity, line.label))) else {},
    )
    gaps = list(line.gaps)
    lost = expected - values.keys() - line.absent
    if not columns:
        gaps.append("nothing to rank by")
    elif lost:
        gaps.append(f"no dense run of {seeds(lost)}")
    return Place(line.label, values, _summary(values), rank=None, gaps=tuple(gaps))


def _plain(line: Line, section: Section, column: int) -> Values:
    return dict(line.scores[column].values)


def _retained(line: Line, section: Section, column: int) -> Values:
    score = line.scores[column]
    return {seed: value / score.dense[seed] for seed, value in score.values.items() if seed in score.dense}


def _divides(column: Column) -> bool:
    """Whether every dense run has enough of a score to ask how much of it is kept."""
    section, i = column
    lines = [section.dense, *(line for track in section.tracks for level in track.levels for line in level.lines)]
    return all(value >= LEAST_DENSE for line in lines for value in line.scores[i].dense.values())


def _mean_by_task(columns: Sequence[Column], value: Callable[[Section, int], Values]) -> Values:
    """The mean inside a task first, then over the tasks, for every seed that has all of them."""
    tasks: dict[str, list[Values]] = {}
    for section, i in columns:
        tasks.setdefault(section.name, []).append(value(section, i))
    return _means([_means(found) for found in tasks.values()])


def _means(found: Sequence[Values]) -> Values:
    common = sorted(set.intersection(*map(set, found))) if found else []
    return {seed: math.fsum(values[seed] for values in found) / len(found) for seed in common}


def _summary(values: Values) -> Summary | None:
    return summarise(values.values()) if values else None


def _by_task(label: str, sparsity: float, lines: Lines) -> dict[str, float]:
    """The score of each task: mean over its metrics and evaluations, and over the seeds that have them all."""
    found = {}
    for task, own in lines.items():
        if (sparsity, label) in own:
            summary = _summary(_means([dict(score.values) for score in own[sparsity, label].scores]))
            if summary is not None:
                found[task] = summary.mean
    return found


def _in_order(found: Sequence[Place], tied: Mapping[str, int], rule: str) -> list[Place]:
    """The places with their ranks, the first first, equal ranks by what is ranked by, those without a rank last."""
    numbers = list(tied.values())
    sign = 1 if rule == RANK else -1
    ranked = [
        replace(place, rank=tied[place.label], tied=numbers.count(tied[place.label]) > 1)
        if place.label in tied and not place.gaps
        else place
        for place in found
    ]

    def key(place: Place) -> tuple[bool, int, float, str]:
        mean = sign * place.summary.mean if place.summary else math.inf
        return place.rank is None, place.rank or 0, mean, place.label

    return sorted(ranked, key=key)


def _majority(columns: Sequence[Column], rule: str) -> float | None:
    """What the most frequent class would have by this rule; its score is the same for every seed."""
    if rule == RANK or any(section.majority[i] is None for section, i in columns):
        return None

    def value(section: Section, i: int) -> Values:
        score = section.majority[i] or 0.0
        dense = section.dense.scores[i].values
        return {seed: score / dense[seed] for seed in dense} if rule == RETAINED else {0: score}

    summary = _summary(_mean_by_task(columns, value))
    return summary.mean if summary else None


def _left_out(columns: Sequence[Column]) -> Iterator[str]:
    if columns:
        names = listing(f"{section.name} {section.columns[i]}" for section, i in columns)
        yield (
            f"Left out for every method: {names}. Of a dense run with less than {points(LEAST_DENSE)} there is nothing "
            "to retain."
        )


def _unlearnt(group: Sequence[Section]) -> Iterator[str]:
    """A sentence where the dense model does not beat the majority class, so that anything retains everything."""
    names = [
        section.name
        for section in group
        if (score := section.dense.scores[0].summary) is not None
        and section.majority[0] is not None
        and score.mean <= section.majority[0]
    ]
    if names:
        yield (
            f"The dense runs are no better than the majority class on {listing(names)}: nothing was learnt there that "
            "could be kept or lost."
        )
