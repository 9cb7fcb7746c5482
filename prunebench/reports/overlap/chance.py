"""How far masks overlap by chance: what two independent random masks of the same sizes have in common.

In a group of n units let one mask keep k and the other l, each drawn at random from all masks of that size. The number
X that both keep is then hypergeometric: of the n units k are marked, and l are drawn without replacement. So
E[X] = k·l/n, and Var[X] = k·l·(n−k)·(n−l) / (n²·(n−1)). Over several groups, each with counts of its own as masks of
layers have them, the X are independent and their sum has the sums of means and variances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Units in a group, and how many of them either mask keeps.
Counts = tuple[int, int, int]

# With so few different values of X the distribution itself is summed over.
EXACT = 2048


def expected_both(groups: Sequence[Counts]) -> float:
    """E[X]: how many units both masks keep."""
    return sum(one * other / units for units, one, other in groups if units)


def variance_of_both(groups: Sequence[Counts]) -> float:
    """Var[X] over all groups."""
    return sum(
        one * other * (units - one) * (units - other) / (units**2 * (units - 1))
        for units, one, other in groups
        if units > 1
    )


def expected_agreement(groups: Sequence[Counts]) -> float:
    """E[1 − (K + L − 2X) / N], exactly: the fraction of units on which the masks say the same."""
    units = sum(group[0] for group in groups)
    kept = sum(one + other for _, one, other in groups)
    return 1 - (kept - 2 * expected_both(groups)) / units


def expected_jaccard(groups: Sequence[Counts]) -> float:
    """E[X / (K + L − X)], where K and L are what either mask keeps in all; 1 where neither keeps any.

    A sum over the distribution of X where that has few values; else the expansion around the mean μ to second order,
    μ/(S−μ) + Var[X]·S/(S−μ)³ with S = K + L. What that leaves out is of the order of N⁻² for N units.
    """
    kept = sum(one + other for _, one, other in groups)
    if not kept:
        return 1.0
    values = sum(min(one, other) - max(0, one + other - units) for units, one, other in groups) + 1
    if values <= EXACT:
        return _summed(groups, kept)
    mean = expected_both(groups)
    return mean / (kept - mean) + variance_of_both(groups) * kept / (kept - mean) ** 3


def _summed(groups: Sequence[Counts], kept: int) -> float:
    import numpy as np

    least, chances = 0, np.ones(1)
    for units, one, other in groups:
        low, some = _hypergeometric(units, one, other)
        least += low
        chances = np.convolve(chances, some)
    both = least + np.arange(len(chances))
    return float(np.sum(chances * both / (kept - both)))


def _hypergeometric(units: int, one: int, other: int) -> tuple[int, Any]:
    """The least value of X, and the probabilities from there on: C(k,x)·C(n−k,l−x)/C(n,l)."""
    import numpy as np
    from scipy.special import gammaln

    low, high = max(0, one + other - units), min(one, other)
    x = np.arange(low, high + 1)

    def log_choose(n: Any, k: Any) -> Any:
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)

    logs = log_choose(one, x) + log_choose(units - one, other - x) - log_choose(units, other)
    chances = np.exp(logs)
    return low, chances / chances.sum()
