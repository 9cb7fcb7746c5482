"""From rows to a `Report`: every pair of methods, over seeds on each task and over tasks, with corrected p values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from prunebench.errors import PrunebenchError
from prunebench.reports.comparison.methods import check_sparsities, select_methods
from prunebench.reports.comparison.notes import doubts, missing_levels, omissions, unequal_training
from prunebench.reports.comparison.report import Condition, Report, SeedComparison, TaskComparison, TaskRanking
from prunebench.reports.comparison.scores import Scores, value
from prunebench.reports.comparison.setting import setting
from prunebench.reports.leaderboard.averages import rows_by_task
from prunebench.reports.render.formatting import level, listing
from prunebench.results.rows import Row
from prunebench.results.statistics.comparison import Comparison, compare, family
from prunebench.results.statistics.ranks import rank
from prunebench.results.statistics.summary import BOOTSTRAP, T, bootstrap, summarise
from prunebench.results.warnings import warnings

Pair = tuple[str, str]


def build(
    rows: Sequence[Row],
    methods: Sequence[str],
    reference: str | None = None,
    sparsities: Sequence[float] = (),
    *,
    interval: str = T,
    mixed: bool = False,
    verification: str = "",
) -> Report:
    """Compare every two of `methods`, and each of them with `reference`.

    `sparsities` restricts the comparison; empty means all. `interval` is `T`, or `BOOTSTRAP` for intervals over seeds
    that assume no distribution. With `mixed`, different settings and units are compared, and the report warns of it.
    `verification` is the sentence about the bundle of the rows.

    Raises PrunebenchError for an unknown name or sparsity, for mixed settings or units without `mixed`, and if no two
    methods share a score.
    """
    labels, selected, mixtures = select_methods(rows, [*methods, *([reference] if reference else [])], mixed)
    compared, base = labels[: len(methods)], labels[len(methods) :]
    check_sparsities(selected, sparsities)
    scores = Scores(selected, sparsities)
    pairs = [*itertools.combinations(compared, 2), *itertools.product(compared, base)]
    candidates = list(_over_seeds(scores, pairs))
    over_seeds = [entry for entry in candidates if entry.comparison.n and not entry.same_trainings]
    if not over_seeds:
        raise _nothing_shared(selected)
    corrected = family([INTERVALS[interval](entry.comparison) for entry in over_seeds])
    return Report(
        interval=interval,
        methods=tuple(compared),
        reference=base[0] if base else None,
        setting=tuple(setting(selected)),
        warnings=(*mixtures, *warnings(rows_by_task(selected)), *doubts(over_seeds)),
        notes=(
            *dict.fromkeys((*omissions(candidates), *unequal_training(over_seeds))),
            *missing_levels(selected),
        ),
        over_seeds=tuple(replace(entry, comparison=c) for entry, c in zip(over_seeds, corrected, strict=True)),
        over_tasks=_over_tasks(
            scores, dict.fromkeys((entry.a, entry.b, entry.condition.sparsity) for entry in over_seeds)
        ),
        rankings=tuple(_rankings(scores, labels)) if len(labels) > 2 else (),
        verification=verification,
    )


def _with_bootstrap(comparison: Comparison) -> Comparison:
    if comparison.interval is None:
        return comparison
    return replace(comparison, interval=bootstrap(comparison.differences))


INTERVALS: dict[str, Callable[[Comparison], Comparison]] = {
    T: lambda comparison: comparison,
    BOOTSTRAP: _with_bootstrap,
}


def _over_seeds(scores: Scores, pairs: Iterable[Pair]) -> Iterator[SeedComparison]:
    for (a, b), task in itertools.product(pairs, scores.tasks):
        for sparsity in scores.sparsities((a, b), task):
            rows_a, rows_b = scores.rows(a, task, sparsity), scores.rows(b, task, sparsity)
            for column in dict.fromkeys((*rows_a, *rows_b)):
                yield _compare_seeds(a, b, sparsity, rows_a.get(column, {}), rows_b.get(column, {}))


def _compare_seeds(
    a: str, b: str, sparsity: float, rows_a: Mapping[int, Row], rows_b: Mapping[int, Row]
) -> SeedComparison:
    """A − B in one column. `sparsity` is the pruned method's: a dense row's own would be 0."""
    first = next(iter((*rows_a.values(), *rows_b.values())))
    cell = first.cell
    seeds = sorted(rows_a.keys() & rows_b.keys())
    values_a, values_b = ({seed: value(rows[seed]) for seed in seeds} for rows in (rows_a, rows_b))
    return SeedComparison(
        a,
        b,
        Condition(cell.task, cell.benchmark, first.split, first.evaluation, first.metric, sparsity),
        mean_a=summarise(values_a.values()).mean if seeds else math.nan,
        mean_b=summarise(values_b.values()).mean if seeds else math.nan,
        comparison=compare(values_a, values_b),
        unpaired_seeds=tuple(sorted(rows_a.keys() ^ rows_b.keys())),
        pairs=tuple((rows_a[seed], rows_b[seed]) for seed in seeds),
    )


def _over_tasks(scores: Scores, pairs: Iterable[tuple[str, str, float]]) -> tuple[TaskComparison, ...]:
    """Two methods over the means of tasks, at each sparsity that at least two tasks have.

    Holm's correction is for these comparisons alone: they are a family of their own.
    """
    comparisons = []
    for a, b, sparsity in pairs:
        means = scores.task_means((a, b), sparsity)
        if len(means) > 1:
            means_a, means_b = ({task: by_label[label] for task, by_label in means.items()} for label in (a, b))
            comparisons.append(TaskComparison(a, b, scores.splits(means), sparsity, compare(means_a, means_b)))
    corrected = family([entry.comparison for entry in comparisons])
    return tuple(replace(entry, comparison=c) for entry, c in zip(comparisons, corrected, strict=True))


def _rankings(scores: Scores, labels: Sequence[str]) -> Iterator[TaskRanking]:
    for sparsity in sorted({sparsity for task in scores.tasks for sparsity in scores.sparsities(labels, task)}):
        means = scores.task_means(labels, sparsity)
        if len(means) > 1:
            by_label = {label: {task: means[task][label] for task in means} for label in labels}
            yield TaskRanking(scores.splits(means), sparsity, rank(by_label))


def _nothing_shared(rows: Iterable[Row]) -> PrunebenchError:
    sparsities: dict[str, set[float]] = {}
    for row in rows:
        if row.status == "done":
            sparsities.setdefault(row.cell.label, set()).add(row.cell.sparsity)
    results = "; ".join(f"{label} at {listing(map(level, sorted(sparsities[label])))}" for label in sorted(sparsities))
    return PrunebenchError(
        f"nothing can be compared: {results}", "expected two methods with results for the same task, sparsity and seed"
    )
