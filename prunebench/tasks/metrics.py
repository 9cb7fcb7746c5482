"""Metrics by name, and the scores of the majority class.

A score is None if its formula is undefined for the given predictions (F1 without a positive prediction, for example),
or if an `evaluate.Metric` returns a value that is not finite.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.tasks.task import Task

Scores = dict[str, float | None]


@dataclass(frozen=True)
class MetricSpec:
    """A metric by name. `load(config)` returns the `evaluate.Metric` of a configuration, as `evaluate.load` does.

    The optional `scores(config, predictions, references)` computes the same values without `evaluate`, with None for
    undefined ones. Runs use it if it is given, because importing `evaluate` takes a second and 100 MB per process.
    """

    name: str
    doc: str
    load: Callable[[str], Any]
    scores: Callable[[str, Sequence[float], Sequence[float]], Scores] | None = None


@dataclass(frozen=True)
class Scorer:
    """The metrics of a task, as a function of predictions and references."""

    task: Task
    compute: Callable[..., Mapping[str, Any]]

    @classmethod
    def from_spec(cls, task: Task, spec: MetricSpec) -> Scorer:
        config = task.metric_config
        return cls(task, functools.partial(spec.scores, config) if spec.scores else spec.load(config).compute)

    def __call__(self, predictions: Sequence[float], references: Sequence[float]) -> Scores:
        """The value of each of the task's metrics.

        Raises PrunebenchError if the metric returns no number for one of them.
        """
        values = self.compute(predictions=predictions, references=references)
        return {key: self._number(key, values) for key in self.task.metrics}

    def _number(self, key: str, values: Mapping[str, Any]) -> float | None:
        metric = f"the metric {self.task.metric!r} of the task {self.task.name!r}"
        if key not in values:
            raise PrunebenchError(f"{metric} gives no {key!r}", f"it gives {', '.join(map(repr, values)) or 'nothing'}")
        try:
            number = math.nan if values[key] is None else float(values[key])
        except (TypeError, ValueError):
            raise PrunebenchError(f"{metric} gives {values[key]!r} for {key!r}", "expected one number") from None
        return number if math.isfinite(number) else None


def fill_undefined(scores: Scores) -> dict[str, float]:
    """The scores with 0.0 for undefined ones, so that means stay finite. `undefined` lists which these are."""
    return {key: 0.0 if value is None else value for key, value in scores.items()}


def undefined_keys(scores: Scores) -> list[str]:
    """The keys of the undefined scores."""
    return [key for key, value in scores.items() if value is None]


def majority_scores(train_labels: Sequence[float], references: Sequence[float], scorer: Scorer) -> dict[str, float]:
    """The scores of a model that predicts the same for every example: a model below them has learnt nothing.

    For classification the prediction is the most frequent class of `train_labels` (the lowest index on ties), for
    regression their mean. Correlations with a constant are undefined, and count as 0.0.
    """
    if scorer.task.is_regression:
        prediction: float = math.fsum(train_labels) / len(train_labels)
    else:
        counts = Counter(train_labels)
        prediction = max(sorted(counts), key=counts.__getitem__)
    return fill_undefined(scorer([prediction] * len(references), list(references)))
