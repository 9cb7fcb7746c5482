"""Mean, spread, confidence intervals and paired differences of the values of several seeds.

scipy is imported inside the functions that need it, because the command line starts without it.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Scores are ratios of small whole numbers, so a smaller difference can only come from rounding.
TOLERANCE = 1e-12


@dataclass(frozen=True)
class Summary:
    """Summary of a sample.

    `std` is the sample standard deviation (ddof = 1), or None for a single number. `bounds` is a confidence interval
    of the mean that was computed from the numbers themselves (the bootstrap); it is None unless one was requested.
    """

    n: int
    mean: float
    std: float | None
    minimum: float
    maximum: float
    median: float
    bounds: Interval | None = None


@dataclass(frozen=True)
class Interval:
    """A closed interval."""

    low: float
    high: float


# The methods for confidence intervals, each with its description on a page.
T, BOOTSTRAP = "t", "bootstrap"
INTERVALS = {T: "t", BOOTSTRAP: "bootstrap (BCa, 9,999 resamples; too narrow for fewer than about ten seeds)"}


def summarise(values: Iterable[float]) -> Summary:
    """Summarise at least one number; raise `ValueError` for none.

    Sums are exact before they are rounded, so the order of the values changes nothing.
    """
    numbers = list(values)
    if not numbers:
        raise ValueError("a summary needs at least one number")
    low, high = min(numbers), max(numbers)
    # Rounding can move the quotient outside the range of the numbers.
    mean = min(max(math.fsum(numbers) / len(numbers), low), high)
    std = None
    if len(numbers) > 1:
        std = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
    return Summary(len(numbers), mean, std, low, high, statistics.median(numbers))


def differences(values: Mapping[int, float], reference: Mapping[int, float]) -> dict[int, float]:
    """value − reference by seed, for the seeds in both, sorted by seed."""
    return {seed: values[seed] - reference[seed] for seed in sorted(values.keys() & reference.keys())}


def paired_difference(values: Mapping[int, float], reference: Mapping[int, float]) -> Summary | None:
    """Summarise value − reference over the seeds in both, or return None if there are none."""
    by_seed = differences(values, reference)
    return summarise(by_seed.values()) if by_seed else None


def interval(summary: Summary, confidence: float = 0.95) -> Interval | None:
    """The two-sided t interval of the mean: mean ± t·std/√n with n − 1 degrees of freedom.

    None for a single number.
    """
    if summary.std is None:
        return None
    half = t_quantile(summary.n - 1, (1 + confidence) / 2) * summary.std / math.sqrt(summary.n)
    return Interval(summary.mean - half, summary.mean + half)


@functools.cache
def t_quantile(degrees: float, probability: float) -> float:
    """The quantile of Student's t distribution with this many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def bootstrap(
    values: Iterable[float], confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval | None:
    """The bias-corrected and accelerated (BCa) bootstrap interval of the mean (Efron 1987).

    None for a single number. Resampling uses its own generator, seeded with `seed`. A small sample has few distinct
    resamples: below about ten values this interval is too narrow, and the t interval is the better choice.
    """
    numbers = sorted(values)  # the generator must not depend on the order of the values
    if len(numbers) < 2:
        return None
    # BCa divides by the third power of the spread, so values that differ only by rounding count as equal.
    if numbers[-1] - numbers[0] < TOLERANCE:
        return Interval(numbers[0], numbers[-1])
    import numpy as np
    from scipy import stats

    limits = stats.bootstrap(
        (numbers,),
        np.mean,
        confidence_level=confidence,
        n_resamples=resamples,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(limits.low), float(limits.high))
