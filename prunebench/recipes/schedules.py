"""Schedules of sparsity: the levels of iterative pruning, and the cubic ramp of gradual pruning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from prunebench.errors import PrunebenchError


def check_sparsity(sparsity: float) -> None:
    """Raise PrunebenchError unless `sparsity` is in [0, 1)."""
    if not 0 <= sparsity < 1:
        raise PrunebenchError(f"sparsity {sparsity} is outside [0, 1)", "0.7 removes 70 % of the prunable units")


def pruned_count(sparsity: float, units: int) -> int:
    """How many of `units` are pruned at `sparsity`, rounded half up.

    The product is exact in decimals: in binary floating point, 0.29 · 50 is 14.499… and would round down.
    """
    return int(Fraction(str(sparsity)) * units + Fraction(1, 2))


def required_cost(sparsity: float, total: int) -> int:
    """The smallest cost that is at least the fraction `sparsity` of `total`, exact in decimals."""
    return math.ceil(Fraction(str(sparsity)) * total)


# The most rounds of a ladder: a smaller rate would take hours to plan, and more memory than there is.
MAX_ROUNDS = 1000


@dataclass(frozen=True)
class Cubic:
    """A sparsity that grows during one training (Zhu & Gupta 2017, equation 1).

    s(t) = final + (initial − final)·(1 − (t − begin)/(end − begin))³, where t is the completed fraction of the
    training. The mask is updated `updates` times at even intervals between `begin` and `end`; the last update is at
    `end`. Raises PrunebenchError if a value is out of range.
    """

    final: float
    initial: float = 0.0
    begin: float = 0.0
    end: float = 0.7
    updates: int = 20

    def __post_init__(self) -> None:
        check_sparsity(self.final)
        check_sparsity(self.initial)
        if not 0 <= self.begin < self.end <= 1:
            raise PrunebenchError(f"a ramp needs 0 <= begin < end <= 1, got begin={self.begin}, end={self.end}")
        if self.updates < 1:
            raise PrunebenchError(f"a ramp needs at least one update, got {self.updates}")

    def at(self, progress: float) -> float:
        """The sparsity when the fraction `progress` of the training is complete."""
        remaining = 1 - min(max((progress - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return self.final + (self.initial - self.final) * remaining**3

    def steps(self, total: int) -> dict[int, float]:
        """The optimiser steps (1 to `total`) after which the mask is updated, each with its sparsity.

        In a short training several updates can fall on one step; the last of them counts.
        """
        sparsities: dict[int, float] = {}
        for update in range(self.updates):
            progress = self.begin + (self.end - self.begin) * (update + 1) / self.updates
            sparsities[max(1, round(progress * total))] = self.at(progress)
        return sparsities


def ladder(sparsity: float, rate: float, of: str = "original") -> list[float]:
    """The sparsities that iterative pruning passes through to reach `sparsity`, which is the last one.

    Each round removes the fraction `rate` of the "original" units or of the "remaining" units. Round k ends at the
    sparsity k·rate, or at 1 − (1 − rate)^k (Chen et al. 2020: its code uses the first, its Algorithm 1 the second).
    A target that lies between two rounds is appended to the rounds below it, so all targets of one rate share them:

    >>> ladder(0.25, 0.1)
    [0.1, 0.2, 0.25]

    Raises PrunebenchError if `rate` is not between 0 and 1, if it takes more than MAX_ROUNDS, or if `of` is unknown.
    """
    if not 0 < rate < 1:
        raise PrunebenchError(f"a ladder needs a rate between 0 and 1, got {rate}")
    if of not in ("original", "remaining"):
        raise PrunebenchError(f"cannot prune at a rate of {of!r} units", "expected 'original' or 'remaining'")
    levels: list[float] = []
    while True:
        level = rate * (len(levels) + 1) if of == "original" else 1 - (1 - rate) ** (len(levels) + 1)
        if level > sparsity - 1e-9:  # 0.1 * 3 is not 0.3
            return [*levels, sparsity] if sparsity > 0 else []
        if len(levels) == MAX_ROUNDS:
            raise PrunebenchError(f"a ladder of rate {rate} has more than {MAX_ROUNDS} rounds", "use a larger rate")
        levels.append(round(level, 10))
