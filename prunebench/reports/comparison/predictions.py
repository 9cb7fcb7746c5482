"""McNemar's test of two runs, from their stored predictions and the labels in the task's data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.reports.comparison.report import ExampleComparison, Report
from prunebench.results.rows import Row
from prunebench.results.statistics.comparison import holm, mcnemar
from prunebench.store.schema import Record
from prunebench.tasks.task import DataSource, Task, TaskData


class Store(Protocol):
    """A source of records and predictions: a store or a bundle."""

    def fetch(self, keys: Collection[str]) -> Mapping[str, Record]: ...
    def predictions(self, key: str) -> Mapping[str, np.ndarray]: ...


def add_example_comparisons(report: Report, store: Store, registry: Registry, glue_dir: str | None) -> Report:
    """The report with McNemar's test of every pair of runs, once per evaluation.

    Regression tasks are left out, with a note. Raises PrunebenchError if predictions are missing, or if they do not
    give the accuracy of their record.
    """
    labels = Labels(store, registry, glue_dir)
    entries = list(_over_examples(report, labels))
    corrected = holm([entry.counts.p for entry in entries])
    over_examples = tuple(replace(entry, holm=p) for entry, p in zip(entries, corrected, strict=True) if p is not None)
    notes = [f"McNemar's test needs right and wrong, and {name} has scores." for name in sorted(labels.regressions)]
    return replace(report, over_examples=over_examples, notes=(*report.notes, *notes))


def _over_examples(report: Report, labels: Labels) -> Iterator[ExampleComparison]:
    """A test for each pair of runs and evaluation. Two metrics of one evaluation have the same predictions."""
    tested = set()
    for entry in report.over_seeds:
        for a, b in entry.pairs:
            runs = (a.cell.key, b.cell.key, a.evaluation)
            if runs in tested or labels.is_regression(a.cell.task):
                continue
            tested.add(runs)
            counts = mcnemar(labels.right(a), labels.right(b))
            yield ExampleComparison(entry.a, entry.b, entry.condition, a.cell.seed, counts, counts.p)


class Labels:
    """Which examples a run got right. The labels of each task are read once."""

    def __init__(self, store: Store, registry: Registry, glue_dir: str | None) -> None:
        self._store = store
        self._registry = registry
        self._source = DataSource(Path(glue_dir) if glue_dir else None)
        self._data: dict[str, TaskData] = {}
        self._gold: dict[tuple[str, int | None, str], np.ndarray] = {}
        self._right: dict[tuple[str, str], list[bool]] = {}
        self.regressions: set[str] = set()

    def is_regression(self, task: str) -> bool:
        definition: Task = self._registry.get("tasks", task)
        if definition.is_regression:
            self.regressions.add(task)
        return definition.is_regression

    def right(self, row: Row) -> list[bool]:
        """Whether the run of this row got each example of its evaluation right."""
        key = (row.cell.key, row.evaluation)
        if key not in self._right:
            self._right[key] = self._decide(row).tolist()
        return self._right[key]

    def _decide(self, row: Row) -> np.ndarray:
        predictions = self._store.predictions(row.cell.key).get(row.evaluation)
        where = f"of {row.cell.label} at {row.cell.sparsity:g} on {row.cell.task}, seed {row.cell.seed}"
        record = self._store.fetch([row.cell.key]).get(row.cell.key)
        if predictions is None or record is None:
            raise PrunebenchError(f"the predictions {where} are not in the store", "leave out --mcnemar")
        gold = self._labels(row, record.eval_limit)
        if len(predictions) != len(gold):
            raise PrunebenchError(
                f"the predictions {where} are {len(predictions)}, and the data has {len(gold)} examples"
            )
        right: np.ndarray = predictions == gold
        accuracy = record.evaluations[row.evaluation].metrics.get("accuracy", right.mean())
        if abs(right.mean() - accuracy) > 1e-9:
            difference = f"have an accuracy of {right.mean():.4f}, and their record says {accuracy:.4f}"
            raise PrunebenchError(f"the predictions {where} {difference}", "one of both was changed")
        return right

    def _labels(self, row: Row, limit: int | None) -> np.ndarray:
        task = row.cell.task
        key = (task, limit, row.evaluation)
        if key not in self._gold:
            data = self._load(task)
            if data.fingerprint() != row.cell.setting.data:
                hint = f"expected fingerprint {row.cell.setting.data}; --glue-dir says where GLUE lies"
                raise PrunebenchError(f"the data of {task!r} is not what these results were made with", hint)
            self._gold[key] = np.array(data.limit(None, limit).evaluations[row.evaluation].labels)
        return self._gold[key]

    def _load(self, task: str) -> TaskData:
        if task not in self._data:
            self._data[task] = self._registry.get("tasks", task).load(self._source)
        return self._data[task]
