"""The ranking of a page: methods by track and sparsity, with ties where they cannot be told apart.

What methods are ranked by is a function of (task, column) pairs, averaged within each task first and then over tasks,
seed by seed. By default it is the score retained of the dense run of equal training, or of the plain dense run where
that is missing. For one seed with RTE accuracy 0.61 (dense: 0.60), MRPC accuracy 0.83
(dense: 0.84) and MRPC F1 0.88 (dense: 0.88) that is (0.61/0.60 + (0.83/0.84 + 0.88/0.88)/2)/2 = 1.005.

Metrics in which some dense run scores below `LEAST_DENSE` are excluded for all methods, because ratios to such a score
are noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from prunebench.reports.leaderboard.averages import average_title, benchmark_groups
from prunebench.reports.leaderboard.report import (
    RANK,
    RETAINED,
    Level,
    Line,
    Placement,
    Ranking,
    Section,
    Standing,
    Track,
)
from prunebench.reports.leaderboard.significance import tied_ranks
from prunebench.reports.leaderboard.task_section import teacher_note
from prunebench.reports.render.formatting import listing, points, seeds
from prunebench.results.rows import LEAST_DENSE
from prunebench.results.statistics import Summary, summarise
from prunebench.results.statistics.ranks import rank

Values = dict[int, float]
# A metric: its section, and its column there.
Column = tuple[Section, int]
# The lines of one track: by task, then by sparsity and label.
Lines = Mapping[str, Mapping[tuple[float, str], Line]]


def rankings(sections: Sequence[Section], averages: Sequence[Section], rule: str) -> tuple[Ranking, ...]:
    """A ranking for each benchmark and track. A benchmark with a single task is ranked by that task."""
    by_title = {section.title: section for section in averages}
    every = []
    for benchmark, group in benchmark_groups(sections):
        section = by_title[average_title(benchmark, group)] if len(group) > 1 else group[0]
        every += [_ranking(section, group, track, rule) for track in section.tracks]
    return tuple(ranking for ranking in every if any(standing.placements for standing in ranking.standings))


def methods_in_order(ranking: Ranking) -> list[str]:
    """The methods by their mean rank over the sparsities; those that lack a rank somewhere come last."""
    ranks: dict[str, list[int | None]] = {}
    for standing in ranking.standings:
        for placement in standing.placements:
            ranks.setdefault(placement.label, []).append(placement.rank)

    def key(label: str) -> tuple[int, float, str]:
        known = [rank for rank in ranks[label] if rank is not None]
        return len(ranking.standings) - len(known), fmean(known) if known else 0.0, label

    return sorted(ranks, key=key)


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
    columns = [column for column in _columns(group) if _has_ratio(column)]
    for track in section.tracks:
        lines = {task.name: _lines(task, track.name) for task in group}
        for level in track.levels:
            for line in level.lines:
                yield track.name, level.sparsity, _placement(line, level.sparsity, lines, columns, set(), RETAINED)


def _columns(group: Sequence[Section]) -> list[Column]:
    return [(section, i) for section in group for i in range(len(section.columns))]


def _ranking(section: Section, group: Sequence[Section], track: Track, rule: str) -> Ranking:
    columns = _columns(group)
    excluded = [column for column in columns if rule == RETAINED and not _has_ratio(column)]
    included = [column for column in columns if rule != RETAINED or _has_ratio(column)]
    lines = {task.name: _lines(task, track.name) for task in group}
    standings = tuple(_standing(level, lines, included, rule) for level in track.levels)
    return Ranking(
        title=section.title,
        track=track.name,
        rule=rule,
        tasks=tuple(task.name for task in group),
        majority=_majority(included, rule),
        standings=standings,
        notes=(
            *_excluded_note(excluded),
            *_untrained_note(group),
            *_unequal_note(group, standings),
            *teacher_note(line for own in lines.values() for line in own.values()),
        ),
        unsupported=track.unsupported,
    )


def _lines(section: Section, track: str) -> dict[tuple[float, str], Line]:
    levels = (level for each in section.tracks if each.name == track for level in each.levels)
    return {(level.sparsity, line.label): line for level in levels for line in level.lines}


def _standing(level: Level, lines: Lines, columns: Sequence[Column], rule: str) -> Standing:
    expected = {seed for line in level.lines for score in line.scores for seed in (*score.values, *line.incomplete)}
    placements = [_placement(line, level.sparsity, lines, columns, expected, rule) for line in level.lines]
    task_scores = {line.label: _task_scores(line.label, level.sparsity, lines) for line in level.lines if not line.gaps}
    across = rank(task_scores)
    if rule == RANK:
        means = {label: summarise([mean]) for label, mean in across.ranks.items()}
        placements = [replace(each, values={}, summary=means.get(each.label)) for each in placements]
        ranks = dict(across.places)
    else:
        ranks = tied_ranks({each.label: each.values for each in placements if not each.gaps})
    return Standing(level.sparsity, tuple(_in_order(placements, ranks, rule)), across)


def _placement(
    line: Line, sparsity: float, lines: Lines, columns: Sequence[Column], expected: set[int], rule: str
) -> Placement:
    """A method without its rank, which depends on the others. `expected` are the seeds that it should have."""

    def mean(value: Callable[[Line, int], Values]) -> Values:
        return _mean_by_task(
            columns,
            lambda section, i: value(own, i) if (own := lines[section.name].get((sparsity, line.label))) else {},
        )

    of_dense, of_equal = (mean(_of_dense), mean(_of_equal)) if rule == RETAINED else ({}, {})
    # A method is never compared with runs of equal training on one task or seed, and with others on the next.
    if not of_equal.keys() >= of_dense.keys():
        of_equal = {}
    values = of_equal or of_dense if rule == RETAINED else mean(_plain)
    gaps = list(line.gaps)
    without_dense = expected - values.keys() - line.incomplete
    if not columns:
        gaps.append("no metric to rank by")
    elif without_dense:
        gaps.append(f"no dense run of {seeds(without_dense)}")
    return Placement(
        line.label,
        values,
        _summary(values),
        rank=None,
        gaps=tuple(gaps),
        of_dense=_summary(of_dense),
        of_equal=_summary(of_equal),
    )


def _plain(line: Line, column: int) -> Values:
    return dict(line.scores[column].values)


def _of_dense(line: Line, column: int) -> Values:
    return _ratios(line.scores[column].values, line.scores[column].dense)


def _of_equal(line: Line, column: int) -> Values:
    return _ratios(line.scores[column].values, line.scores[column].equal)


def _ratios(values: Mapping[int, float], dense: Mapping[int, float]) -> Values:
    return {seed: value / dense[seed] for seed, value in values.items() if seed in dense}


def _has_ratio(column: Column) -> bool:
    """Whether every dense run scores high enough to divide by."""
    section, i = column
    lines = [section.dense, *(line for track in section.tracks for level in track.levels for line in level.lines)]
    scores = [line.scores[i] for line in lines]
    return all(value >= LEAST_DENSE for score in scores for value in (*score.dense.values(), *score.equal.values()))


def _mean_by_task(columns: Sequence[Column], value: Callable[[Section, int], Values]) -> Values:
    """The mean within each task first, then over tasks, for each seed that has all of them."""
    tasks: dict[str, list[Values]] = {}
    for section, i in columns:
        tasks.setdefault(section.name, []).append(value(section, i))
    return _means([_means(group) for group in tasks.values()])


def _means(group: Sequence[Values]) -> Values:
    common = sorted(set.intersection(*map(set, group))) if group else []
    return {seed: math.fsum(values[seed] for values in group) / len(group) for seed in common}


def _summary(values: Values) -> Summary | None:
    return summarise(values.values()) if values else None


def _task_scores(label: str, sparsity: float, lines: Lines) -> dict[str, float]:
    """A method's score on each task: mean over metrics and evaluations, then over the seeds that have them all."""
    scores = {}
    for task, own in lines.items():
        if (sparsity, label) in own:
            summary = _summary(_means([dict(score.values) for score in own[sparsity, label].scores]))
            if summary is not None:
                scores[task] = summary.mean
    return scores


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
    """What always predicting the most frequent class would get by this rule. Its score is the same for every seed."""
    if rule == RANK or any(section.majority[i] is None for section, i in columns):
        return None

    def value(section: Section, i: int) -> Values:
        score = section.majority[i] or 0.0
        dense = section.dense.scores[i].values
        return {seed: score / dense[seed] for seed in dense} if rule == RETAINED else {0: score}

    summary = _summary(_mean_by_task(columns, value))
    return summary.mean if summary else None


def _excluded_note(columns: Sequence[Column]) -> Iterator[str]:
    if columns:
        names = listing(f"{section.name} {section.columns[i]}" for section, i in columns)
        yield (
            f"Excluded for all methods: {names}. Some dense run scores below {points(LEAST_DENSE)} there, which is too "
            "little to divide by."
        )


def _unequal_note(group: Sequence[Section], standings: Sequence[Standing]) -> Iterator[str]:
    """A note on methods that are compared with dense, on a page that has dense runs of equal training."""
    labels = {
        each.label for standing in standings for each in standing.placements if each.of_dense and not each.of_equal
    }
    if labels and any(section.references for section in group):
        yield (
            f"Compared with dense: {listing(sorted(labels))}. "
            "Not every task and seed has a dense run of equal training."
        )


def _untrained_note(group: Sequence[Section]) -> Iterator[str]:
    """A note on tasks where the dense model does not beat the majority class, so that anything retains everything."""
    names = [
        section.name
        for section in group
        if (score := section.dense.scores[0].summary) is not None
        and section.majority[0] is not None
        and score.mean <= section.majority[0]
    ]
    if names:
        yield (
            f"The dense runs are no better than the majority class on {listing(names)}: they learnt nothing there that "
            "pruning could lose."
        )
