"""The overlap of two independent random masks with given sizes: what chance alone gives.

Take a group of n units, of which one mask keeps k and the other l, each drawn uniformly from all masks of its size. The
number X of units that both keep is hypergeometric: k of the n units are marked, and l are drawn without replacement.
So E[X] = k·l/n, and Var[X] = k·l·(n−k)·(n−l) / (n²·(n−1)).

A mask has one group per matrix, each with its own counts. The X of the groups are independent, so the mean and the
variance of their sum are the sums of their means and variances.

Example: two masks that keep 2 of 4 units share 0, 1 or 2 units with probabilities 1/6, 4/6 and 1/6. Their expected
Jaccard index is 4/6 · 1/3 + 1/6 · 1 = 0.39.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# The units of a group, and how many of them the one and the other mask keep.
Counts = tuple[int, int, int]

# Up to this many values of X, the expectation is summed over its distribution; beyond, it is expanded.
EXACT = 2048


def expected_both(groups: Sequence[Counts]) -> float:
    """E[X]: the number of units that both masks keep."""
    return sum(one * other / units for units, one, other in groups if units)


def variance_of_both(groups: Sequence[Counts]) -> float:
    """Var[X] over all groups."""
    return sum(
        one * other * (units - one) * (units - other) / (units**2 * (units - 1))
        for units, one, other in groups
        if units > 1
    )


def expected_agreement(groups: Sequence[Counts]) -> float:
    """E[1 − (K + L − 2X) / N], exactly: the fraction of units that both masks keep or both remove."""
    units = sum(group[0] for group in groups)
    sizes = sum(one + other for _, one, other in groups)
    return 1 - (sizes - 2 * expected_both(groups)) / units


def expected_jaccard(groups: Sequence[Counts]) -> float:
    """E[X / (K + L − X)], where K and L are the units that either mask keeps in all; 1 if both keep none.

    The expectation is summed over the distribution of X if that has at most `EXACT` values. Otherwise it is expanded
    around the mean μ to second order, μ/(S−μ) + Var[X]·S/(S−μ)³ with S = K + L; the error is of order N⁻² for N units.
    """
    sizes = sum(one + other for _, one, other in groups)
    if not sizes:
        return 1.0
    values = sum(min(one, other) - max(0, one + other - units) for units, one, other in groups) + 1
    if values <= EXACT:
        return _exact_jaccard(groups, sizes)
    mean = expected_both(groups)
    return mean / (sizes - mean) + variance_of_both(groups) * sizes / (sizes - mean) ** 3


def _exact_jaccard(groups: Sequence[Counts], sizes: int) -> float:
    import numpy as np

    least, probabilities = 0, np.ones(1)
    for units, one, other in groups:
        low, of_group = _hypergeometric(units, one, other)
        least += low
        # The distribution of a sum of independent numbers.
        probabilities = np.convolve(probabilities, of_group)
    both = least + np.arange(len(probabilities))
    return float(np.sum(probabilities * both / (sizes - both)))


def _hypergeometric(units: int, one: int, other: int) -> tuple[int, Any]:
    """The least value of X, and the probabilities from there on: C(k,x)·C(n−k,l−x)/C(n,l)."""
    import numpy as np
    from scipy.special import gammaln

    low, high = max(0, one + other - units), min(one, other)
    x = np.arange(low, high + 1)

    def log_choose(n: Any, k: Any) -> Any:
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)

    logs = log_choose(one, x) + log_choose(units - one, other - x) - log_choose(units, other)
    probabilities = np.exp(logs)
    # Logarithms of large factorials are rounded, so the sum is not quite 1.
    return low, probabilities / probabilities.sum()
