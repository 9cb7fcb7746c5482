"""How certain is a score, for other seeds and for other examples? Both vary, and every seed meets the same examples.

The spread over seeds says nothing of the examples: five seeds that agree on 277 examples may agree on all of them by
the same luck. Here each example has a value for each seed, and the variance of their mean is that of a two-way layout
with random seeds, random examples and one value a cell (Searle, Casella & McCulloch 1992, chapter 4):

    Var(mean) = (MS_seeds + MS_examples − MS_residual) / (seeds · examples)

with the degrees of freedom of Satterthwaite (1946). The value of an example in a metric that is no mean, such as F1 or
a correlation, is its jackknife pseudo-value (Tukey 1958); in accuracy that is 1 if the prediction is right, or else 0.

An example: two seeds and two examples with the values [[1, 0], [1, 0]]. The mean is 0.5, the seeds agree (MS 0), the
examples do not (MS 1), nothing is left over, and so the variance is 1 / 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunebench.results.statistics.summary import Interval, t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Score = Callable[[NDArray[np.float64], NDArray[np.float64]], float]

# The mean square of seeds is expected to be no less than the residual one. For degrees of freedom, at least this share
# of the residual one is used: with three seeds, up to 1.4 % of all p are below 0.0033 without it, and 0.3 % with it.
LEAST_SHARE = 0.8
# The number of groups of examples that the jackknife leaves out in turn, for scores of numbers rather than of classes.
GROUPS = 100


@dataclass(frozen=True)
class Estimate:
    """A mean, its standard error, and the degrees of freedom of that error."""

    mean: float
    error: float
    degrees: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """The two-sided t interval of the mean."""
        half = t_quantile(self.degrees, (1 + confidence) / 2) * self.error
        return Interval(self.mean - half, self.mean + half)


def crossed(values: ArrayLike, floor: float = 0.0) -> Estimate | None:
    """The mean of `values`, shape (seeds, examples), with the error of both. None for less than two of either.

    For a difference of two methods, `values` are the differences of their values for each seed and example, and
    `floor` is the least standard deviation of a seed's mean that is believed; see `rounding_floor`.
    """
    import numpy as np

    table = np.asarray(values, dtype=np.float64)
    seeds, examples = table.shape
    if seeds < 2 or examples < 2:
        return None
    mean = float(table.mean())
    by_seed, by_example = table.mean(axis=1) - mean, table.mean(axis=0) - mean
    residual = table - mean - by_seed[:, None] - by_example[None, :]
    degrees = seeds - 1, examples - 1, (seeds - 1) * (examples - 1)
    squares = [
        examples * float(by_seed @ by_seed) / degrees[0],
        seeds * float(by_example @ by_example) / degrees[1],
        float((residual * residual).sum()) / degrees[2],
    ]
    # A component of variance cannot be negative, though its estimate can.
    total = max(squares[0] + squares[1] - squares[2], squares[0], squares[1])
    # The mean square of few seeds may by chance be so small that it would lower the degrees of freedom no more.
    credible = max(squares[0], LEAST_SHARE * squares[2]), *squares[1:]
    spread = math.fsum(square**2 / number for square, number in zip(credible, degrees, strict=True))
    freedom = total**2 / spread if spread else float(examples - 1)
    return Estimate(mean, math.sqrt(max(total / examples, floor**2) / seeds), max(1.0, freedom))


def pseudo_values(score: Score, predictions: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """The value of each example in `score(predictions, labels)`, shape (examples,): n·all − (n − 1)·all but this one.

    Predictions and labels are classes: examples that have both in common have the same value, which is computed once.
    The mean of the values is the score, without its bias of order 1/n. A score that is undefined (not finite) without
    an example counts as unchanged by it.
    """
    import numpy as np

    pairs = np.stack([np.asarray(values, dtype=np.float64) for values in (predictions, labels)])
    n = pairs.shape[1]
    _, first, kinds = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
    whole = score(*pairs)
    values = n * whole - (n - 1) * _without(score, pairs, [np.arange(n) == i for i in first])
    return np.asarray(values[kinds.reshape(-1)])


def group_values(score: Score, predictions: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """The value of each group of examples, shape (groups,), for predictions that are numbers, as in a correlation.

    Every `GROUPS`-th example is of one group (or each is one, if there are fewer), so that leaving out one group after
    the other computes the score `GROUPS` times (the delete-a-group jackknife).
    """
    import numpy as np

    pairs = np.stack([np.asarray(values, dtype=np.float64) for values in (predictions, labels)])
    n = pairs.shape[1]
    groups = np.arange(n) % min(GROUPS, n)
    sizes = np.bincount(groups)
    whole = score(*pairs)
    without = _without(score, pairs, [groups == group for group in range(len(sizes))])
    return np.asarray(whole + (n - sizes) / sizes * (whole - without))


def _without(score: Score, pairs: NDArray[np.float64], left_out: Iterable[NDArray[np.bool_]]) -> NDArray[np.float64]:
    import numpy as np

    scores = np.array([score(*pairs[:, ~out]) for out in left_out])
    return np.where(np.isfinite(scores), scores, score(*pairs))


def average(estimates: Iterable[Estimate]) -> Estimate:
    """The mean of independent estimates, as of the tasks of a benchmark: error² = Σ error_i² / T² (Satterthwaite).

    Seeds of different tasks have nothing in common but their number, so the spread of averages by seed is no estimate
    of this error: it changes if one task's seeds are put into another order. Raises ValueError without an estimate.
    """
    parts = list(estimates)
    if not parts:
        raise ValueError("an average needs at least one estimate")
    variances = [part.error**2 for part in parts]
    total = math.fsum(variances)
    spread = math.fsum(variance**2 / part.degrees for variance, part in zip(variances, parts, strict=True))
    degrees = total**2 / spread if spread else math.fsum(part.degrees for part in parts)
    return Estimate(math.fsum(part.mean for part in parts) / len(parts), math.sqrt(total) / len(parts), degrees)


def average_of_all(estimates: Iterable[Estimate | None]) -> Estimate | None:
    """The average, or None where an estimate is missing: the others would be the average of fewer tasks."""
    parts = list(estimates)
    known = [part for part in parts if part is not None]
    return average(known) if known and len(known) == len(parts) else None


def over_seeds(values: Sequence[float], floor: float = 0.0) -> Estimate | None:
    """The mean of one number a seed, with the error of seeds alone. None for a single number.

    `floor` is the least standard deviation that is believed; see `rounding_floor`.
    """
    from prunebench.results.statistics.summary import summarise

    summary = summarise(values)
    if summary.std is None:
        return None
    return Estimate(summary.mean, max(summary.std, floor) / math.sqrt(summary.n), float(summary.n - 1))


def rounding_floor(examples: int) -> float:
    """The least standard deviation of a difference of two scores over so many examples: 1 / (examples·√6).

    A score is a number of right examples of n, so it is rounded to 1/n, with the variance 1/(12n²); a difference has
    twice that. Differences that are equal for every seed are less certain than they look.
    """
    return 1 / (examples * math.sqrt(6))
