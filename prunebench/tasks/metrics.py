"""GLUE's metrics as plain functions, the row of the majority class, and how a metric is registered.

Imports neither torch nor `evaluate`; numpy and scipy where they are used.

A score that its formula leaves undefined is None here, and so is what an `evaluate.Metric` gives that is not finite.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError, unknown
from prunebench.tasks.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


_ACCURACY = ("accuracy",)
_BOTH = ("accuracy", "f1")

GLUE_KEYS: dict[str, tuple[str, ...]] = {
    "cola": ("matthews_correlation",),
    "sst2": _ACCURACY,
    "mrpc": _BOTH,
    "qqp": _BOTH,
    "stsb": ("pearson", "spearmanr"),
    "mnli": _ACCURACY,
    "mnli_matched": _ACCURACY,
    "mnli_mismatched": _ACCURACY,
    "qnli": _ACCURACY,
    "rte": _ACCURACY,
    "wnli": _ACCURACY,
    "hans": _ACCURACY,
    "ax": _ACCURACY,
}
"""The keys of each configuration of the GLUE metric, as the `evaluate` package names both."""


def _load_glue(config: str) -> Any:
    _keys(config)
    from prunebench.tasks.glue_metric import GlueMetric

    return GlueMetric(config)


def _keys(config: str) -> tuple[str, ...]:
    if config not in GLUE_KEYS:
        raise unknown("configuration of the metric 'glue'", config, GLUE_KEYS)
    return GLUE_KEYS[config]


def scores(config: str, predictions: Sequence[float], references: Sequence[float]) -> Scores:
    """The values of all keys of a configuration; None where the formula leaves the value undefined.

    `predictions` and `references` have the same length n ≥ 1: class indices, or scores for "stsb". A prediction that
    is NaN or infinite leaves every key undefined. Raises ValueError for anything else that is no class.
    """
    import numpy as np

    predicted = np.asarray(predictions, dtype=np.float64)
    expected = np.asarray(references, dtype=np.float64)
    if predicted.shape != expected.shape or predicted.ndim != 1 or not len(predicted):
        raise ValueError(f"expected two equally long lists, got shapes {predicted.shape} and {expected.shape}")
    keys = _keys(config)
    if not np.isfinite(predicted).all():
        return dict.fromkeys(keys)
    for values in (predicted, expected):
        if config != "stsb" and (values != np.floor(values)).any():
            raise ValueError(f"the metric of {config} takes class indices, got {values[values % 1 != 0][0]}")
    return {key: _FORMULAS[key](predicted, expected) for key in keys}


def _accuracy(predicted: NDArray[Any], expected: NDArray[Any]) -> float:
    return float((predicted == expected).mean())


def _confusion(predicted: NDArray[Any], expected: NDArray[Any]) -> tuple[int, int, int, int]:
    """True positives, false positives, false negatives, true negatives; class 1 is the positive one."""
    for values in (predicted, expected):
        if not ((values == 0) | (values == 1)).all():
            raise ValueError("f1 and matthews_correlation are defined here for the classes 0 and 1 only")
    hits = int(((predicted == 1) & (expected == 1)).sum())
    false_alarms = int((predicted == 1).sum()) - hits
    misses = int((expected == 1).sum()) - hits
    return hits, false_alarms, misses, len(predicted) - hits - false_alarms - misses


def _f1(predicted: NDArray[Any], expected: NDArray[Any]) -> float | None:
    """2·precision·recall / (precision + recall) of class 1; None if the precision or the recall is 0/0."""
    hits, false_alarms, misses, _ = _confusion(predicted, expected)
    if hits + false_alarms == 0 or hits + misses == 0:
        return None
    return 2 * hits / (2 * hits + false_alarms + misses)


def _matthews(predicted: NDArray[Any], expected: NDArray[Any]) -> float | None:
    """Matthews 1975: (tp·tn − fp·fn) / √((tp+fp)(tp+fn)(tn+fp)(tn+fn)); None if one side is constant."""
    tp, fp, fn, tn = _confusion(predicted, expected)
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / math.sqrt(product) if product else None


def _pearson(predicted: NDArray[Any], expected: NDArray[Any]) -> float | None:
    from scipy import stats

    return _correlation(stats.pearsonr, predicted, expected)


def _spearman(predicted: NDArray[Any], expected: NDArray[Any]) -> float | None:
    from scipy import stats

    return _correlation(stats.spearmanr, predicted, expected)


def _correlation(coefficient: Any, predicted: NDArray[Any], expected: NDArray[Any]) -> float | None:
    """scipy's coefficient; None where scipy warns that one side is constant, or so nearly that all is rounding."""
    import numpy as np
    from scipy import stats

    if len(predicted) < 2:
        return None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error", stats.DegenerateDataWarning)
        try:
            value = float(coefficient(predicted, expected).statistic)
        except stats.DegenerateDataWarning:
            return None
    return value if math.isfinite(value) else None


_FORMULAS: dict[str, Callable[[Any, Any], float | None]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews_correlation": _matthews,
    "pearson": _pearson,
    "spearmanr": _spearman,
}


GLUE_METRIC = MetricSpec(
    "glue", "accuracy, F1, Matthews, Pearson and Spearman as GLUE has them, 0 to 1", _load_glue, scores
)


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
