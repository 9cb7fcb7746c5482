"""The scores of the methods to compare, indexed by method, task, sparsity, metric and seed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from prunebench.reports.leaderboard.averages import task_order
from prunebench.results.rows import Row
from prunebench.results.statistics.summary import summarise

# An evaluation and a metric.
Column = tuple[str, str]


class Scores:
    """The rows that have a score.

    Dense runs have no sparsity of their own: they are returned for every sparsity of another method. `sparsities`
    restricts the other methods to these sparsities; empty means all.
    """

    def __init__(self, rows: Iterable[Row], sparsities: Collection[float] = ()) -> None:
        self._rows: dict[str, dict[str, dict[float, dict[Column, dict[int, Row]]]]] = {}
        self._dense: set[str] = set()
        self._splits: dict[str, set[str]] = {}
        for row in rows:
            cell = row.cell
            by_task = self._rows.setdefault(cell.label, {})
            if cell.is_dense:
                self._dense.add(cell.label)
            elif sparsities and cell.sparsity not in sparsities:
                continue
            if row.status == "done":
                self._splits.setdefault(cell.task, set()).add(cell.split)
                columns = by_task.setdefault(cell.task, {}).setdefault(cell.sparsity, {})
                columns.setdefault((row.evaluation, row.metric), {})[cell.seed] = row
        self.tasks = sorted({task for by_task in self._rows.values() for task in by_task}, key=task_order)

    def rows(self, label: str, task: str, sparsity: float) -> Mapping[Column, Mapping[int, Row]]:
        """The rows of one method on one task at one sparsity, by column and seed."""
        return self._rows[label].get(task, {}).get(0.0 if label in self._dense else sparsity, {})

    def splits(self, tasks: Iterable[str]) -> tuple[str, ...]:
        """The splits that the scores of these tasks were measured on: dev, test or both."""
        return tuple(sorted({split for task in tasks for split in self._splits[task]}))

    def sparsities(self, labels: Iterable[str], task: str) -> list[float]:
        """The sparsities that all these methods have on a task."""
        by_label = [set(self._rows[label].get(task, {})) for label in labels if label not in self._dense]
        return sorted(set.intersection(*by_label)) if by_label else []

    def task_means(self, labels: Sequence[str], sparsity: float) -> dict[str, dict[str, float]]:
        """The score of each method on each task: the mean over metrics and evaluations, then over seeds.

        Only seeds count for which every method has every metric. Tasks without such a seed are left out.
        """
        means = {}
        for task in self.tasks:
            by_label = [self.rows(label, task, sparsity) for label in labels]
            columns = {column for by_column in by_label for column in by_column}
            seeds_by_column = [set(by_column.get(column, {})) for by_column in by_label for column in columns]
            seeds = sorted(set.intersection(*seeds_by_column)) if seeds_by_column else []
            if seeds:
                means[task] = {
                    label: _mean(_mean(value(by_column[column][seed]) for column in columns) for seed in seeds)
                    for label, by_column in zip(labels, by_label, strict=True)
                }
        return means


def value(row: Row) -> float:
    """The score of a row that is done."""
    assert row.value is not None
    return row.value


def _mean(values: Iterable[float]) -> float:
    return summarise(values).mean
