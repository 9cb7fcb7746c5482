"""How probable is it that A is better than B, worse, or practically the same? For readers who want no p values.

The differences are normal with unknown mean and variance, whose prior is flat in the mean and in the logarithm of the
deviation (p(μ, σ) ∝ 1/σ): it prefers no difference and no spread. Then the mean has a t distribution around the
observed one, with the standard error as its scale and its degrees of freedom (Gelman et al., Bayesian Data Analysis,
3.2), and the probability of each of the three regions is an area under it. An error over seeds and examples takes the
place of that over seeds, which makes the posterior approximate.

The region of practical equivalence is ±`rope` (Kruschke 2013; Benavoli et al. 2017, "Time for a Change").
"""

from __future__ import annotations

from dataclasses import dataclass

from prunebench.results.statistics.crossed import Estimate


@dataclass(frozen=True)
class Probabilities:
    """That A is worse than B by more than the region of practical equivalence, within it, and better; they sum to 1."""

    worse: float
    same: float
    better: float


def probabilities(difference: Estimate, rope: float) -> Probabilities:
    """The posterior of A − B, for scores from 0 to 1; `rope` ≥ 0, as 0.01 for one point. Without error: a point."""
    from scipy.special import stdtr

    if difference.error == 0:
        mean = difference.mean
        return Probabilities(float(mean < -rope), float(abs(mean) <= rope), float(mean > rope))
    below, up_to = (
        float(stdtr(difference.degrees, (limit - difference.mean) / difference.error)) for limit in (-rope, rope)
    )
    return Probabilities(below, up_to - below, 1 - up_to)
