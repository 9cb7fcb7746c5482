"""Means, spreads, intervals and paired differences over seeds. scipy is imported where an interval is asked for."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# A difference that is smaller comes from rounding: no metric of so few examples has steps so small.
NOTHING = 1e-12


@dataclass(frozen=True)
class Summary:
    """Some numbers in short. `std` is the sample standard deviation (ddof = 1), and None for a single number.

    `bounds` is an interval of the mean that was made from the numbers themselves, where that was asked for.
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
    """From `low` to `high`, both included."""

    low: float
    high: float


# How intervals of a mean are made, and what is to be said of it.
T, BOOTSTRAP = "t", "bootstrap"
INTERVALS = {T: "t", BOOTSTRAP: "bootstrap (BCa, 9,999 resamples; for less than about ten seeds too narrow)"}


def summarise(values: Iterable[float]) -> Summary:
    """The summary of at least one number. Sums are exact before they are rounded, so order changes nothing."""
    numbers = list(values)
    if not numbers:
        raise ValueError("a summary needs at least one number")
    low, high = min(numbers), max(numbers)
    # Rounding may carry the quotient past the numbers that it is the mean of.
    mean = min(max(math.fsum(numbers) / len(numbers), low), high)
    std = None
    if len(numbers) > 1:
        std = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
    return Summary(len(numbers), mean, std, low, high, statistics.median(numbers))


def differences(values: Mapping[int, float], reference: Mapping[int, float]) -> dict[int, float]:
    """value − reference for the seeds that both have, in their order."""
    return {seed: values[seed] - reference[seed] for seed in sorted(values.keys() & reference.keys())}


def paired(values: Mapping[int, float], reference: Mapping[int, float]) -> Summary | None:
    """The summary of value − reference over the seeds that both have, or None where they share no seed."""
    found = differences(values, reference)
    return summarise(found.values()) if found else None


def interval(summary: Summary, confidence: float = 0.95) -> Interval | None:
    """The two-sided t interval of the mean, mean ± t·std/√n with n − 1 degrees of freedom; None for a single number."""
    if summary.std is None:
        return None
    half = t_quantile(summary.n - 1, (1 + confidence) / 2) * summary.std / math.sqrt(summary.n)
    return Interval(summary.mean - half, summary.mean + half)


@functools.cache
def t_quantile(freedom: int, probability: float) -> float:
    """The quantile of Student's t with so many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def bootstrap(
    values: Iterable[float], confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval | None:
    """The bootstrap interval of the mean: bias-corrected and accelerated (BCa; Efron 1987), with a seeded generator.

    None for a single number. Of few numbers there are few different resamples: with less than about ten the interval
    is too narrow, and the t interval the better one.
    """
    numbers = sorted(values)  # the order must not matter to the generator
    if len(numbers) < 2:
        return None
    # What differs by rounding alone is one number: BCa divides by the third power of the spread.
    if numbers[-1] - numbers[0] < NOTHING:
        return Interval(numbers[0], numbers[-1])
    import numpy as np
    from scipy import stats

    found = stats.bootstrap(
        (numbers,),
        np.mean,
        confidence_level=confidence,
        n_resamples=resamples,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(found.low), float(found.high))
