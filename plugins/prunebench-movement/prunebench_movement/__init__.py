"""Movement pruning as a prunebench plugin: hard and soft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Cubic, Phase, PrunebenchError, Train, TrainingCallback, Unit, hookimpl


@dataclass(frozen=True)
class Movement:
    """Learn while the model trains which weights stay: those that move away from zero (Sanh, Wolf & Rush 2020).

    Hard (equation 5 with the masks of section 4, top v): the highest scores stay, over all matrices, or as the reserved
    options `scope` and `pattern` say. Their number falls along a cubic between the fractions `begin` and `end` of the
    training; the defaults are the values for SQuAD.

    With `soft`, a weight stays while σ(score) > τ, and `penalty` · mean σ(score) is added to the loss. As in the
    released code, τ and the penalty grow along the cubic, τ to `threshold`. The penalty alone says how many weights
    stay on the way. After the last step the highest scores stay, as many as the sparsity asks for.

    `lr` is the learning rate of the scores, which decays as the model's does.
    """

    name: ClassVar[str] = "movement"
    unit: ClassVar[Unit] = "weight"
    regrows: ClassVar[bool] = True
    axes: ClassVar[tuple[str, ...]] = ("scope", "pattern")

    lr: float = 0.01
    begin: float = 0.1
    end: float = 0.8
    soft: bool = False
    threshold: float = 0.1
    penalty: float = 400.0

    def __post_init__(self) -> None:
        if not (self.lr > 0 and 0 < self.threshold < 1 and self.penalty >= 0):
            raise PrunebenchError("movement needs lr > 0, 0 < threshold < 1 and penalty >= 0")

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(sparsity if self.soft else Cubic(sparsity, begin=self.begin, end=self.end), callback=True)]

    def training(self, ctx: Any) -> TrainingCallback:
        return Scores(ctx, self)


class Scores(TrainingCallback):
    """A score S for each weight W, where the model computes with W′ = W ⊙ M(S), and M is treated as its own argument.

    So ∂L/∂S = ∂L/∂W′ ⊙ W (the paper's equation 4), where W is the dense copy: a pruned weight keeps the value that it
    had, and its score goes on learning. Differences from the paper:

    - A pruned weight rests, and its moments in AdamW are zero when it comes back. In the paper, AdamW moves it on by
      its momentum.
    - Scores are not clipped. In the paper, one norm is clipped over weights and scores.
    - Scores are compared over all matrices. The released code compares within each matrix (`scope=layer`).
    - There is no teacher unless `teacher=dense` asks for one, and embeddings are trained.
    """

    def __init__(self, ctx: Any, options: Movement) -> None:
        self.ctx, self.options = ctx, options
        self.thresholds = Cubic(options.threshold, begin=options.begin, end=options.end)
        self.scores = {name: weight.new_zeros(weight.shape).requires_grad_() for name, weight in ctx.weights.items()}
        self.dense = {name: weight.clone() for name, weight in ctx.weights.items()}

    def parameters(self) -> list[dict[str, Any]]:
        return [{"params": list(self.scores.values()), "lr": self.options.lr, "weight_decay": 0.0}]

    def threshold(self) -> float:
        return self.thresholds.at(self.ctx.progress.step / self.ctx.progress.total)

    def loss(self, loss: Any, outputs: Any, batch: Any) -> Any:
        if not self.options.soft:
            return loss
        means = [score.sigmoid().mean() for score in self.scores.values()]
        return loss + self.options.penalty * self.threshold() / self.options.threshold * sum(means) / len(means)

    def after_backward(self, step: int) -> None:
        for name, score in self.scores.items():
            # In the soft variant, the gradient of the penalty is there already.
            score.grad = self.ctx.grads[name] * self.dense[name] + (0 if score.grad is None else score.grad)

    def after_step(self, step: int) -> dict[str, Any]:
        if not self.options.soft:
            return self.final_mask()
        return self.mask_weights({name: score.sigmoid() > self.threshold() for name, score in self.scores.items()})

    def final_mask(self) -> dict[str, Any]:
        return self.mask_weights(self.ctx.select(self.scores, self.ctx.level, regrow=True))

    def mask_weights(self, mask: dict[str, Any]) -> dict[str, Any]:
        """Note how the weights that stayed have moved, then compute with W ⊙ M from here on."""
        for name, weight in self.ctx.weights.items():
            dense, before = self.dense[name], self.ctx.mask[name].to(weight.device)
            dense.copy_(weight.where(before, dense))
            weight.copy_(dense * mask[name].to(weight.device))
        return mask

    def state_dict(self) -> dict[str, Any]:
        return self.dense

    def load_state_dict(self, state: Any) -> None:
        self.dense = {name: dense.to(self.ctx.device) for name, dense in state.items()}


@hookimpl
def prunebench_strategies() -> list[type[Movement]]:
    return [Movement]
