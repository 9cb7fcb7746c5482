"""A phase and MyMethod, which uses it, as a prunebench plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, Rewind, Train, Unit, hookimpl


@dataclass(frozen=True)
class MyMethodPhase(Phase):
    """Multiply every prunable weight by `factor`."""

    changes_weights: ClassVar[bool] = True

    factor: float = 0.9

    def apply(self, ctx: Any) -> None:
        for name in ctx.prunable.prunable:
            # Not in place of the parameter: the optimiser and the mask know it.
            ctx.model.get_parameter(name).data.mul_(self.factor)


@dataclass(frozen=True)
class MyMethod:
    """Magnitude pruning, rewound to θ0, whose weights are multiplied by `factor` (Author et al. 2026, section 3).

    Replace this text: its first line and its source stand on every page that shows the method.
    """

    name: ClassVar[str] = "my-method"
    unit: ClassVar[Unit] = "weight"

    factor: float = 0.9

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(), Prune(sparsity), Rewind(), MyMethodPhase(self.factor), Train()]

    def score(self, ctx: Any) -> dict[str, Any]:
        """A score for each weight, in the shape of its matrix: (outputs, inputs). The lowest go."""
        return {name: weight.abs() for name, weight in ctx.weights.items()}


@hookimpl
def prunebench_phases() -> list[type[Phase]]:
    return [MyMethodPhase]


@hookimpl
def prunebench_strategies() -> list[type[MyMethod]]:
    return [MyMethod]
