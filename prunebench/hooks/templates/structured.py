"""MyMethod as a prunebench plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Compact, Phase, Prune, Train, Unit, hookimpl


@dataclass(frozen=True)
class MyMethod:
    """Remove the heads that matter least, train on, and take them out of the model (Author et al. 2026, equation 1).

    Replace this text: its first line and its source stand on every page that shows the method. `examples` is the number
    of training examples (None: all).
    """

    name: ClassVar[str] = "my-method"
    unit: ClassVar[Unit] = "head"

    examples: int | None = 256

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(), Prune(sparsity), Train(), Compact()]

    def score(self, ctx: Any) -> dict[str, Any]:
        """A score for each head, shape (heads,) for each layer. The lowest go."""
        gradients = ctx.gate_gradients(self.examples)
        return {name: gradient.abs().mean(dim=0) for name, gradient in gradients.items()}


@hookimpl
def prunebench_strategies() -> list[type[MyMethod]]:
    return [MyMethod]
