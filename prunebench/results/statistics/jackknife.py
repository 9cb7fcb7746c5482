"""The jackknife's pseudo-values of GLUE's metrics without computing a metric for each example anew.

They are what `crossed.pseudo_values` and `crossed.group_values` give. A score of classes depends on the counts of pairs
of prediction and label alone, and leaving out one of these changes one count. Pearson's correlation depends on sums,
and Spearman's on ranks, which fall by the number of lower values that are left out.

An example: two of three predictions are right. Accuracy is 2/3, without a right one 1/2, without the wrong one 1, so
the values are 3·2/3 − 2·1/2 = 1 for the right ones and 3·2/3 − 2·1 = 0 for the wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prunebench.results.statistics.crossed import GROUPS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Counts = NDArray[np.float64]

# More examples than these are put into groups of equal size, so that a page of many runs fits into memory.
MOST = 2000


def values(metric: str, predictions: ArrayLike, labels: ArrayLike) -> tuple[float, NDArray[np.float64]] | None:
    """A score and the value of each example (or group of examples) in it, shape (values,); their mean is the score.

    Up to `MOST` examples have a value each in metrics of classes; in correlations there are at most `GROUPS` groups.
    None for a metric that is not known here, for classes other than 0 and 1 in F1 and Matthews, and for a score that is
    undefined.
    """
    import numpy as np

    predicted, expected = (np.asarray(numbers, dtype=np.float64) for numbers in (predictions, labels))
    if metric == "accuracy":
        right = (predicted == expected).astype(np.float64)
        return float(right.mean()), grouped(right)
    if metric in CLASSES:
        return _of_classes(metric, predicted, expected)
    if metric in CORRELATIONS:
        return _of_numbers(CORRELATIONS[metric], predicted, expected)
    return None


def grouped(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means of groups of neighbours if there are more than `MOST` numbers, with the mean of all as their mean."""
    import numpy as np

    n = len(numbers)
    size = -(-n // MOST)
    if size == 1:
        return numbers
    starts = np.arange(0, n - n % size if n % size else n, size)
    # The last group has the rest too; each mean is weighted by the size of its group.
    return np.add.reduceat(numbers, starts) * (len(starts) / n)


def _of_classes(
    metric: str, predicted: NDArray[np.float64], expected: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]] | None:
    import numpy as np

    n = len(predicted)
    if not np.isin((predicted, expected), (0, 1)).all():
        return None
    kinds = (2 * predicted + expected).astype(np.intp)
    counts = np.bincount(kinds, minlength=4).astype(np.float64)
    score = CLASSES[metric]
    with np.errstate(all="ignore"):
        whole = float(score(counts))
        without = score(counts - np.eye(4))
    if not np.isfinite(whole):
        return None
    without = np.where(np.isfinite(without), without, whole)
    return _unbiased(whole, grouped((n * whole - (n - 1) * without)[kinds]))


def _f1(counts: Counts) -> Counts:
    """F1 of class 1; `counts` are of (prediction, label) = 00, 01, 10, 11 in the last axis."""
    import numpy as np

    _, fn, fp, tp = np.moveaxis(counts, -1, 0)
    return np.where((tp + fp == 0) | (tp + fn == 0), np.nan, 2 * tp / (2 * tp + fp + fn))


def _matthews(counts: Counts) -> Counts:
    import numpy as np

    tn, fn, fp, tp = np.moveaxis(counts, -1, 0)
    return np.asarray((tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def _of_numbers(
    score: Callable[..., NDArray[np.float64]], predicted: NDArray[np.float64], expected: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]] | None:
    import numpy as np

    n = len(predicted)
    groups = np.arange(n) % min(GROUPS, n)
    sizes = np.bincount(groups)
    # A row of weights for each group that is left out, after one for all.
    weights = np.vstack([np.ones(n), groups != np.arange(len(sizes))[:, None]])
    with np.errstate(all="ignore"):
        whole, *rest = score(predicted, expected, weights)
    if not np.isfinite(whole):
        return None
    without = np.where(np.isfinite(rest), rest, whole)
    return _unbiased(float(whole), whole + (n - sizes) / sizes * (whole - without))


def _unbiased(whole: float, numbers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The mean of pseudo-values differs from the score by its bias, which is no part of what pages show."""
    return whole, numbers - numbers.mean() + whole


def _pearson(x: Any, y: Any, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The correlation under each row of weights; x and y may differ between rows."""
    import numpy as np

    total = weights.sum(axis=1, keepdims=True)
    x, y = (numbers - (weights * numbers).sum(axis=1, keepdims=True) / total for numbers in (x, y))
    squares = (weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1)
    return np.asarray((weights * x * y).sum(axis=1) / np.sqrt(squares))


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return _pearson(_ranks(x, weights), _ranks(y, weights), weights)


def _ranks(numbers: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The average rank of each number among those of weight 1, shape of `weights`."""
    import numpy as np

    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    # For each row, how many of the first 0, 1, 2, … numbers in order have weight 1.
    below = np.hstack([np.zeros((len(weights), 1)), np.cumsum(weights[:, order], axis=1)])
    left, right = (np.searchsorted(ordered, numbers, side) for side in ("left", "right"))
    return np.asarray((below[:, left] + below[:, right] + 1) / 2)


CLASSES: dict[str, Callable[[Counts], Counts]] = {"f1": _f1, "matthews_correlation": _matthews}
CORRELATIONS: dict[str, Callable[..., NDArray[np.float64]]] = {"pearson": _pearson, "spearmanr": _spearman}
KNOWN = {"accuracy", *CLASSES, *CORRELATIONS}
