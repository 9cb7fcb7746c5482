"""What share of the dense model's score is retained: a ratio of means, above chance, with its own error.

(score − majority) / (dense − majority): the majority class has learnt nothing, and retains nothing. A mean of ratios by
seed would be dominated by the seeds whose dense run is weak; a ratio of means is not. Its variance is that of a linear
function of both means (the delta method): Var((m − r·d)) / (dense − majority)², where r is the ratio, and m and d are
paired by seed.

An example: scores 0.7 and 0.8, dense 0.8 and 0.9, majority 0.5. The ratio is 0.25 / 0.35 = 71 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from prunebench.results.statistics.crossed import Estimate
from prunebench.results.statistics.summary import summarise

Values = Mapping[int, float]


def retained(values: Values, dense: Values, majority: float = 0.0, floor: float = 0.0) -> Estimate | None:
    """The share of `dense` above `majority` that `values` retain, over the seeds in both.

    `floor` is the least standard deviation of a score that is believed. The error is infinite for a single seed. None
    without a common seed, or where the dense mean is not above the majority class: there is nothing to retain.
    """
    seeds = sorted(values.keys() & dense.keys())
    if not seeds:
        return None
    n = len(seeds)
    reference = math.fsum(dense[seed] for seed in seeds) / n - majority
    if reference <= 0:
        return None
    ratio = (math.fsum(values[seed] for seed in seeds) / n - majority) / reference
    residuals = summarise(values[seed] - ratio * dense[seed] for seed in seeds)
    if residuals.std is None:
        return Estimate(ratio, math.inf, 1.0)
    return Estimate(ratio, max(residuals.std, floor) / math.sqrt(n) / reference, float(n - 1))
