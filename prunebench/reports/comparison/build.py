"""From rows to a `Report`: every pair of methods, over seeds on each task and over tasks, with corrected p values."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from prunebench.errors import PrunebenchError
from prunebench.reports.comparison.differences import averages, over_seeds
from prunebench.reports.comparison.methods import check_sparsities, select_methods
from prunebench.reports.comparison.notes import doubts, missing_levels, omissions, unequal_training, without_examples
from prunebench.reports.comparison.report import Report, TaskComparison, TaskRanking
from prunebench.reports.comparison.scores import Scores
from prunebench.reports.comparison.setting import setting
from prunebench.reports.examples import Examples
from prunebench.reports.leaderboard.averages import rows_by_task
from prunebench.reports.render.formatting import level, listing
from prunebench.results.rows import Row
from prunebench.results.statistics.comparison import Comparison, compare, family
from prunebench.results.statistics.ranks import rank
from prunebench.results.statistics.summary import BOOTSTRAP, T, bootstrap
from prunebench.results.warnings import warnings


def build(
    rows: Sequence[Row],
    methods: Sequence[str],
    reference: str | None = None,
    sparsities: Sequence[float] = (),
    *,
    interval: str = T,
    mixed: bool = False,
    verification: str = "",
    examples: Examples | None = None,
    each_metric: bool = False,
    rope: float | None = None,
) -> Report:
    """Compare every two of `methods`, and each of them with `reference`.

    `sparsities` restricts the comparison; empty means all. `interval` is `T`, or `BOOTSTRAP` for intervals over seeds
    that assume no distribution. With `mixed`, different settings and units are compared, and the report warns of it.
    `verification` is the sentence about the bundle of the rows.
    With `examples`, verdicts are over seeds and examples wherever predictions and labels are known. A task has one
    score, the mean over metrics and evaluations, or with `each_metric` several. With `rope`, a fraction, the report has
    the probabilities that A is worse, practically the same (within ± `rope`) and better.

    Raises PrunebenchError for an unknown name or sparsity, for mixed settings or units without `mixed`, and if no two
    methods share a score.
    """
    labels, selected, mixtures = select_methods(rows, [*methods, *([reference] if reference else [])], mixed)
    compared, base = labels[: len(methods)], labels[len(methods) :]
    check_sparsities(selected, sparsities)
    scores = Scores(selected, sparsities)
    pairs = [*itertools.combinations(compared, 2), *itertools.product(compared, base)]
    candidates = list(over_seeds(scores, pairs, examples, each_metric))
    compared_pairs = [entry for entry in candidates if entry.comparison.n and not entry.same_trainings]
    if not compared_pairs:
        raise _nothing_shared(selected)
    corrected = family([INTERVALS[interval](entry.comparison) for entry in compared_pairs])
    # An average takes the mean of a task's metrics.
    joint = over_seeds(scores, pairs, examples, each_metric=False) if each_metric else compared_pairs
    means = averages([entry for entry in joint if not entry.same_trainings])
    return Report(
        interval=interval,
        methods=tuple(compared),
        reference=base[0] if base else None,
        setting=tuple(setting(selected)),
        warnings=(*mixtures, *warnings(rows_by_task(selected)), *doubts(compared_pairs)),
        notes=(
            *dict.fromkeys((*omissions(candidates), *unequal_training(compared_pairs))),
            *missing_levels(selected),
            *without_examples(compared_pairs, examples),
        ),
        over_seeds=tuple(replace(entry, comparison=c) for entry, c in zip(compared_pairs, corrected, strict=True)),
        averages=means,
        rope=rope,
        over_tasks=_over_tasks(
            scores, dict.fromkeys((entry.a, entry.b, entry.condition.sparsity) for entry in compared_pairs)
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
