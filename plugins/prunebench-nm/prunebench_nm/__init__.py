"""Training under a pattern n:m from the start as a prunebench plugin: SR-STE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, PrunebenchError, Train, TrainingCallback, Unit, hookimpl


@dataclass(frozen=True)
class SRSTE:
    """Train under an n:m mask from the first step, and update the pruned weights as well (Zhou et al. 2021, section 4).

    The model computes with W̃: of each `m` consecutive weights of a row, the `n` largest magnitudes. The gradient at W̃
    updates all of W (straight-through), and pruned weights decay (equations 8 and 9), where Ē is 1 for them and 0 for
    the others:

        W ← W − γ (g(W̃) + decay · Ē ⊙ W)

    The mask follows the magnitudes of W after each step. Its one sparsity is 1 − n/m.
    """

    name: ClassVar[str] = "sr-ste"
    unit: ClassVar[Unit] = "weight"
    regrows: ClassVar[bool] = True

    n: int = 2
    m: int = 4
    decay: float = 2e-4

    def __post_init__(self) -> None:
        self.recipe(0.5)  # raises an error for an impossible pattern
        if self.decay < 0:
            raise PrunebenchError(f"sr-ste has decay {self.decay}", "expected 0 or more; 0 is the plain STE")

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(sparsity, callback=True, pattern=f"{self.n}:{self.m}")]

    def training(self, ctx: Any) -> TrainingCallback:
        return Estimator(ctx, self.decay)


class Estimator(TrainingCallback):
    """Holds W, which the optimiser trains, while the weights of the model are W̃ = E ⊙ W.

    Differences from the paper: the optimiser is the protocol's, AdamW, where the paper has SGD with momentum. divides
    the sum of gradient and decay by its own scale; in the released code both are one gradient, too. θ0 is pre-trained,
    where the paper begins with random weights.
    """

    def __init__(self, ctx: Any, decay: float) -> None:
        self.ctx, self.decay = ctx, decay
        self.dense = {name: weight.clone().requires_grad_() for name, weight in ctx.weights.items()}

    def parameters(self) -> list[dict[str, Any]]:
        return [{"params": list(self.dense.values()), "clip": True}]

    def begin(self, training: Any) -> None:
        self.prune()

    def after_backward(self, step: int) -> None:
        for name, gradient in self.ctx.grads.items():
            dense = self.dense[name].detach()
            # Ē ⊙ W = W − W̃
            self.dense[name].grad = gradient + self.decay * (dense - self.ctx.weights[name])
            # W̃ follows W, so that its own gradient would be clipped twice.
            gradient.zero_()

    def after_step(self, step: int) -> dict[str, Any]:
        return self.prune()

    def prune(self) -> dict[str, Any]:
        """Let the model compute with the largest weights of W, and return their mask."""
        dense = {name: weight.detach() for name, weight in self.dense.items()}
        mask: dict[str, Any] = self.ctx.select(
            {name: weight.abs() for name, weight in dense.items()}, self.ctx.level, regrow=True
        )
        for name, weight in self.ctx.weights.items():
            weight.copy_(dense[name] * mask[name].to(weight.device))
        return mask


@hookimpl
def prunebench_strategies() -> list[type[SRSTE]]:
    return [SRSTE]
