"""MyMethod as a prunebench plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, Rewind, Train, Unit, hookimpl, ladder


@dataclass(frozen=True)
class MyMethod:
    """Train, remove the fraction `rate` of the weights, rewind to θ0, and so on (Author et al. 2026, algorithm 1).

    Replace this text: its first line and its source stand on every page that shows the method.
    """

    name: ClassVar[str] = "my-method"
    unit: ClassVar[Unit] = "weight"

    rate: float = 0.1

    def __post_init__(self) -> None:
        ladder(0.5, self.rate)  # raises an error for a bad rate

    def recipe(self, sparsity: float) -> list[Phase]:
        rounds: list[list[Phase]] = [[Prune(level), Rewind(), Train()] for level in ladder(sparsity, self.rate)]
        return [Train(), *(phase for phases in rounds for phase in phases)]

    def score(self, ctx: Any) -> dict[str, Any]:
        """A score for each weight, in the shape of its matrix: (outputs, inputs). The lowest go for good."""
        return {name: weight.abs() for name, weight in ctx.weights.items()}


@hookimpl
def prunebench_strategies() -> list[type[MyMethod]]:
    return [MyMethod]
