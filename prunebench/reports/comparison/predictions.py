"""Stored predictions of two runs, example by example. Reads labels from the task's data.

Imports `model`, `registry` and `tasks`; no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.reports.comparison.model import Examples, Report
from prunebench.results.rows import Row
from prunebench.results.statistics.comparison import holm, mcnemar
from prunebench.store.schema import Record
from prunebench.tasks.task import DataSource, Task, TaskData


class Store(Protocol):
    """What gives records and predictions, as a store and a bundle do."""

    def fetch(self, keys: Collection[str]) -> Mapping[str, Record]: ...
    def predictions(self, key: str) -> Mapping[str, np.ndarray]: ...


def with_examples(report: Report, store: Store, registry: Registry, glue_dir: str | None) -> Report:
    """The report with McNemar's test of every pair of runs: once for each evaluation, whatever its metrics.

    An error where predictions are gone, or do not give the accuracy that their record has.
    """
    labels = Labels(store, registry, glue_dir)
    found = list(_examples(report, labels))
    corrected = holm([entry.counts.p for entry in found])
    examples = tuple(replace(entry, holm=p) for entry, p in zip(found, corrected, strict=True) if p is not None)
    left_out = [f"McNemar's test needs right and wrong, and {name} has scores." for name in sorted(labels.regressions)]
    return replace(report, examples=examples, notes=(*report.notes, *left_out))


def _examples(report: Report, labels: Labels) -> Iterator[Examples]:
    seen = set()
    for measured in report.measured:
        for a, b in measured.pairs:
            runs = (a.cell.key, b.cell.key, a.evaluation)
            if runs in seen or labels.is_regression(a.cell.task):
                continue
            seen.add(runs)
            counts = mcnemar(labels.right(a), labels.right(b))
            yield Examples(measured.a, measured.b, measured.place, a.cell.seed, counts, counts.p)


class Labels:
    """The labels of tasks, read once, and which examples a run had right."""

    def __init__(self, store: Store, registry: Registry, glue_dir: str | None) -> None:
        self._store = store
        self._registry = registry
        self._source = DataSource(Path(glue_dir) if glue_dir else None)
        self._data: dict[str, TaskData] = {}
        self._gold: dict[tuple[str, int | None, str], np.ndarray] = {}
        self._right: dict[tuple[str, str], list[bool]] = {}
        self.regressions: set[str] = set()

    def is_regression(self, task: str) -> bool:
        found: Task = self._registry.get("tasks", task)
        if found.is_regression:
            self.regressions.add(task)
        return found.is_regression

    def right(self, row: Row) -> list[bool]:
        """Whether the run of that row had each example of its evaluation right."""
        key = (row.cell.key, row.evaluation)
        if key not in self._right:
            self._right[key] = self._decide(row).tolist()
        return self._right[key]

    def _decide(self, row: Row) -> np.ndarray:
        decided = self._store.predictions(row.cell.key).get(row.evaluation)
        where = f"of {row.cell.label} at {row.cell.sparsity:g} on {row.cell.task}, seed {row.cell.seed}"
        record = self._store.fetch([row.cell.key]).get(row.cell.key)
        if decided is None or record is None:
            raise PrunebenchError(f"the predictions {where} are not in the store", "leave out --mcnemar")
        gold = self._labels(row, record.eval_limit)
        if len(decided) != len(gold):
            raise PrunebenchError(f"the predictions {where} are {len(decided)}, and the data has {len(gold)} examples")
        right: np.ndarray = decided == gold
        accuracy = record.evaluations[row.evaluation].metrics.get("accuracy", right.mean())
        if abs(right.mean() - accuracy) > 1e-9:
            said = f"have an accuracy of {right.mean():.4f}, and their record says {accuracy:.4f}"
            raise PrunebenchError(f"the predictions {where} {said}", "one of both was changed")
        return right

    def _labels(self, row: Row, limit: int | None) -> np.ndarray:
        task = row.cell.task
        key = (task, limit, row.evaluation)
        if key not in self._gold:
            data = self._load(task)
            if data.fingerprint() != row.cell.setting.data:
                hint = f"expected fingerprint {row.cell.setting.data}; --glue-dir says where GLUE lies"
                raise PrunebenchError(f"the data of {task!r} is not what these results were made with", hint)
            self._gold[key] = np.array(data.limited(None, limit).evaluations[row.evaluation].labels)
        return self._gold[key]

    def _load(self, task: str) -> TaskData:
        if task not in self._data:
            self._data[task] = self._registry.get("tasks", task).load(self._source)
        return self._data[task]
