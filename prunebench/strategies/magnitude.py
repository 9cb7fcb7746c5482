"""One-shot magnitude pruning, of trained and of pre-trained weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, Train, Unit


@dataclass(frozen=True)
class Magnitude:
    """Remove the weights of smallest magnitude after training, then train on (Han et al. 2015)."""

    name: ClassVar[str] = "magnitude"
    unit: ClassVar[Unit] = "weight"

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(), Prune(sparsity), Train()]

    def score(self, ctx: Any) -> dict[str, Any]:
        return {name: weight.abs() for name, weight in ctx.weights.items()}


@dataclass(frozen=True)
class MagnitudeInit(Magnitude):
    """Remove the pre-trained weights of smallest magnitude, then train once."""

    name: ClassVar[str] = "magnitude-init"

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Prune(sparsity), Train()]


STRATEGIES = [Magnitude, MagnitudeInit]
