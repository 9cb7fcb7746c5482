"""Which examples stored runs get right: their predictions against the labels, as values for errors over examples."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.reports.labels import Labels
from prunebench.results.rows import Row
from prunebench.results.statistics import jackknife
from prunebench.results.statistics.crossed import GROUPS, group_values, pseudo_values
from prunebench.store.schema import Record
from prunebench.tasks.metrics import MetricSpec, Scores

# Labels of data from another source may be rounded otherwise, as single floats.
TOLERANCE = 1e-6


class Source(Protocol):
    """A source of records and predictions: a store or a bundle."""

    def fetch(self, keys: Collection[str]) -> Mapping[str, Record]: ...
    def predictions(self, key: str) -> Mapping[str, np.ndarray]: ...


class Examples:
    """The value of each example in the score of a row; see `results.statistics.examples`.

    `reasons` says of tasks why there are no values, in a few words each.
    """

    def __init__(self, source: Source, labels: Labels, registry: Registry) -> None:
        self._source = source
        self._labels = labels
        self._registry = registry
        self._predictions: dict[str, Mapping[str, np.ndarray]] = {}
        self._values: dict[tuple[str, str, str], np.ndarray | None] = {}
        self.reasons: dict[str, str] = {}

    def values(self, row: Row) -> np.ndarray | None:
        """The values of a row that is done, shape (values,), with the score as their mean; None without them."""
        key = row.cell.key, row.evaluation, row.metric
        if key not in self._values:
            try:
                self._values[key] = self._compute(row)
            except PrunebenchError as error:
                self.reasons.setdefault(row.cell.task, error.message)
                self._values[key] = None
        return self._values[key]

    def majority(self, row: Row) -> np.ndarray | None:
        """The same for always predicting the majority class, on the examples of the row."""
        values = self.values(row)
        if values is None or row.majority is None:
            return None
        gold = self._gold(row)
        for label in np.unique(gold) if gold.dtype.kind == "i" else ():
            scored = self._score(row, np.full(len(gold), label), gold)
            if scored is not None and abs(scored[0] - row.majority) < TOLERANCE:
                return scored[1].astype(np.float32)
        # The score of a constant is undefined in correlations, and counts as the same number for all examples.
        return np.full(len(values), row.majority, dtype=np.float32)

    def entropy(self, row: Row) -> float | None:
        """The entropy of the labels on which a row is scored, in nats; None for scores, and where they are not known.

        A model that has learnt nothing but how frequent the classes are has this loss.
        """
        if self.values(row) is None:
            return None
        gold = self._gold(row)
        if gold.dtype.kind != "i":
            return None
        shares = np.unique(gold, return_counts=True)[1] / len(gold)
        return float(-(shares * np.log(shares)).sum())

    def _compute(self, row: Row) -> np.ndarray | None:
        if row.value is None:
            return None
        if row.cell.key not in self._predictions:
            self._predictions[row.cell.key] = self._source.predictions(row.cell.key)
        predicted = self._predictions[row.cell.key].get(row.evaluation)
        if predicted is None:
            return None
        gold = self._gold(row)
        if len(gold) != len(predicted):
            raise PrunebenchError("predictions and labels differ in number")
        scored = self._score(row, predicted, gold)
        if scored is None and row.degenerate:
            # An undefined score counts as the same number whichever examples there are.
            size = len(jackknife.grouped(np.zeros(len(gold)))) if gold.dtype.kind == "i" else GROUPS
            return np.full(min(size, len(gold)), row.value, dtype=np.float32)
        if scored is None:
            raise PrunebenchError(f"{row.metric} has no values of single examples")
        if abs(scored[0] - row.value) > TOLERANCE:
            raise PrunebenchError("some predictions do not give the score of their record")
        return scored[1].astype(np.float32)

    def _gold(self, row: Row) -> np.ndarray:
        record = self._source.fetch([row.cell.key])[row.cell.key]
        labels = self._labels.of(row.cell, record.eval_limit)
        if row.evaluation not in labels:
            raise PrunebenchError(f"there are no labels of {row.evaluation}")
        return labels[row.evaluation]

    def _score(self, row: Row, predicted: np.ndarray, gold: np.ndarray) -> tuple[float, np.ndarray] | None:
        """A score with the values of examples; None where it is undefined, or its metric cannot be computed here."""
        known = jackknife.values(row.metric, predicted, gold)
        task = self._labels.task(row.cell)
        spec: MetricSpec = self._registry.get("metrics", task.metric)
        if known is not None or spec.scores is None or row.metric in jackknife.KNOWN:
            return known
        formula = functools.partial(_number, spec.scores, task.metric_config, row.metric)
        whole = formula(predicted, gold)
        if not np.isfinite(whole):
            return None
        values = (group_values if task.is_regression else pseudo_values)(formula, predicted, gold)
        return whole, jackknife.grouped(values - values.mean() + whole)


def _number(scores: Callable[..., Scores], config: str, metric: str, predicted: np.ndarray, gold: np.ndarray) -> float:
    """A score of a plugin's metric; NaN where it is undefined."""
    value = scores(config, predicted.tolist(), gold.tolist())[metric]
    return math.nan if value is None else value
