"""Structured pruning of attention heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Compact, Phase, Prune, Train, Unit, ladder


@dataclass(frozen=True)
class Heads:
    """Remove whole attention heads of least importance, train on, take them out of the model (Michel et al. 2019).

    Importance is E|∂L/∂ξ| of a gate ξ on the head's output, over `examples` training examples (None: all), with
    `normalize` divided by its L2 norm in each layer. With `rescore` heads go in steps of `step` and the rest are
    scored again each time; without, all are scored once.
    """

    name: ClassVar[str] = "heads"
    unit: ClassVar[Unit] = "head"

    normalize: bool = True
    rescore: bool = False
    step: float = 0.1
    examples: int | None = 1024

    def __post_init__(self) -> None:
        ladder(0.5, self.step)

    def recipe(self, sparsity: float) -> list[Phase]:
        levels = ladder(sparsity, self.step) if self.rescore else [sparsity]
        return [Train(), *(Prune(level) for level in levels), Train(), Compact()]

    def score(self, ctx: Any) -> dict[str, Any]:
        importance = {name: slopes.abs().mean(dim=0) for name, slopes in ctx.gate_gradients(self.examples).items()}
        if not self.normalize:
            return importance
        return {name: value / value.norm().clamp(min=1e-12) for name, value in importance.items()}


STRATEGIES = [Heads]
