"""Which methods cannot be told apart from the best one? Tukey's test over all pairs, with seeds as blocks.

The best of several methods is chosen by the same scores that it is compared with the others by, so a test of each
against the best must hold for every pair that could have been chosen. Tukey's honest significant difference (1949)
does: two means of n seeds differ if they are q·√(MS/n) apart. q is the studentized range of all methods, and MS what is
left of the scores without the means of methods and of seeds, with (methods − 1)·(seeds − 1) degrees of freedom. Methods
share that spread, so that three seeds tell more than in separate t tests.

An average over tasks has the variance Σ MS/n / T² and the degrees of freedom of Satterthwaite, because seeds of
different tasks have nothing in common but their number.

An example: three methods and three seeds of one task, MS = 1. Two means differ if they are 5.04·√(1/3) = 2.91 apart.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunebench.results.statistics.crossed import Estimate, average

if TYPE_CHECKING:
    import numpy as np

Values = Mapping[int, float]
ALPHA = 0.05
# Fewer common seeds tell nothing apart.
MIN_SEEDS = 3
# Quantiles of the deviation by which the studentized range is averaged.
QUANTILES = 5_000
TEST = f"Tukey's test over all pairs of methods, with seeds as blocks, at {ALPHA}"


@dataclass(frozen=True)
class TaskScores:
    """The scores of methods on one task by seed, greater is better, and the least deviation of one that is believed."""

    values: Mapping[str, Values]
    floor: float = 0.0


@dataclass(frozen=True)
class Separation:
    """The means of methods over their common seeds, and the `distance` from which on two of them differ."""

    means: Mapping[str, float]
    distance: float

    @property
    def best(self) -> str:
        """The method with the highest mean, the first of them by name."""
        return max(sorted(self.means), key=self.means.__getitem__)

    def ranks(self) -> dict[str, int]:
        """The rank of each method: 1 + the number of methods that are certainly better."""
        return {
            method: 1 + sum(other - mean >= self.distance and other > mean for other in self.means.values())
            for method, mean in self.means.items()
        }

    def inseparable(self, delta: float = math.inf) -> set[str]:
        """The methods that are not certainly worse than the best one, and less than `delta` behind it."""
        top = self.means[self.best]
        limit = min(self.distance, delta)
        return {method for method, mean in self.means.items() if mean == top or top - mean < limit}


def separate(tasks: Sequence[TaskScores], alpha: float = ALPHA) -> Separation | None:
    """Compare methods by their scores on each task, over the seeds that all methods have there.

    Each task has the same methods. None for fewer than two methods, or three common seeds of a task.
    """
    estimates = [_residual(task) for task in tasks]
    parts = [estimate for estimate in estimates if estimate is not None]
    if not parts or len(parts) < len(estimates):
        return None
    methods = list(tasks[0].values)
    means = {method: math.fsum(part[0][method] for part in parts) / len(parts) for method in methods}
    error = average(Estimate(0.0, error, degrees) for _, error, degrees in parts)
    return Separation(means, studentized_range(len(methods), error.degrees, alpha) * error.error)


def _residual(task: TaskScores) -> tuple[dict[str, float], float, float] | None:
    """The means of methods, the standard error of one, and its degrees of freedom."""
    import numpy as np

    values = task.values
    seeds = sorted(set.intersection(*map(set, values.values()))) if values else []
    if len(values) < 2 or len(seeds) < MIN_SEEDS:
        return None
    table = np.array([[by_seed[seed] for seed in seeds] for by_seed in values.values()])
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + table.mean()
    degrees = (len(values) - 1) * (len(seeds) - 1)
    spread = max(float((residual**2).sum()) / degrees, task.floor**2)
    means = {method: math.fsum(by_seed[seed] for seed in seeds) / len(seeds) for method, by_seed in values.items()}
    return means, math.sqrt(spread / len(seeds)), float(degrees)


@functools.cache
def studentized_range(methods: int, degrees: float, alpha: float = ALPHA) -> float:
    """The 1 − α quantile of the range of so many normal values over an independent estimate s of their deviation.

    It solves ∫ P(range ≤ q·s) dP(s) = 1 − α by bisection, where degrees·s² is χ². The integral is a mean over the
    quantiles of s. scipy's quantile is the same to three digits and takes ten times as long, which is felt on pages:
    averages over tasks have other degrees of freedom each time.
    """
    import numpy as np
    from scipy.special import chdtri

    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    deviations = np.sqrt(chdtri(degrees, 1 - shares) / degrees)
    limits, probabilities = _range_probabilities(methods)
    low, high = 0.0, float(limits[-1]) / float(deviations[0])
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        probability = np.interp(middle * deviations, limits, probabilities).mean()
        low, high = (middle, high) if probability < 1 - alpha else (low, middle)
    return high


@functools.cache
def _range_probabilities(methods: int) -> tuple[np.ndarray, np.ndarray]:
    """P(range of so many standard normal values ≤ q) = k ∫ φ(z)·(Φ(z) − Φ(z − q))^(k − 1) dz on a grid of q."""
    import numpy as np
    from scipy.special import ndtr

    z = np.linspace(-8, 8, 801)
    limits = np.linspace(0, 16, 1601)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    between = ndtr(z) - ndtr(z - limits[:, None])
    return limits, methods * np.trapezoid(density * between ** (methods - 1), z, axis=1)
