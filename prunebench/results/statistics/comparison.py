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

from prunebench.results.statistics.crossed import Estimate
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

    `crossed` is that of a t test with the error over seeds and examples, or `t` where that error is not known. None
    where a test cannot be made.
    """

    t: float | None = None
    wilcoxon: float | None = None
    permutation: float | None = None
    crossed: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The differences A − B by pair, and tests of their mean. A pair is a seed or a task.

    effect: Cohen's d_z, the mean of the differences divided by their standard deviation.
    p: the p value of each test.
    holm: the same p values, corrected over a family of comparisons.
    error: the mean with the error that verdicts use, over seeds and examples if `crossed`, or else over pairs.
    detectable: the smallest difference that a t test with this error detects with a probability of 0.8, at 0.05 divided
        by the number of comparisons of the family.

    `interval`, `effect`, `error` and `detectable` are None if all differences are equal, because there is no spread,
    unless there is a floor.
    """

    pairs: tuple[Any, ...]
    differences: tuple[float, ...]
    summary: Summary | None
    interval: Interval | None = None
    effect: float | None = None
    p: PValues = PValues()
    holm: PValues = PValues()
    error: Estimate | None = None
    crossed: bool = False
    detectable: float | None = None

    @property
    def n(self) -> int:
        return len(self.pairs)

    def verdict(self, test: str = "crossed", alpha: float = ALPHA) -> str:
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


def compare(
    a: Mapping[Any, float], b: Mapping[Any, float], floor: float = 0.0, crossed: Estimate | None = None
) -> Comparison:
    """Compare A with B over the keys in both. Fewer than three pairs have no p values.

    `floor` is the least standard deviation of the differences that the t test, its interval and the effect size
    believe, as `crossed.rounding_floor` gives it: differences that are equal for every seed are not certain. `crossed`
    is the mean difference with its error over seeds and examples, where that is known.
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
    n = len(differences)
    error = crossed or (Estimate(summary.mean, spread / math.sqrt(n), n - 1.0) if spread else None)
    untested = Comparison(
        tuple(keys),
        differences,
        summary,
        interval(floored) if spread else None,
        summary.mean / spread if spread and n >= MIN_PAIRS else None,
        error=error,
        crossed=crossed is not None,
    )
    if n < MIN_PAIRS:
        return untested
    t = t_p(floored)
    p = PValues(t, wilcoxon_p(differences), permutation_p(differences), estimate_p(crossed) if crossed else t)
    return replace(untested, p=p, detectable=_detectable(error, ALPHA))


def _detectable(error: Estimate | None, alpha: float) -> float | None:
    return error.error * detectable_ratio(error.degrees, alpha, POWER) if error and error.error else None


def family(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with `holm` filled in: each test is corrected over all of them, and `detectable` too.

    A difference that is detectable at the first step of Holm's procedure, α / m, does not depend on the other
    comparisons.
    """
    names = [field.name for field in fields(PValues)]
    columns = [holm([getattr(comparison.p, name) for comparison in comparisons]) for name in names]
    tests = sum(comparison.p.crossed is not None for comparison in comparisons)
    return [
        replace(
            comparison,
            holm=PValues(*adjusted),
            detectable=comparison.detectable and _detectable(comparison.error, ALPHA / max(1, tests)),
        )
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


def estimate_p(estimate: Estimate) -> float | None:
    """Two-sided p of a t test that an estimated mean is 0, with its own error; None without an error."""
    from scipy.special import stdtr

    if estimate.mean == 0:
        return 1.0
    return float(2 * stdtr(estimate.degrees, -abs(estimate.mean) / estimate.error)) if estimate.error else None


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
def detectable_ratio(degrees: float, alpha: float, power: float) -> float:
    """The smallest mean / standard error that a two-sided t test detects with this power (noncentral t).

    Rejections on the wrong side are not counted; their probability is below 1e-5 here.
    """
    from scipy.special import nctdtr

    limit = t_quantile(degrees, 1 - alpha / 2)
    # With one degree of freedom the estimate of the error may be many times too large.
    low, high = 0.0, 10 * limit + 200
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        probability = 1 - nctdtr(degrees, middle, limit)
        low, high = (middle, high) if probability < power else (low, middle)
    return high


def detectable_effect(n: int, alpha: float, power: float) -> float:
    """The smallest mean / std (d_z) that a two-sided paired t test of n pairs detects with this power."""
    return detectable_ratio(n - 1.0, alpha, power) / math.sqrt(n)
