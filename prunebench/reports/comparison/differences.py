"""A − B of every pair of methods: on each task over seeds, and of the average over the tasks of a benchmark."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from prunebench.reports.comparison.report import AverageComparison, Condition, SeedComparison
from prunebench.reports.comparison.scores import Column, Scores, value
from prunebench.reports.examples import Examples
from prunebench.reports.render.formatting import METRICS
from prunebench.results.rows import Row
from prunebench.results.statistics.comparison import MIN_PAIRS, compare, estimate_p, holm
from prunebench.results.statistics.crossed import Estimate, average, rounding_floor
from prunebench.results.statistics.examples import ExampleValues, mean_of_columns
from prunebench.results.statistics.summary import summarise

Pair = tuple[str, str]
# The rows of a method by column and seed.
Columns = Mapping[Column, Mapping[int, Row]]


def over_seeds(
    scores: Scores, pairs: Iterable[Pair], examples: Examples | None, each_metric: bool
) -> Iterator[SeedComparison]:
    """A − B on each task at each sparsity: of the mean over metrics and evaluations, or `each_metric` by itself."""
    for (a, b), task in itertools.product(pairs, scores.tasks):
        for sparsity in scores.sparsities((a, b), task):
            rows_a, rows_b = scores.rows(a, task, sparsity), scores.rows(b, task, sparsity)
            columns = list(dict.fromkeys((*rows_a, *rows_b)))
            for group in [[column] for column in columns] if each_metric else [columns]:
                yield _compare(a, b, sparsity, _only(rows_a, group), _only(rows_b, group), examples)


def _only(rows: Columns, group: Sequence[Column]) -> Columns:
    return {column: rows.get(column, {}) for column in group}


def _compare(
    a: str, b: str, sparsity: float, rows_a: Columns, rows_b: Columns, examples: Examples | None
) -> SeedComparison:
    """A − B of the mean of some columns. `sparsity` is the pruned method's: a dense row's own would be 0."""
    first = next(row for rows in (rows_a, rows_b) for by_seed in rows.values() for row in by_seed.values())
    seeds_a, seeds_b = (set.intersection(*(set(by_seed) for by_seed in rows.values())) for rows in (rows_a, rows_b))
    seeds = sorted(seeds_a & seeds_b)
    values_a, values_b = (
        {seed: _mean(value(by_seed[seed]) for by_seed in rows.values()) for seed in seeds} for rows in (rows_a, rows_b)
    )
    sizes = [row.examples for by_seed in rows_a.values() for row in by_seed.values() if row.examples]
    floor = rounding_floor(min(sizes)) if sizes else 0.0
    return SeedComparison(
        a,
        b,
        _condition(first, list(rows_a), sparsity),
        mean_a=_mean(values_a.values()) if seeds else math.nan,
        mean_b=_mean(values_b.values()) if seeds else math.nan,
        comparison=compare(values_a, values_b, floor, _crossed(rows_a, rows_b, seeds, floor, examples)),
        unpaired_seeds=tuple(sorted(seeds_a ^ seeds_b)),
        pairs=tuple((rows_a[column][seed], rows_b[column][seed]) for column in rows_a for seed in seeds),
    )


def _condition(first: Row, columns: Sequence[Column], sparsity: float) -> Condition:
    """The condition of some columns. Their mean has the names of all, joined by "and"."""
    cell = first.cell
    evaluations, metrics = (" and ".join(dict.fromkeys(names)) for names in zip(*columns, strict=True))
    split = first.split if len(columns) == 1 else cell.split
    return Condition(cell.task, cell.benchmark, split, evaluations, metrics, sparsity)


def _crossed(
    rows_a: Columns, rows_b: Columns, seeds: Sequence[int], floor: float, examples: Examples | None
) -> Estimate | None:
    if examples is None or len(seeds) < 2:
        return None
    a, b = (
        mean_of_columns([_values(column, by_seed, seeds, examples) for column, by_seed in rows.items()])
        for rows in (rows_a, rows_b)
    )
    estimate = a.difference(b, seeds, floor) if a and b else None
    # Values of examples are single floats, and the mean of scores is exact.
    exact = _mean(value(rows_a[column][seed]) - value(rows_b[column][seed]) for column in rows_a for seed in seeds)
    return replace(estimate, mean=exact) if estimate else None


def _values(
    column: Column, by_seed: Mapping[int, Row], seeds: Sequence[int], examples: Examples
) -> ExampleValues | None:
    arrays = {seed: array for seed in seeds if (array := examples.values(by_seed[seed])) is not None}
    if len(arrays) < len(seeds) or len({len(array) for array in arrays.values()}) > 1:
        return None
    return ExampleValues(arrays, ((column[0], len(next(iter(arrays.values())))),))


def averages(entries: Sequence[SeedComparison]) -> tuple[AverageComparison, ...]:
    """A − B of the average over the tasks of each benchmark, at each sparsity that at least two tasks have.

    The tasks of each are independent estimates with Satterthwaite's degrees of freedom. A task with fewer than three
    common seeds is left out. Holm's correction is for these comparisons alone.
    """
    groups: dict[tuple[str, str, str, float], dict[str, list[SeedComparison]]] = {}
    for entry in entries:
        where = entry.condition
        tasks = groups.setdefault((entry.a, entry.b, where.benchmark, where.sparsity), {})
        if entry.comparison.n >= MIN_PAIRS and entry.comparison.error:
            tasks.setdefault(where.task, []).append(entry)
    results = []
    for (a, b, benchmark, sparsity), tasks in groups.items():
        # Several metrics of one task have one common error, which only their mean tells.
        if benchmark and len(tasks) > 1 and all(len(group) == 1 for group in tasks.values()):
            comparisons = [group[0].comparison for group in tasks.values()]
            estimate = average(each.error for each in comparisons if each.error)
            over_examples = all(each.crossed for each in comparisons)
            p = estimate_p(estimate)
            results.append(AverageComparison(a, b, benchmark, sparsity, tuple(tasks), estimate, over_examples, p))
    corrected = holm([each.p for each in results])
    return tuple(replace(each, holm=p) for each, p in zip(results, corrected, strict=True))


def metric_names(metrics: str) -> str:
    """The name of a condition's metric as pages print it: `accuracy and F1`."""
    return " and ".join(METRICS.get(metric, metric) for metric in metrics.split(" and "))


def _mean(values: Iterable[float]) -> float:
    return summarise(values).mean
