"""Which of several methods can be told apart over several tasks: Friedman's test, Nemenyi's critical difference.

After Demšar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets". The blocks are tasks. Seeds are no
blocks: more seeds do not make more tasks.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from prunebench.results.statistics.summary import summarise

# With two blocks no difference of ranks reaches Nemenyi's critical one of α = 0.05, whatever the number of methods.
LEAST_BLOCKS, LEAST_METHODS = 3, 3
# Scores that differ by less differ by rounding, and are tied.
DIGITS = 12


@dataclass(frozen=True)
class Ranking:
    """Methods over blocks, the best average rank first; rank 1 is the best, and ties share the mean of their ranks.

    `chi2` and `p` are Friedman's, corrected for ties, `f` and `f_p` Iman and Davenport's (`f` is None where all blocks
    agree: it is infinite). All are None where there are too few blocks or methods, and `reason` says so. `groups` are
    the largest sets of methods that cannot be told apart, and they may overlap: those whose average ranks differ by
    less than the critical difference `cd`, or all of them where Friedman's test does not reject. `places` are tied
    ranks: 1 + the number of methods that are better for certain. `unranked` methods lack some block.
    """

    blocks: tuple[str, ...]
    ranks: Mapping[str, float]
    groups: tuple[tuple[str, ...], ...]
    places: Mapping[str, int]
    alpha: float
    chi2: float | None = None
    p: float | None = None
    f: float | None = None
    f_p: float | None = None
    cd: float | None = None
    unranked: tuple[str, ...] = ()
    reason: str = ""

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.ranks)

    @property
    def rejects(self) -> bool:
        """Whether Friedman's test says that not all methods are alike."""
        return self.p is not None and self.p < self.alpha


def rank(scores: Mapping[str, Mapping[str, float]], alpha: float = 0.05) -> Ranking:
    """The ranking of methods by their score in each block (greater is better), for instance the mean over seeds.

    A method that lacks a block which another has is not ranked. Everything is tied where Friedman's test rejects
    nothing or cannot be made. The test is the one by chi², which for few blocks rejects too seldom; Iman and
    Davenport's F, which is given beside it, rejects too often there.
    """
    blocks = sorted({block for found in scores.values() for block in found})
    whole = sorted(method for method in scores if len(scores[method]) == len(blocks))
    unranked = tuple(sorted(scores.keys() - whole))
    by_block = [average_ranks([scores[method][block] for method in whole]) for block in blocks]
    mean = {method: summarise(ranks[i] for ranks in by_block).mean if blocks else 1.0 for i, method in enumerate(whole)}
    ranks = {method: mean[method] for method in sorted(mean, key=lambda method: (mean[method], method))}
    tied = Ranking(tuple(blocks), ranks, _groups(ranks), _places(ranks), alpha, unranked=unranked)
    reason = _too_few(len(blocks), len(whole))
    if reason:
        return replace(tied, reason=reason)
    chi2, p, f, f_p = friedman(by_block)
    # JSON has no infinity.
    f_or_none = f if math.isfinite(f) else None
    cd = critical_difference(len(whole), len(blocks), alpha)
    tested = replace(tied, chi2=chi2, p=p, f=f_or_none, f_p=f_p, cd=cd)
    # The greatest distances, as of ranks 1 and k in all blocks, must not miss the critical one by rounding.
    apart = cd - 1e-9
    return replace(tested, groups=_groups(ranks, apart), places=_places(ranks, apart)) if tested.rejects else tested


def _too_few(blocks: int, methods: int) -> str:
    if methods < LEAST_METHODS:
        return f"{methods} methods: Friedman's test needs {LEAST_METHODS}"
    if blocks < LEAST_BLOCKS:
        return f"{blocks} tasks: too few for ranks to tell methods apart, {LEAST_BLOCKS} are needed"
    return ""


def _places(ranks: Mapping[str, float], apart: float = math.inf) -> dict[str, int]:
    """1 + the number of methods whose average rank is better by `apart` or more."""
    return {method: 1 + sum(ranks[method] - other >= apart for other in ranks.values()) for method in ranks}


def _groups(ranks: Mapping[str, float], apart: float = math.inf) -> tuple[tuple[str, ...], ...]:
    """The largest runs of methods, best first, whose ends differ by less than `apart`."""
    methods = list(ranks)
    found: list[tuple[str, ...]] = []
    end = 0
    for start, method in enumerate(methods):
        last = max(i for i in range(start, len(methods)) if ranks[methods[i]] - ranks[method] < apart)
        if last >= end or not found:
            found.append(tuple(methods[start : last + 1]))
            end = last + 1
    return tuple(found)


def average_ranks(values: Sequence[float]) -> list[float]:
    """The rank of every value, 1 for the greatest; equal values share the mean of their ranks."""
    rounded = [round(value, DIGITS) for value in values]
    above = [sum(other > value for other in rounded) for value in rounded]
    return [more + (rounded.count(value) + 1) / 2 for more, value in zip(above, rounded, strict=True)]


def friedman(by_block: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Friedman's χ² with its p, corrected for ties, and Iman and Davenport's F with its, from ranks in each block."""
    from scipy.special import chdtrc, fdtrc

    n, k = len(by_block), len(by_block[0])
    sums = [math.fsum(ranks[i] for ranks in by_block) for i in range(k)]
    tied = sum(ranks.count(value) ** 2 - 1 for ranks in map(list, by_block) for value in ranks)
    untied = 1 - tied / (n * k * (k**2 - 1))
    if untied <= 0:  # all are equal in every block
        return 0.0, 1.0, 0.0, 1.0
    chi2 = (12 / (n * k * (k + 1)) * math.fsum(total**2 for total in sums) - 3 * n * (k + 1)) / untied
    chi2 = min(max(chi2, 0.0), n * (k - 1.0))
    left = n * (k - 1) - chi2
    f = (n - 1) * chi2 / left if left > 1e-9 else math.inf
    f_p = float(fdtrc(k - 1, (k - 1) * (n - 1), f)) if math.isfinite(f) else 0.0
    return chi2, float(chdtrc(k - 1, chi2)), f, f_p


def critical_difference(methods: int, blocks: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of average ranks, q·√(k(k + 1)/6n) (Demšar 2006, equation 6)."""
    return nemenyi_q(methods, alpha) * math.sqrt(methods * (methods + 1) / (6 * blocks))


@functools.cache
def nemenyi_q(methods: int, alpha: float) -> float:
    """The quantile of the studentized range of so many normal values, infinite degrees of freedom, divided by √2."""
    import numpy as np
    from scipy.special import ndtr

    # P(range ≤ q) = k ∫ φ(z)·(Φ(z) − Φ(z − q))^(k − 1) dz, by the trapezoidal rule, which is exact for such peaks.
    z = np.linspace(-9, 18, 4001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    low, high = 0.0, 18.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        inside = methods * np.trapezoid(density * (ndtr(z) - ndtr(z - middle)) ** (methods - 1), z)
        low, high = (middle, high) if inside < 1 - alpha else (low, middle)
    return high / math.sqrt(2)
