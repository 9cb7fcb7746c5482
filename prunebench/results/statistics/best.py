"""Which methods cannot be told apart from the best one? Tukey's test over all pairs, with seeds as blocks.

The best of several methods is chosen by the same scores that it is compared with the others by, so a test of each
against the best must hold for every pair that could have been chosen. Tukey's honest significant difference (1949)
does: two means of n seeds differ if they are q·√(MS/n) apart. q is the studentized range of all methods, and MS what is
left of the scores without the means of methods and of seeds, with (methods − 1)·(seeds − 1) degrees of freedom. Methods
share that spread, so that three seeds tell more than in separate t tests.

An example: three methods and three seeds, MS = 1. Two means differ if they are 5.04·√(1/3) = 2.91 apart.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

Values = Mapping[int, float]
ALPHA = 0.05
# Fewer common seeds tell nothing apart.
MIN_SEEDS = 3


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
        limit = min(self.distance, delta)
        top = self.means[self.best]
        return {method for method, mean in self.means.items() if mean == top or top - mean < limit}


def separate(values: Mapping[str, Values], floor: float = 0.0, alpha: float = ALPHA) -> Separation | None:
    """Compare methods by `values[method][seed]`, greater is better, over the seeds that all of them have.

    `floor` is the least standard deviation of a score that is believed, as by the rounding of one example. None for
    fewer than two methods or three common seeds.
    """
    import numpy as np

    seeds = sorted(set.intersection(*map(set, values.values()))) if values else []
    if len(values) < 2 or len(seeds) < MIN_SEEDS:
        return None
    table = np.array([[by_seed[seed] for seed in seeds] for by_seed in values.values()])
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + table.mean()
    degrees = (len(values) - 1) * (len(seeds) - 1)
    spread = max(float((residual**2).sum()) / degrees, floor**2)
    means = {method: math.fsum(by_seed[seed] for seed in seeds) / len(seeds) for method, by_seed in values.items()}
    return Separation(means, studentized_range(len(values), degrees, alpha) * math.sqrt(spread / len(seeds)))


@functools.cache
def studentized_range(methods: int, degrees: int, alpha: float = ALPHA) -> float:
    """The 1 − α quantile of the range of so many normal values over an independent estimate of their deviation."""
    from scipy import stats

    return float(stats.studentized_range.isf(alpha, methods, degrees))
