"""MyMethod as a prunebench plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Cubic, Phase, Train, TrainingCallback, Unit, hookimpl


@dataclass(frozen=True)
class MyMethod:
    """Learn a score for each weight while the model trains; the highest stay (Author et al. 2026, equation 1).

    Replace this text: its first line and its source stand on every page that shows the method. `lr` is the learning
    rate of the scores.
    """

    name: ClassVar[str] = "my-method"
    unit: ClassVar[Unit] = "weight"
    regrows: ClassVar[bool] = True

    lr: float = 0.01

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(Cubic(sparsity), callback=True)]

    def training(self, ctx: Any) -> TrainingCallback:
        return Scores(ctx, self.lr)


class Scores(TrainingCallback):
    """The scores of one training. The core saves what `parameters` yields; other state belongs into `state_dict`."""

    def __init__(self, ctx: Any, lr: float) -> None:
        self.ctx, self.lr = ctx, lr
        self.scores = {name: weight.abs().clone().requires_grad_() for name, weight in ctx.weights.items()}

    def parameters(self) -> list[dict[str, Any]]:
        return [{"params": list(self.scores.values()), "lr": self.lr, "weight_decay": 0.0}]

    def after_backward(self, step: int) -> None:
        """The gradient of each score: ∂L/∂S = ∂L/∂W ⊙ W."""
        for name, score in self.scores.items():
            score.grad = self.ctx.grads[name] * self.ctx.weights[name]

    def after_step(self, step: int) -> dict[str, Any]:
        mask: dict[str, Any] = self.ctx.select(self.scores, self.ctx.level, regrow=True)
        return mask


@hookimpl
def prunebench_strategies() -> list[type[MyMethod]]:
    return [MyMethod]
