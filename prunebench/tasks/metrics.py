"""How a metric is registered and called, and the row of the majority class.

Imports neither torch nor `evaluate`; numpy and scipy where they are used.

A score that its formula leaves undefined is None here, and so is what an `evaluate.Metric` gives that is not finite.
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
    """A metric by name. `load(config)` gives the `evaluate.Metric` for that configuration, as `evaluate.load` does.

    Where `scores(config, predictions, references)` is there too, it gives the same values, None for one that is
    undefined, and runs use it: to import `evaluate` takes each process a second and 100 MB.
    """

    name: str
    doc: str
    load: Callable[[str], Any]
    scores: Callable[[str, Sequence[float], Sequence[float]], Scores] | None = None


@dataclass(frozen=True)
class Scorer:
    """The metrics of a task. Called with predictions and references it gives each of them; None is undefined."""

    task: Task
    compute: Callable[..., Mapping[str, Any]]

    @classmethod
    def of(cls, task: Task, spec: MetricSpec) -> Scorer:
        config = task.metric_config
        return cls(task, functools.partial(spec.scores, config) if spec.scores else spec.load(config).compute)

    def __call__(self, predictions: Sequence[float], references: Sequence[float]) -> Scores:
        """Raises PrunebenchError where the metric gives no number for what the task says that it gives."""
        values = self.compute(predictions=predictions, references=references)
        return {key: self._number(key, values) for key in self.task.metrics}

    def _number(self, key: str, values: Mapping[str, Any]) -> float | None:
        who = f"the metric {self.task.metric!r} of the task {self.task.name!r}"
        if key not in values:
            raise PrunebenchError(f"{who} gives no {key!r}", f"it gives {', '.join(map(repr, values)) or 'nothing'}")
        try:
            number = math.nan if values[key] is None else float(values[key])
        except (TypeError, ValueError):
            raise PrunebenchError(f"{who} gives {values[key]!r} for {key!r}", "expected one number") from None
        return number if math.isfinite(number) else None


def filled(found: Scores) -> dict[str, float]:
    """With 0.0 for what is undefined: neither a NaN in a mean nor, as `undefined` names it, a number that is earned."""
    return {key: 0.0 if value is None else value for key, value in found.items()}


def undefined(found: Scores) -> list[str]:
    return [key for key, value in found.items() if value is None]


def majority(train_labels: Sequence[float], references: Sequence[float], scorer: Scorer) -> dict[str, float]:
    """The scores of a model that always says the same: what a method must beat to have learnt anything.

    It says the most frequent class of `train_labels`, the lowest index on ties, or their mean for regression (then
    every correlation is undefined, hence 0.0).
    """
    if scorer.task.is_regression:
        guess: float = math.fsum(train_labels) / len(train_labels)
    else:
        counts = Counter(train_labels)
        guess = max(sorted(counts), key=counts.__getitem__)
    return filled(scorer([guess] * len(references), list(references)))
