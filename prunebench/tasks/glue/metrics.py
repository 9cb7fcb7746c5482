"""The formulas of GLUE's metrics. A score is None if its formula is undefined."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prunebench.errors import unknown_name
from prunebench.tasks.metrics import MetricSpec, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
"""The scores of each configuration of the GLUE metric, with the names that the `evaluate` package uses."""


def _load_glue(config: str) -> Any:
    _keys(config)
    from prunebench.tasks.glue.evaluate_metric import GlueMetric

    return GlueMetric(config)


def _keys(config: str) -> tuple[str, ...]:
    if config not in GLUE_KEYS:
        raise unknown_name("configuration of the metric 'glue'", config, GLUE_KEYS)
    return GLUE_KEYS[config]


def scores(config: str, predictions: Sequence[float], references: Sequence[float]) -> Scores:
    """The scores of a configuration, None for undefined ones.

    `predictions` and `references` are class indices, or scores for "stsb", with the same length n ≥ 1. All scores are
    undefined if a prediction is NaN or infinite. Raises PrunebenchError for an unknown configuration, and ValueError
    for lists of different lengths and for class indices that are not integers.
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
    """True positives, false positives, false negatives and true negatives, where class 1 is positive."""
    for values in (predicted, expected):
        if not ((values == 0) | (values == 1)).all():
            raise ValueError("f1 and matthews_correlation are defined here for the classes 0 and 1 only")
    tp = int(((predicted == 1) & (expected == 1)).sum())
    fp = int((predicted == 1).sum()) - tp
    fn = int((expected == 1).sum()) - tp
    return tp, fp, fn, len(predicted) - tp - fp - fn


def _f1(predicted: NDArray[Any], expected: NDArray[Any]) -> float | None:
    """2·precision·recall / (precision + recall) of class 1; None if precision or recall is 0/0."""
    tp, fp, fn, _ = _confusion(predicted, expected)
    if tp + fp == 0 or tp + fn == 0:
        return None
    return 2 * tp / (2 * tp + fp + fn)


def _matthews(predicted: NDArray[Any], expected: NDArray[Any]) -> float | None:
    """(tp·tn − fp·fn) / √((tp+fp)(tp+fn)(tn+fp)(tn+fn)) (Matthews 1975); None if one list is constant."""
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
    """The coefficient of scipy; None if scipy warns that a list is constant, or constant up to rounding errors."""
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
    "glue", "accuracy, F1, Matthews, Pearson and Spearman as GLUE defines them, 0 to 1", _load_glue, scores
)
