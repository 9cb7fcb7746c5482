"""MyMethod as a prunebench plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Cubic, Phase, Train, Unit, hookimpl


@dataclass(frozen=True)
class MyMethod:
    """Remove weights while the model trains, along a cubic ramp from `begin` to `end` (Author et al. 2026, equation 1).

    Replace this text: its first line and its source stand on every page that shows the method.
    """

    name: ClassVar[str] = "my-method"
    unit: ClassVar[Unit] = "weight"

    begin: float = 0.0
    end: float = 0.7

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(Cubic(sparsity, begin=self.begin, end=self.end))]

    def score(self, ctx: Any) -> dict[str, Any]:
        """A score for each weight, asked for at each update of the mask. The lowest go, and never come back."""
        return {name: weight.abs() for name, weight in ctx.weights.items()}


@hookimpl
def prunebench_strategies() -> list[type[MyMethod]]:
    return [MyMethod]
