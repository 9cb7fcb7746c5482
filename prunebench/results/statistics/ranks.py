"""Which of several methods can be told apart over several tasks? Friedman's test and Nemenyi's critical difference.

After Demšar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets". On each task the methods are
ranked from 1, the best. Friedman's test asks whether the average ranks differ at all. If it rejects, two methods can be
told apart if their average ranks differ by the critical difference or more.

The blocks of the test are tasks. Seeds are not blocks: more seeds do not make more tasks.

An example: three methods in the same order on each of six tasks have the average ranks 1, 2 and 3. The critical
difference is 2.343·√(3·4/36) = 1.353, so only the first and the last can be told apart.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from prunebench.results.statistics.summary import summarise

# With two blocks no difference of ranks reaches Nemenyi's at α = 0.05, however many methods there are.
MIN_BLOCKS, MIN_METHODS = 3, 3
# Decimals to which scores are compared: smaller differences come from rounding.
DECIMALS = 12


@dataclass(frozen=True)
class Ranking:
    """Average ranks of methods over blocks, the best first. Rank 1 is the best; ties share the mean of their ranks.

    ranks: the average rank of each method that has a score in every block.
    groups: the largest sets of methods that cannot be told apart; they may overlap. After a rejection these are the
        methods whose average ranks differ by less than `cd`, otherwise all methods.
    places: tied ranks, 1 + the number of methods that are significantly better.
    chi2, p: Friedman's statistic and p, corrected for ties.
    f, f_p: Iman and Davenport's statistic and p; `f` is None where all blocks agree, because it is infinite.
    cd: Nemenyi's critical difference.
    unranked: the methods without a score in some block.
    reason: why there is no test. The statistics are None then.
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
        """Whether Friedman's test rejects that all methods are alike."""
        return self.p is not None and self.p < self.alpha


def rank(scores: Mapping[str, Mapping[str, float]], alpha: float = 0.05) -> Ranking:
    """Rank methods by their scores in each block.

    `scores[method][block]` is a score, greater is better, for instance the mean over seeds. A method without a score in
    every block is not ranked. All methods are tied if Friedman's test does not reject or cannot be made.

    The decision rests on Friedman's χ², which is conservative for few blocks. Iman and Davenport's F is returned too;
    for few blocks it rejects too often.
    """
    blocks = sorted({block for by_block in scores.values() for block in by_block})
    complete = sorted(method for method in scores if len(scores[method]) == len(blocks))
    unranked = tuple(sorted(scores.keys() - complete))
    by_block = [average_ranks([scores[method][block] for method in complete]) for block in blocks]
    mean = {
        method: summarise(ranks[i] for ranks in by_block).mean if blocks else 1.0 for i, method in enumerate(complete)
    }
    ranks = {method: mean[method] for method in sorted(mean, key=lambda method: (mean[method], method))}
    tied = Ranking(tuple(blocks), ranks, _groups(ranks), _tied_ranks(ranks), alpha, unranked=unranked)
    reason = _reason_for_no_test(len(blocks), len(complete))
    if reason:
        return replace(tied, reason=reason)
    chi2, p, f, f_p = friedman(by_block)
    # JSON has no infinity.
    finite_f = f if math.isfinite(f) else None
    cd = critical_difference(len(complete), len(blocks), alpha)
    ranking = replace(tied, chi2=chi2, p=p, f=finite_f, f_p=f_p, cd=cd)
    if not ranking.rejects:
        return ranking
    # The largest possible differences, of ranks 1 and k in all blocks, must not miss the critical one by rounding.
    distance = cd - 1e-9
    return replace(ranking, groups=_groups(ranks, distance), places=_tied_ranks(ranks, distance))


def _reason_for_no_test(blocks: int, methods: int) -> str:
    if methods < MIN_METHODS:
        return f"{methods} methods: Friedman's test needs at least {MIN_METHODS}"
    if blocks < MIN_BLOCKS:
        return f"{blocks} tasks: ranks need at least {MIN_BLOCKS} to tell methods apart"
    return ""


def _tied_ranks(ranks: Mapping[str, float], distance: float = math.inf) -> dict[str, int]:
    """1 + the number of methods whose average rank is better by `distance` or more."""
    return {method: 1 + sum(ranks[method] - other >= distance for other in ranks.values()) for method in ranks}


def _groups(ranks: Mapping[str, float], distance: float = math.inf) -> tuple[tuple[str, ...], ...]:
    """The largest runs of methods, best first, whose ends differ by less than `distance`."""
    methods = list(ranks)
    groups: list[tuple[str, ...]] = []
    end = 0
    for start, method in enumerate(methods):
        last = max(i for i in range(start, len(methods)) if ranks[methods[i]] - ranks[method] < distance)
        if last >= end or not groups:
            groups.append(tuple(methods[start : last + 1]))
            end = last + 1
    return tuple(groups)


def average_ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, 1 for the greatest; equal values share the mean of their ranks."""
    rounded = [round(value, DECIMALS) for value in values]
    above = [sum(other > value for other in rounded) for value in rounded]
    return [more + (rounded.count(value) + 1) / 2 for more, value in zip(above, rounded, strict=True)]


def friedman(by_block: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Friedman's χ² and its p, corrected for ties, and Iman and Davenport's F and its p.

    `by_block[i][j]` is the rank of method j in block i.
    """
    from scipy.special import chdtrc, fdtrc

    n, k = len(by_block), len(by_block[0])
    sums = [math.fsum(ranks[i] for ranks in by_block) for i in range(k)]
    ties = sum(ranks.count(value) ** 2 - 1 for ranks in map(list, by_block) for value in ranks)
    correction = 1 - ties / (n * k * (k**2 - 1))
    if correction <= 0:  # all methods are equal in every block
        return 0.0, 1.0, 0.0, 1.0
    chi2 = (12 / (n * k * (k + 1)) * math.fsum(total**2 for total in sums) - 3 * n * (k + 1)) / correction
    chi2 = min(max(chi2, 0.0), n * (k - 1.0))
    residual = n * (k - 1) - chi2
    # If all blocks agree the residual is 0 but for rounding, and F is infinite.
    f = (n - 1) * chi2 / residual if residual > 1e-9 else math.inf
    f_p = float(fdtrc(k - 1, (k - 1) * (n - 1), f)) if math.isfinite(f) else 0.0
    return chi2, float(chdtrc(k - 1, chi2)), f, f_p


def critical_difference(methods: int, blocks: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of average ranks: q·√(k(k + 1)/6n) for k methods, n blocks (Demšar 2006, eq. 6)."""
    return nemenyi_q(methods, alpha) * math.sqrt(methods * (methods + 1) / (6 * blocks))


@functools.cache
def nemenyi_q(methods: int, alpha: float) -> float:
    """The 1 − α quantile of the studentized range of k normal values with infinite degrees of freedom, over √2.

    It solves P(range ≤ q) = k ∫ φ(z)·(Φ(z) − Φ(z − q))^(k − 1) dz = 1 − α by bisection. The integral is a sum by the
    trapezoidal rule, which is exact to rounding for such peaked functions.
    """
    import numpy as np
    from scipy.special import ndtr

    z = np.linspace(-9, 18, 4001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    low, high = 0.0, 18.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        probability = methods * np.trapezoid(density * (ndtr(z) - ndtr(z - middle)) ** (methods - 1), z)
        low, high = (middle, high) if probability < 1 - alpha else (low, middle)
    return high / math.sqrt(2)
