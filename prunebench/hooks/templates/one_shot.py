"""MyMethod as a prunebench plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, Train, Unit, hookimpl


@dataclass(frozen=True)
class MyMethod:
    """Remove the weights of smallest |weight|^`power` after training, then train on (Author et al. 2026, equation 1).

    Replace this text: its first line and its source stand on every page that shows the method.
    """

    name: ClassVar[str] = "my-method"
    unit: ClassVar[Unit] = "weight"

    power: float = 1.0

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(), Prune(sparsity), Train()]

    def score(self, ctx: Any) -> dict[str, Any]:
        """A score for each weight, in the shape of its matrix: (outputs, inputs). The lowest go."""
        return {name: weight.abs() ** self.power for name, weight in ctx.weights.items()}


@hookimpl
def prunebench_strategies() -> list[type[MyMethod]]:
    return [MyMethod]
