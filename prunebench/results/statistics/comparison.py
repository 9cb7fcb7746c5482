"""Is one method better than another? Paired differences over seeds (or over tasks), and tests of their mean.

`compare` computes A − B for every common key and tests the mean difference in three ways: the paired t test, Wilcoxon's
signed ranks and a permutation of the signs. `family` corrects the p values of several comparisons by Holm's method, and
`Comparison.verdict` puts the result into one word.

An example: A scores 0.62, 0.65 and 0.62 on three seeds, and B 0.60, 0.61 and 0.62. The differences are 0.02, 0.04 and
0, with mean 0.02 and std 0.02, so t = √3 with two degrees of freedom, and p = 0.23: undecided.

scipy is imported inside the functions that need it, and `scipy.stats` only for more than `MAX_EXACT` pairs, because it
is slow to import.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from prunebench.results.statistics.ranks import DECIMALS, average_ranks
from prunebench.results.statistics.summary import Interval, Summary, interval, summarise, t_quantile

if TYPE_CHECKING:
    import numpy as np

# Fewer pairs give no verdict.
MIN_PAIRS = 3
# For up to this many pairs all 2^n assignments of signs are counted.
MAX_EXACT = 30
ALPHA, POWER = 0.05, 0.8

BETTER, WORSE, UNDECIDED, TOO_FEW, NO_SPREAD = "better", "worse", "undecided", "too few", "no spread"


@dataclass(frozen=True)
class PValues:
    """Two-sided p values of the paired t test, Wilcoxon's signed-rank test and the permutation test of the signs.

    None where a test cannot be made.
    """

    t: float | None = None
    wilcoxon: float | None = None
    permutation: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The differences A − B by pair, and tests of their mean. A pair is a seed or a task.

    effect: Cohen's d_z, the mean of the differences divided by their standard deviation.
    p: the p value of each test.
    holm: the same p values, corrected over a family of comparisons.
    detectable: the smallest difference that a t test with this many pairs and this spread detects at α = 0.05 with a
        probability of 0.8, before any correction.

    `interval`, `effect` and `detectable` are None if all differences are equal, because there is no spread.
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
        """The result of one test in a word, after Holm's correction if there is one.

        BETTER or WORSE: the test rejects. UNDECIDED: it does not. TOO_FEW: there are fewer than three pairs.
        NO_SPREAD: all differences are equal, so a t test has no spread to compare their mean with.
        """
        if self.summary is None or self.n < MIN_PAIRS:
            return TOO_FEW
        uncorrected: float | None = getattr(self.p, test)
        corrected: float | None = getattr(self.holm, test)
        p = uncorrected if corrected is None else corrected
        if p is None:
            return NO_SPREAD
        if p >= alpha:
            return UNDECIDED
        return BETTER if self.summary.mean > 0 else WORSE


def compare(a: Mapping[Any, float], b: Mapping[Any, float], floor: float = 0.0) -> Comparison:
    """Compare A with B over the keys in both. Fewer than three pairs have no p values.

    `floor` is the least standard deviation of the differences that the t test, its interval and the effect size
    believe, as `crossed.rounding_floor` gives it: differences that are equal for every seed are not certain.
    """
    keys = sorted(a.keys() & b.keys())
    # Scores are ratios of small whole numbers. Rounding keeps equal differences equal.
    differences = tuple(round(a[key] - b[key], DECIMALS) + 0.0 for key in keys)
    if not differences:
        return Comparison((), (), None)
    summary = summarise(differences)
    floored = summary if summary.std is None or not floor else replace(summary, std=max(summary.std, floor))
    # The interval of equal differences would be a point, which claims certainty.
    spread = floored.std if floor or min(differences) < max(differences) else None
    untested = Comparison(tuple(keys), differences, summary, interval(floored) if spread else None)
    if len(differences) < MIN_PAIRS:
        return untested
    p = PValues(t_p(floored), wilcoxon_p(differences), permutation_p(differences))
    if not spread:
        return replace(untested, p=p)
    detectable = spread * detectable_effect(len(differences), ALPHA, POWER)
    return replace(untested, effect=summary.mean / spread, p=p, detectable=detectable)


def family(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with `holm` filled in: each test is corrected over all of them."""
    names = [field.name for field in fields(PValues)]
    columns = [holm([getattr(comparison.p, name) for comparison in comparisons]) for name in names]
    return [
        replace(comparison, holm=PValues(*adjusted))
        for comparison, *adjusted in zip(comparisons, *columns, strict=True)
    ]


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (1979) of m p values.

    The i-th smallest is multiplied by m + 1 − i, is at least as large as the one before it, and at most 1. None stands
    for a test that was not made; it is not counted in m and stays None.
    """
    adjusted: list[float | None] = [None] * len(values)
    known = sorted((value, i) for i, value in enumerate(values) if value is not None)
    largest = 0.0
    for rank, (value, i) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        adjusted[i] = largest
    return adjusted


def t_p(summary: Summary) -> float | None:
    """Two-sided p of a t test that the mean is 0.

    1 if the mean is 0; None if all values are equal to another number, because there is no spread.
    """
    from scipy.special import stdtr

    if summary.mean == 0:
        return 1.0
    if not summary.std:
        return None
    t = abs(summary.mean) / (summary.std / math.sqrt(summary.n))
    return float(2 * stdtr(summary.n - 1, -t))


def wilcoxon_p(differences: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test: zeros are left out, and equal sizes share their ranks.

    Exact for up to `MAX_EXACT` differences, even with ties. Beyond that it is scipy's, which is exact for up to 50
    differences without ties.
    """
    sizes = [abs(value) for value in differences if value]
    if not sizes:
        return 1.0
    if len(sizes) > MAX_EXACT:
        from scipy import stats

        return float(stats.wilcoxon([value for value in differences if value]).pvalue)
    ranks = average_ranks([-size for size in sizes])
    signs = (math.copysign(1, value) for value in differences if value)
    return _sign_flips_p(ranks, math.fsum(rank * sign for rank, sign in zip(ranks, signs, strict=True)))


def permutation_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of the mean among all 2^n assignments of signs to the differences; None for more than `MAX_EXACT`.

    Under the null hypothesis A and B are exchangeable, so every assignment is equally likely.
    """
    if len(differences) > MAX_EXACT:
        return None
    return _sign_flips_p([abs(value) for value in differences], math.fsum(differences))


def _sign_flips_p(sizes: Sequence[float], observed: float) -> float:
    """The share of all sums ±size₁ ±size₂ … that are at least as far from 0 as `observed`.

    The sizes are split into halves. Each sum of one half is looked up among the sorted sums of the other, so that all
    2^n sums are counted in about √(2^n) steps (Horowitz & Sahni 1974).
    """
    import numpy as np

    limit = abs(observed) - 1e-9 * max(1.0, abs(observed))
    if limit <= 0:
        return 1.0
    ordered = sorted(sizes)
    one, other = _signed_sums(ordered[::2]), np.sort(_signed_sums(ordered[1::2]))
    above = len(one) * len(other) - int(np.searchsorted(other, limit - one).sum())
    return float(2 * above / 2.0 ** len(ordered))


def _signed_sums(sizes: Sequence[float]) -> np.ndarray:
    """All sums ±size₁ ±size₂ …, shape (2^n,)."""
    import numpy as np

    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    return sums


def smallest_p(n: int) -> float:
    """The smallest two-sided p that the signs of n differences can give: 2 of 2^n, if all have the same sign."""
    return 2.0 ** (1 - n) if n else 1.0


@functools.cache
def detectable_effect(n: int, alpha: float, power: float) -> float:
    """The smallest mean / std that a two-sided paired t test of n pairs detects with this power (noncentral t).

    Rejections on the wrong side are not counted; their probability is below 1e-5 here.
    """
    from scipy.special import nctdtr

    limit = t_quantile(n - 1, 1 - alpha / 2)
    low, high = 0.0, 200.0
    while high - low > 1e-10:
        middle = (low + high) / 2
        probability = 1 - nctdtr(n - 1, middle, limit)
        low, high = (middle, high) if probability < power else (low, middle)
    return high / math.sqrt(n)


@dataclass(frozen=True)
class McNemar:
    """Two runs on the same examples: how many examples both, only A, only B and neither predict correctly, and p."""

    both: int
    only_a: int
    only_b: int
    neither: int
    p: float


def mcnemar(right_a: Sequence[bool], right_b: Sequence[bool]) -> McNemar:
    """McNemar's exact test (1947): of the examples that only one run predicts correctly, half should be A's.

    It compares these two runs on examples like these. Comparing two methods takes several seeds. Raises `ValueError`
    if the sequences differ in length.
    """
    from scipy.special import bdtr

    counts = {pair: 0 for pair in ((True, True), (True, False), (False, True), (False, False))}
    for a, b in zip(right_a, right_b, strict=True):
        counts[bool(a), bool(b)] += 1
    both, only_a, only_b, neither = counts.values()
    p = min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5))) if only_a + only_b else 1.0
    return McNemar(both, only_a, only_b, neither, p)
