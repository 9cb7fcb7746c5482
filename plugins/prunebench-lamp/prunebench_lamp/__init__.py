"""Iterative pruning as a prunebench plugin: LAMP scores, and learning-rate rewinding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from prunebench import Phase, Prune, Rewind, Train, Unit, hookimpl, ladder


def rounds(levels: Sequence[float], rewind: Sequence[Phase]) -> list[Phase]:
    """Train, and for each level prune and train again, after the phases in `rewind`."""
    return [Train(), *(phase for level in levels for phase in (Prune(level), *rewind, Train()))]


@dataclass(frozen=True)
class LAMP:
    """Iterative pruning by layer-adaptive magnitudes (Lee et al. 2021, the LAMP score of section 2).

    With the weights of a matrix sorted by magnitude, the score of weight u is w_u² / Σ_{v ≥ u} w_v²: its part of the
    sum over itself and all larger ones. The largest weight of a matrix has the score 1, so no matrix is pruned
    completely. Scores are compared over all matrices.

    Each round prunes the fraction `rate` of the "remaining" weights or of the "original" ones and trains again:
    from θ0 (`rewind="init"`), or on ("none"). The paper prunes 20 % of the rest and trains on; its weight-rewinding
    results rewind. Differences: its networks are for images, and each training has as many steps as the protocol says.
    """

    name: ClassVar[str] = "lamp"
    unit: ClassVar[Unit] = "weight"

    rate: float = 0.2
    of: Literal["original", "remaining"] = "remaining"
    rewind: Literal["init", "none"] = "init"

    def __post_init__(self) -> None:
        ladder(0.5, self.rate, self.of)  # raises an error for a bad option

    def recipe(self, sparsity: float) -> list[Phase]:
        return rounds(ladder(sparsity, self.rate, self.of), [Rewind()] if self.rewind == "init" else [])

    def score(self, ctx: Any) -> dict[str, Any]:
        return {name: lamp_scores(weight) for name, weight in ctx.weights.items()}


def lamp_scores(weight: Any) -> Any:
    """The LAMP score of each weight of a matrix, in float64; ties go in order of position."""
    squares = weight.double().square().flatten()
    order = squares.argsort(descending=True, stable=True)
    sums = squares[order].cumsum(0)
    scores = squares.new_zeros(squares.shape)
    # Sums from the largest weight on: without a large sum from which small squares would be subtracted.
    scores[order] = squares[order] / sums.clamp(min=1e-300)
    return scores.view_as(weight)


@dataclass(frozen=True)
class LRRewinding:
    """Iterative magnitude pruning with learning-rate rewinding (Renda, Frankle & Carbin 2020, algorithm 1).

    Each round prunes the fraction `rate` of the remaining weights globally and trains on for the original time, with
    the learning-rate schedule of the original training; weights are not rewound. The recipe is that of
    `imp[rate=0.2,of=remaining,rewind=none]`, with the fraction of the paper.

    The paper also rewinds to a later point of the schedule. A training of prunebench always begins at its full rate.
    """

    name: ClassVar[str] = "lr-rewinding"
    unit: ClassVar[Unit] = "weight"

    rate: float = 0.2

    def __post_init__(self) -> None:
        ladder(0.5, self.rate, "remaining")  # raises an error for a bad rate

    def recipe(self, sparsity: float) -> list[Phase]:
        return rounds(ladder(sparsity, self.rate, "remaining"), [])

    def score(self, ctx: Any) -> dict[str, Any]:
        return {name: weight.abs() for name, weight in ctx.weights.items()}


@hookimpl
def prunebench_strategies() -> list[type[Any]]:
    return [LAMP, LRRewinding]
