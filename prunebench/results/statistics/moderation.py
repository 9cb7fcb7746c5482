"""Variances of few degrees of freedom that learn from each other, as far as they are alike.

The variances of several pairs of methods come from the same few seeds each. If all are the same, their mean is the best
estimate; if one method is erratic, the mean hides the differences of all others. Smyth (2004) puts an inverse χ²
distribution behind them, with degrees d₀ and scale s₀², which the logarithms of the variances themselves estimate:
their variance is that of log χ², ψ′(d/2), and what exceeds it is ψ′(d₀/2). Each variance becomes

    (d₀·s₀² + d·s²) / (d₀ + d)    with d₀ + d degrees of freedom.

An example: variances that scatter no more than chance has d₀ = ∞, and all become their mean. Variances that scatter
without bound have d₀ = 0, and stay what they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def moderate(
    variances: NDArray[np.float64], degrees: float, most: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moderated variances with their degrees of freedom, both of the shape (n,) of `variances`.

    `degrees` are those of each variance, and `most` those that all of them have together.
    """
    import numpy as np
    from scipy.special import digamma, polygamma

    n, top = len(variances), float(variances.max(initial=0.0))
    if n < 2 or not top:
        return variances, np.full(n, float(degrees))
    logs = np.log(np.maximum(variances, 1e-12 * top))
    excess = float(logs.var(ddof=1)) - float(polygamma(1, degrees / 2))
    prior = 2 * _inverse_trigamma(excess) if excess > 0 else math.inf
    if not math.isfinite(prior):
        return np.full(n, variances.mean()), np.full(n, float(most))
    location = float(logs.mean()) - float(digamma(degrees / 2)) + math.log(degrees / 2)
    scale = math.exp(location + float(digamma(prior / 2)) - math.log(prior / 2))
    moderated = (prior * scale + degrees * variances) / (prior + degrees)
    return moderated, np.full(n, min(prior + degrees, float(most)))


def _inverse_trigamma(value: float) -> float:
    """The x with ψ′(x) = value, by Newton's method on 1/ψ′, which is convex (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    if value > 1e7:
        return 1 / math.sqrt(value)
    if value < 1e-6:
        return math.inf
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step < 1e-9 * x:
            break
    return x
