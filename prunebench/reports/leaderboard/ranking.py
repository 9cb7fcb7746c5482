"""The ranking of a page: methods by track and sparsity, with ties where they cannot be told apart.

What methods are ranked by is a function of (task, column) pairs, averaged within each task first and then over tasks.
By default it is the score retained above the majority class, of the dense runs of equal training if every method of the
ranking has them, and of the plain dense runs otherwise. With a mean RTE accuracy of 0.61 (dense: 0.63, majority: 0.53),
MRPC accuracy of 0.83 (0.84, 0.68) and MRPC F1 of 0.88 (0.88, 0.81) that is (0.08/0.10 + (0.15/0.16 + 0.07/0.07)/2)/2 =
0.884.

Metrics in which the dense model does not beat the majority class for certain are excluded for all methods: nothing was
learnt there that pruning could lose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from prunebench.reports.leaderboard.averages import average_title, benchmark_groups, over_tasks, summarise_tasks
from prunebench.reports.leaderboard.equal_training import (
    Column,
    Lines,
    every_method_has_equal,
    unequal_note,
    with_other_dense,
)
from prunebench.reports.leaderboard.marks import task_scores
from prunebench.reports.leaderboard.ranking_examples import above_chance, with_examples
from prunebench.reports.leaderboard.report import (
    RANK,
    RATIO,
    RETAINED,
    Level,
    Line,
    Placement,
    Ranking,
    Section,
    Standing,
    Track,
)
from prunebench.reports.leaderboard.score import Part, Score, ScoreExamples
from prunebench.reports.leaderboard.task_section import teacher_note
from prunebench.reports.render.formatting import listing, seeds
from prunebench.results.statistics import summarise
from prunebench.results.statistics.best import separate
from prunebench.results.statistics.ranks import rank
from prunebench.results.statistics.ratio import retained_by_seed
from prunebench.results.statistics.summary import differences

NO_METRIC = "no metric to rank by"

Values = dict[int, float]


def rankings(sections: Sequence[Section], averages: Sequence[Section], rule: str) -> tuple[Ranking, ...]:
    """A ranking for each benchmark and track. A benchmark with a single task is ranked by that task."""
    by_title = {section.title: section for section in averages}
    every = []
    for benchmark, group in benchmark_groups(sections):
        section = by_title[average_title(benchmark, group)] if len(group) > 1 else group[0]
        every += [_ranking(section, group, track, rule) for track in section.tracks]
    return tuple(ranking for ranking in every if any(standing.placements for standing in ranking.standings))


def methods_in_order(ranking: Ranking) -> list[str]:
    """The methods by their mean rank over the sparsities. Without a rank at one, a method counts as the last one there.

    Otherwise a control that is a hair above chance everywhere would come before a method that collapses at the end.
    """
    columns = [{each.label: each.rank for each in standing.placements} for standing in ranking.standings]
    labels = sorted({label for column in columns for label in column})
    return sorted(labels, key=lambda label: fmean(column.get(label) or len(labels) for column in columns))


def with_order(section: Section, every: Sequence[Ranking]) -> Section:
    """The section with the methods of each track in the order of its own ranking, or of the one that includes it."""
    orders: dict[str, tuple[str, ...]] = {}
    for ranking in sorted(every, key=lambda ranking: ranking.title != section.title):
        if ranking.title == section.title or section.name in ranking.tasks:
            orders.setdefault(ranking.track, tuple(methods_in_order(ranking)))
    return replace(section, tracks=tuple(replace(track, order=orders.get(track.name, ())) for track in section.tracks))


def retained_scores(section: Section, group: Sequence[Section]) -> Iterator[tuple[str, float, Placement]]:
    """The score retained by every method, as (track, sparsity, placement); placements have no ranks.

    `group` are the tasks that `section` averages, or the section itself.
    """
    columns = [column for column in _columns(group) if _is_learnt(column)]
    for track in section.tracks:
        lines = {task.name: _lines(task, track.name) for task in group}
        equal = every_method_has_equal(lines, columns)
        for level in track.levels:
            for line in level.lines:
                yield (
                    track.name,
                    level.sparsity,
                    _placement(line, level.sparsity, lines, columns, set(), RETAINED, equal),
                )


def _columns(group: Sequence[Section]) -> list[Column]:
    return [(section, i) for section in group for i in range(len(section.columns))]


def _ranking(section: Section, group: Sequence[Section], track: Track, rule: str) -> Ranking:
    columns = _columns(group)
    excluded = [column for column in columns if not _is_learnt(column)]
    included = [column for column in columns if _is_learnt(column)]
    lines = {task.name: _lines(task, track.name) for task in group}
    equal = every_method_has_equal(lines, included)
    standings = tuple(_standing(level, lines, included, rule, equal) for level in track.levels)
    return Ranking(
        title=section.title,
        track=track.name,
        rule=rule,
        tasks=tuple(task.name for task in group),
        majority=_majority(included, rule),
        standings=standings,
        notes=(
            *_excluded_note(excluded),
            *unequal_note(lines, included, any(each.has_equal_training for each in group)),
            *teacher_note(line for own in lines.values() for line in own.values()),
        ),
        unsupported=track.unsupported,
    )


def _lines(section: Section, track: str) -> dict[tuple[float, str], Line]:
    levels = (level for each in section.tracks if each.name == track for level in each.levels)
    return {(level.sparsity, line.label): line for level in levels for line in level.lines}


def _standing(level: Level, lines: Lines, columns: Sequence[Column], rule: str, equal: bool) -> Standing:
    expected = {seed for line in level.lines for score in line.scores for seed in (*score.values, *line.incomplete)}
    every = [_placement(line, level.sparsity, lines, columns, expected, rule, equal) for line in level.lines]
    placements = with_other_dense(every, equal)
    across = rank(
        {
            line.label: _means_by_task(line.label, level.sparsity, lines, columns)
            for line in level.lines
            if not line.gaps
        }
    )
    if rule == RANK:
        means = {label: summarise([mean]) for label, mean in across.ranks.items()}
        placements = [replace(each, values={}, summary=means.get(each.label)) for each in placements]
        ranks = dict(across.places)
    else:
        placements = [with_examples(each, level.sparsity, lines, columns, rule) for each in placements]
        placements = [above_chance(each, _majority(columns, rule)) for each in placements]
        ranks = _ranks([each for each in placements if not each.gaps], columns, rule)
    return Standing(level.sparsity, tuple(_in_order(placements, ranks, rule)), across)


def _placement(
    line: Line, sparsity: float, lines: Lines, columns: Sequence[Column], expected: set[int], rule: str, equal: bool
) -> Placement:
    """A method without its rank, which depends on the others. `expected` are the seeds that it should have.

    `equal` is whether it is compared with the dense runs of equal training.
    """

    def by_task(value: Callable[[Section, int, Score], Values]) -> dict[str, Values]:
        return _by_task(
            columns,
            lambda section, i: (
                value(section, i, own.scores[i]) if (own := lines[section.name].get((sparsity, line.label))) else {}
            ),
        )

    def share(runs: str) -> dict[str, Values]:
        # A share is one of means over the same seeds everywhere.
        common = over_tasks(by_task(lambda section, i, score: differences(score.values, getattr(score, runs))))
        return by_task(
            lambda section, i, score: retained_by_seed(
                {seed: score.values[seed] for seed in common},
                getattr(score, runs),
                section.majority[i] or 0.0 if rule == RETAINED else 0.0,
            )
        )

    of_dense, of_equal = (share("dense"), share("equal")) if rule in (RETAINED, RATIO) else ({}, {})
    # A method is never compared with runs of equal training on one task or seed, and with others on the next.
    if not over_tasks(of_equal).keys() >= over_tasks(of_dense).keys():
        of_equal = {}
    shares = (of_equal if equal else of_dense) or of_dense
    values = shares if rule in (RETAINED, RATIO) else by_task(lambda _, i, score: dict(score.values))
    gaps = list(line.gaps)
    without_dense = expected - over_tasks(values).keys() - line.incomplete
    if not columns:
        gaps.append(NO_METRIC)
    elif without_dense:
        gaps.append(f"no dense run of {seeds(without_dense)}")
    return Placement(
        line.label,
        over_tasks(values),
        summarise_tasks(values),
        rank=None,
        gaps=tuple(gaps),
        of_dense=summarise_tasks(of_dense),
        of_equal=summarise_tasks(of_equal),
        by_task=values,
    )


def _is_learnt(column: Column) -> bool:
    section, i = column
    return section.learnt[i]


def _ranks(placements: Sequence[Placement], columns: Sequence[Column], rule: str) -> dict[str, int]:
    """1 + the number of methods that are certainly better, by method."""
    floors = {task: fmean(floors) for task, floors in _floors(columns, rule).items()}
    parts = {each.label: {task: _part(each, task, floors[task]) for task in each.by_task} for each in placements}
    separation = separate(task_scores(parts))
    return separation.ranks() if separation else {each.label: 1 for each in placements}


def _part(placement: Placement, task: str, floor: float) -> Part:
    examples = placement.examples.get(task)
    return Part(placement.by_task[task], floor, ScoreExamples(examples, None, None, None) if examples else None)


def _floors(columns: Sequence[Column], rule: str) -> dict[str, list[float]]:
    """For each task the floors of its metrics, as shares of what the dense model has learnt if the rule has shares."""
    floors: dict[str, list[float]] = {}
    for section, i in columns:
        dense = section.dense.scores[i]
        least = max((line.scores[i].floor for line in _every_line(section)), default=dense.floor)
        chance = (section.majority[i] or 0.0) if rule == RETAINED else 0.0
        learnt = dense.summary.mean - chance if rule in (RETAINED, RATIO) and dense.summary else 1.0
        floors.setdefault(section.name, []).append(least / learnt)
    return floors


def _every_line(section: Section) -> Iterator[Line]:
    return (line for track in section.tracks for level in track.levels for line in level.lines)


def _by_task(columns: Sequence[Column], value: Callable[[Section, int], Values]) -> dict[str, Values]:
    """The mean over the metrics of each task, for each seed that has all of them."""
    tasks: dict[str, list[Values]] = {}
    for section, i in columns:
        tasks.setdefault(section.name, []).append(value(section, i))
    return {task: _means(group) for task, group in tasks.items()}


def _means(group: Sequence[Values]) -> Values:
    common = sorted(set.intersection(*map(set, group))) if group else []
    return {seed: math.fsum(values[seed] for values in group) / len(group) for seed in common}


def _means_by_task(label: str, sparsity: float, lines: Lines, columns: Sequence[Column]) -> dict[str, float]:
    """A method's score on each task: mean over metrics and evaluations, then over the seeds that have them all."""

    def values(section: Section, i: int) -> Values:
        line = lines[section.name].get((sparsity, label))
        return dict(line.scores[i].values) if line else {}

    return {task: summarise(own.values()).mean for task, own in _by_task(columns, values).items() if own}


def _in_order(placements: Sequence[Placement], ranks: Mapping[str, int], rule: str) -> list[Placement]:
    """The placements with their ranks, sorted by rank, then by mean; those without a rank come last."""
    numbers = list(ranks.values())
    sign = 1 if rule == RANK else -1
    ranked = [
        replace(each, rank=ranks[each.label], tied=numbers.count(ranks[each.label]) > 1)
        if each.label in ranks and not each.gaps
        else each
        for each in placements
    ]

    def key(placement: Placement) -> tuple[bool, int, float, str]:
        mean = sign * placement.summary.mean if placement.summary else math.inf
        return placement.rank is None, placement.rank or 0, mean, placement.label

    return sorted(ranked, key=key)


def _majority(columns: Sequence[Column], rule: str) -> float | None:
    """What always predicting the most frequent class would get by this rule."""
    if rule == RANK or not columns or any(section.majority[i] is None for section, i in columns):
        return None

    def value(section: Section, i: int) -> Values:
        score = section.majority[i] or 0.0
        if rule == RETAINED:
            return {0: 0.0}
        dense = section.dense.scores[i].summary
        return {0: score / dense.mean if rule == RATIO and dense else score}

    return over_tasks(_by_task(columns, value))[0]


def _excluded_note(columns: Sequence[Column]) -> Iterator[str]:
    """A note on the metrics that no method is ranked by."""
    if columns:
        names = listing(f"{section.name} {section.columns[i]}" for section, i in columns)
        yield (
            f"Excluded for all methods: {names}. No dense run beats the majority class there for certain, so there is "
            "nothing that pruning could lose."
        )
