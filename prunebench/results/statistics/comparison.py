"""Is one method better than another? Paired differences over seeds, or over tasks, and what can be said of them.

scipy is imported where a probability is asked for, and `scipy.stats` only beyond `EXACT` pairs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from prunebench.results.statistics.ranks import DIGITS, average_ranks
from prunebench.results.statistics.summary import Interval, Summary, interval, summarise, t_quantile

if TYPE_CHECKING:
    import numpy as np

# With fewer pairs nothing is called better or worse.
LEAST_PAIRS = 3
# Up to so many pairs all 2^n flips of signs are counted.
EXACT = 30
ALPHA, POWER = 0.05, 0.8

BETTER, WORSE, OPEN, FEW, ALIKE = "better", "worse", "undecided", "too few", "no spread"


@dataclass(frozen=True)
class PValues:
    """Two-sided p of the paired t test, Wilcoxon's signed ranks and the flips of signs; None where there is no test."""

    t: float | None = None
    wilcoxon: float | None = None
    permutation: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The differences A − B by pair (a seed, or a task), and what can be said of their mean.

    Where all differences are equal there is no spread, and no `interval`, `effect` or `detectable` difference.
    `effect` is Cohen's d_z, mean / std of the differences. `p` has the tests one by one, `holm` the same corrected for
    all of a family. `detectable` is the least difference that a t test with so many pairs and this spread finds with
    a probability of 0.8 at α = 0.05, before any correction.
    """

    pairs: tuple[Any, ...]
    differences: tuple[float, ...]
    summary: Summary | None
    interval: Interval | None = None
    effect: float | None = None
    p: PValues = PValues()
    holm: PValues = PValues()
    detectable: float | None = None

    @property
    def n(self) -> int:
        return len(self.pairs)

    def verdict(self, test: str = "t", alpha: float = ALPHA) -> str:
        """BETTER or WORSE where that test rejects, after Holm's correction if there is one; else why nothing is called.

        ALIKE: all differences are equal, so that a t test has no spread to judge their mean by.
        """
        if self.summary is None or self.n < LEAST_PAIRS:
            return FEW
        alone: float | None = getattr(self.p, test)
        corrected: float | None = getattr(self.holm, test)
        p = alone if corrected is None else corrected
        if p is None:
            return ALIKE
        if p >= alpha:
            return OPEN
        return BETTER if self.summary.mean > 0 else WORSE


def compare(a: Mapping[Any, float], b: Mapping[Any, float]) -> Comparison:
    """A − B over the keys that both have. Fewer than three pairs have no p: nothing can be called."""
    keys = sorted(a.keys() & b.keys())
    # Scores are ratios of small whole numbers: differences that are equal must stay so.
    found = tuple(round(a[key] - b[key], DIGITS) + 0.0 for key in keys)
    if not found:
        return Comparison((), (), None)
    summary = summarise(found)
    # Equal differences have no spread, and an interval of theirs would be a point that claims to be certain.
    spread = summary.std if min(found) < max(found) else None
    plain = Comparison(tuple(keys), found, summary, interval(summary) if spread else None)
    if len(found) < LEAST_PAIRS:
        return plain
    tested = PValues(t_p(summary), wilcoxon_p(found), permutation_p(found))
    if not spread:
        return replace(plain, p=tested)
    return replace(
        plain, effect=summary.mean / spread, p=tested, detectable=spread * detectable_effect(len(found), ALPHA, POWER)
    )


def family(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with Holm's correction over all of them, test by test."""
    names = [field.name for field in fields(PValues)]
    columns = [holm([getattr(comparison.p, name) for comparison in comparisons]) for name in names]
    return [
        replace(comparison, holm=PValues(*adjusted))
        for comparison, *adjusted in zip(comparisons, *columns, strict=True)
    ]


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down p (1979): the i-th least of m times m + 1 − i, never below one before it, at most 1.

    What is None has no test, and counts for none.
    """
    found: list[float | None] = [None] * len(values)
    known = sorted((value, i) for i, value in enumerate(values) if value is not None)
    least = 0.0
    for rank, (value, i) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * value))
        found[i] = least
    return found


def t_p(summary: Summary) -> float | None:
    """Two-sided p of a t test that the mean is 0; 1 where all are 0, and None where all are one other number."""
    from scipy.special import stdtr

    if summary.minimum == summary.maximum:
        return None if summary.mean else 1.0
    assert summary.std is not None
    t = abs(summary.mean) / (summary.std / math.sqrt(summary.n))
    return float(2 * stdtr(summary.n - 1, -t))


def wilcoxon_p(differences: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test: zeros are left out, equal sizes share their ranks.

    Exact up to `EXACT` differences, with ties too; beyond, scipy's, which is exact up to 50 without ties.
    """
    sizes = [abs(value) for value in differences if value]
    if not sizes:
        return 1.0
    if len(sizes) > EXACT:
        from scipy import stats

        return float(stats.wilcoxon([value for value in differences if value]).pvalue)
    ranks = average_ranks([-size for size in sizes])
    signs = (math.copysign(1, value) for value in differences if value)
    return _flips(ranks, math.fsum(rank * sign for rank, sign in zip(ranks, signs, strict=True)))


def permutation_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of the mean among all 2^n flips of the differences' signs; None for more than `EXACT`.

    If it makes no difference which of two methods had which score, every flip is as likely.
    """
    if len(differences) > EXACT:
        return None
    return _flips([abs(value) for value in differences], math.fsum(differences))


def _flips(sizes: Sequence[float], observed: float) -> float:
    """The share of all ±size₁ ±size₂ … that are at least as far from 0 as `observed`.

    All flips of one half of the sizes meet all flips of the other in sorted order, so that 2^n are counted in about
    √(2^n) steps (Horowitz & Sahni 1974).
    """
    import numpy as np

    limit = abs(observed) - 1e-9 * max(1.0, abs(observed))
    if limit <= 0:
        return 1.0
    ordered = sorted(sizes)
    one, other = _sums(ordered[::2]), np.sort(_sums(ordered[1::2]))
    above = len(one) * len(other) - int(np.searchsorted(other, limit - one).sum())
    return float(2 * above / 2.0 ** len(ordered))


def _sums(sizes: Sequence[float]) -> np.ndarray:
    """All sums ±size₁ ±size₂ …"""
    import numpy as np

    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    return sums


def least_p(n: int) -> float:
    """The smallest p that n signs can give, two-sided: 2 of 2^n, where all differences have one sign."""
    return 2.0 ** (1 - n) if n else 1.0


@functools.cache
def detectable_effect(n: int, alpha: float, power: float) -> float:
    """The least mean / std that a two-sided paired t test of n pairs finds with that power (noncentral t).

    To reject on the wrong side is not to find it, and its probability is less than 1e-5 there.
    """
    from scipy.special import nctdtr

    limit = t_quantile(n - 1, 1 - alpha / 2)
    low, high = 0.0, 200.0
    while high - low > 1e-10:
        middle = (low + high) / 2
        found = 1 - nctdtr(n - 1, middle, limit)
        low, high = (middle, high) if found < power else (low, middle)
    return high / math.sqrt(n)


@dataclass(frozen=True)
class McNemar:
    """Two runs on the same examples: how many both, only A, only B and neither had right, and the exact p."""

    both: int
    only_a: int
    only_b: int
    neither: int
    p: float


def mcnemar(right_a: Sequence[bool], right_b: Sequence[bool]) -> McNemar:
    """McNemar's test (1947) in its exact form: of the examples that one alone has right, half would be A's.

    It speaks of these two runs on examples like these, and not of two methods: that takes several seeds.
    """
    from scipy.special import bdtr

    counts = {pair: 0 for pair in ((True, True), (True, False), (False, True), (False, False))}
    for a, b in zip(right_a, right_b, strict=True):
        counts[bool(a), bool(b)] += 1
    both, only_a, only_b, neither = counts.values()
    p = min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5))) if only_a + only_b else 1.0
    return McNemar(both, only_a, only_b, neither, p)
