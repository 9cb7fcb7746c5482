"""McNemar's test of two runs, from their stored predictions and the labels in the task's data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.reports.comparison.report import ExampleComparison, Report
from prunebench.reports.examples import Source
from prunebench.reports.labels import Labels
from prunebench.results.rows import Row
from prunebench.results.statistics.comparison import holm
from prunebench.results.statistics.mcnemar import mcnemar
from prunebench.store.schema import Cell


def add_example_comparisons(report: Report, source: Source, registry: Registry, glue_dir: str | None) -> Report:
    """The report with McNemar's test of every pair of runs, once per evaluation.

    Regression tasks are left out, with a note. Raises PrunebenchError if predictions are missing, or if they do not
    give the accuracy of their record.
    """
    answers = Answers(source, Labels(source, registry, glue_dir, online=True))
    entries = list(_over_examples(report, answers))
    corrected = holm([entry.counts.p for entry in entries])
    over_examples = tuple(replace(entry, holm=p) for entry, p in zip(entries, corrected, strict=True) if p is not None)
    notes = [f"McNemar's test needs right and wrong, and {name} has scores." for name in sorted(answers.regressions)]
    return replace(report, over_examples=over_examples, notes=(*report.notes, *notes))


def _over_examples(report: Report, answers: Answers) -> Iterator[ExampleComparison]:
    """A test for each pair of runs and evaluation. Two metrics of one evaluation have the same predictions."""
    tested = set()
    for entry in report.over_seeds:
        for a, b in entry.pairs:
            runs = (a.cell.key, b.cell.key, a.evaluation)
            if runs in tested or answers.is_regression(a.cell):
                continue
            tested.add(runs)
            counts = mcnemar(answers.right(a), answers.right(b))
            condition = replace(entry.condition, split=a.split, evaluation=a.evaluation, metric=a.metric)
            yield ExampleComparison(entry.a, entry.b, condition, a.cell.seed, counts, counts.p)


class Answers:
    """Which examples a run got right."""

    def __init__(self, source: Source, labels: Labels) -> None:
        self._source = source
        self._labels = labels
        self._right: dict[tuple[str, str], list[bool]] = {}
        self.regressions: set[str] = set()

    def is_regression(self, cell: Cell) -> bool:
        regression = self._labels.task(cell).is_regression
        if regression:
            self.regressions.add(cell.task)
        return regression

    def right(self, row: Row) -> list[bool]:
        """Whether the run of this row got each example of its evaluation right."""
        key = (row.cell.key, row.evaluation)
        if key not in self._right:
            self._right[key] = self._decide(row).tolist()
        return self._right[key]

    def _decide(self, row: Row) -> np.ndarray:
        predictions = self._source.predictions(row.cell.key).get(row.evaluation)
        where = f"of {row.cell.label} at {row.cell.sparsity:g} on {row.cell.task}, seed {row.cell.seed}"
        record = self._source.fetch([row.cell.key]).get(row.cell.key)
        if predictions is None or record is None:
            raise PrunebenchError(f"the predictions {where} are not in the store", "leave out --mcnemar")
        gold = self._labels.of(row.cell, record.eval_limit)[row.evaluation]
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
