"""Means, spreads and paired differences over seeds. Torch-free; imports nothing of the project."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """Some numbers in short. `std` is the sample standard deviation (ddof = 1), and None for a single number."""

    n: int
    mean: float
    std: float | None
    minimum: float
    maximum: float


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
    return Summary(len(numbers), mean, std, low, high)


def paired(values: Mapping[int, float], reference: Mapping[int, float]) -> Summary | None:
    """The summary of value − reference over the seeds that both have, or None where they share no seed."""
    differences = [value - reference[seed] for seed, value in values.items() if seed in reference]
    return summarise(differences) if differences else None
