"""Structured pruning of attention heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Compact, Phase, Prune, Train, Unit, ladder


@dataclass(frozen=True)
class Heads:
    """Remove the least important attention heads, train on, and take them out of the model (Michel et al. 2019).

    The importance of a head is E|∂L/∂ξ| for a gate ξ on its output, over `examples` training examples (None: all).
    `normalize` divides it by its L2 norm in each layer. `rescore` removes heads in steps of `step` and scores the
    remaining ones before each step; by default all heads are scored once.
    """

    name: ClassVar[str] = "heads"
    unit: ClassVar[Unit] = "head"

    normalize: bool = True
    rescore: bool = False
    step: float = 0.1
    examples: int | None = 1024

    def __post_init__(self) -> None:
        ladder(0.5, self.step)  # raises an error for a bad step

    def recipe(self, sparsity: float) -> list[Phase]:
        levels = ladder(sparsity, self.step) if self.rescore else [sparsity]
        return [Train(), *(Prune(level) for level in levels), Train(), Compact()]

    def score(self, ctx: Any) -> dict[str, Any]:
        gradients = ctx.gate_gradients(self.examples)
        importance = {name: gradient.abs().mean(dim=0) for name, gradient in gradients.items()}
        if not self.normalize:
            return importance
        return {name: value / value.norm().clamp(min=1e-12) for name, value in importance.items()}


STRATEGIES = [Heads]
