"""Heads and neurons under one budget, as a prunebench plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Compact, Phase, Prune, Train, Unit, hookimpl


@dataclass(frozen=True)
class HeadsNeurons:
    """Remove the heads and neurons that matter least for their cost, train on, and take them out of the model.

    The importance of a unit is E|∂L/∂ξ| for a gate ξ on its output, over `examples` training examples (None: all), as
    in Michel et al. 2019 for heads and in Prasanna et al. 2020 for the feed-forward networks. It is divided by what
    the unit costs, so that heads and neurons compete in one ranking. The sparsity is the fraction of the `budget` that
    goes: "flops", "parameters" or "units".
    """

    name: ClassVar[str] = "heads-neurons"
    unit: ClassVar[Unit] = "head+neuron"

    budget: str = "flops"
    examples: int | None = 1024

    def __post_init__(self) -> None:
        Prune(0.5, budget=self.budget)  # raises an error for an unknown budget

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(), Prune(sparsity, budget=self.budget), Train(), Compact()]

    def score(self, ctx: Any) -> dict[str, Any]:
        gradients = ctx.gate_gradients(self.examples)
        return {name: gradient.abs().mean(dim=0) / ctx.costs[name] for name, gradient in gradients.items()}


@hookimpl
def prunebench_strategies() -> list[type[HeadsNeurons]]:
    return [HeadsNeurons]
