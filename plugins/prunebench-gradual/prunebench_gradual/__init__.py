"""Gradual magnitude pruning as a prunebench plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Cubic, Phase, Train, Unit, hookimpl


@dataclass(frozen=True)
class Gradual:
    """Remove the weights of smallest magnitude while the model trains, along a cubic ramp (Zhu & Gupta 2017).

    The sparsity grows from 0 in `updates` steps, between the fractions `begin` and `end` of one training.
    """

    name: ClassVar[str] = "gradual"
    unit: ClassVar[Unit] = "weight"

    begin: float = 0.0
    end: float = 0.7
    updates: int = 20

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(Cubic(sparsity, begin=self.begin, end=self.end, updates=self.updates))]

    def score(self, ctx: Any) -> dict[str, Any]:
        return {name: weight.abs() for name, weight in ctx.weights.items()}


@hookimpl
def prunebench_strategies() -> list[type[Gradual]]:
    return [Gradual]
