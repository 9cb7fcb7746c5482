"""PLATON as a prunebench plugin: gradual pruning by an upper bound of importance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Cubic, Phase, PrunebenchError, Train, TrainingCallback, Unit, hookimpl


@dataclass(frozen=True)
class Platon:
    """Prune while the model trains, by smoothed sensitivity times its uncertainty (Zhang et al. 2022, algorithm 1).

    The sensitivity of weight w on a batch is I = |w · ∂L/∂w|. Its moving average Ī has the factor `beta1`. The moving
    average Ū of the uncertainty U = |I − Ī| has the factor `beta2`. The weights with the lowest Ī · Ū go, over all
    matrices, such that the sparsity follows a cubic between the fractions `begin` and `end` of the training. Pruned
    weights may come back, because Ī and Ū keep falling slowly.

    The defaults of `beta1` and `beta2` are those of the released script for SQuAD. Differences from the paper: a weight
    that comes back starts at zero, where the paper gives it the gradient step of that batch; and there is one training,
    of the length that the protocol says. As in the paper, averages and masks follow each batch; the released code
    averages the sensitivities of 10 batches first.
    """

    name: ClassVar[str] = "platon"
    unit: ClassVar[Unit] = "weight"
    regrows: ClassVar[bool] = True
    axes: ClassVar[tuple[str, ...]] = ("scope", "pattern")

    beta1: float = 0.85
    beta2: float = 0.95
    begin: float = 0.1
    end: float = 0.7

    def __post_init__(self) -> None:
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise PrunebenchError("platon needs 0 <= beta1 < 1 and 0 <= beta2 < 1")

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(Cubic(sparsity, begin=self.begin, end=self.end), callback=True)]

    def training(self, ctx: Any) -> TrainingCallback:
        return Importance(ctx, self)


class Importance(TrainingCallback):
    """The moving averages of sensitivity and uncertainty; gradients and weights are those before the step."""

    def __init__(self, ctx: Any, options: Platon) -> None:
        self.ctx, self.options = ctx, options
        self.sensitivity = {name: weight.new_zeros(weight.shape) for name, weight in ctx.weights.items()}
        self.uncertainty = {name: weight.new_zeros(weight.shape) for name, weight in ctx.weights.items()}

    def after_backward(self, step: int) -> None:
        for name, gradient in self.ctx.grads.items():
            current = (self.ctx.weights[name] * gradient).abs()
            self.sensitivity[name].lerp_(current, 1 - self.options.beta1)
            self.uncertainty[name].lerp_((current - self.sensitivity[name]).abs(), 1 - self.options.beta2)

    def after_step(self, step: int) -> dict[str, Any]:
        scores = {name: value.double() * self.uncertainty[name] for name, value in self.sensitivity.items()}
        return self.ctx.select(scores, self.ctx.level, regrow=True)

    def state_dict(self) -> dict[str, Any]:
        averages = {"sensitivity": self.sensitivity, "uncertainty": self.uncertainty}
        return {f"{kind} {name}": value for kind, values in averages.items() for name, value in values.items()}

    def load_state_dict(self, state: Any) -> None:
        for key, value in state.items():
            kind, name = key.split(" ", 1)
            getattr(self, kind)[name].copy_(value)


@hookimpl
def prunebench_strategies() -> list[type[Platon]]:
    return [Platon]
