"""Iterative magnitude pruning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from prunebench import Phase, Prune, Rewind, Train, Unit, ladder


@dataclass(frozen=True)
class IMP:
    """Iterative magnitude pruning: train, prune globally, rewind to θ0, train again (Chen et al. 2020).

    Each round removes the fraction `rate` of the "original" weights or of the "remaining" ones. `rewind` is "init" for
    θ0, a step (100) or a fraction (0.1) of the first training, or "none" to train on without a rewind.
    """

    name: ClassVar[str] = "imp"
    unit: ClassVar[Unit] = "weight"

    rate: float = 0.1
    of: Literal["original", "remaining"] = "original"
    rewind: Literal["init", "none"] | int | float = "init"

    def __post_init__(self) -> None:
        # Both raise an error for a bad option.
        ladder(0.5, self.rate, self.of)
        self._rewind()

    def recipe(self, sparsity: float) -> list[Phase]:
        rounds = [[Prune(level), *self._rewind(), Train()] for level in ladder(sparsity, self.rate, self.of)]
        return [Train(), *(phase for phases in rounds for phase in phases)]

    def _rewind(self) -> list[Phase]:
        if self.rewind == "none":
            return []
        return [Rewind() if isinstance(self.rewind, str) else Rewind(self.rewind)]

    def score(self, ctx: Any) -> dict[str, Any]:
        return {name: weight.abs() for name, weight in ctx.weights.items()}


STRATEGIES = [IMP]
