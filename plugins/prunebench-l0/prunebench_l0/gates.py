"""A training with a gate on each unit, and a penalty that leads the expected sparsity to the level."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any

from prunebench import PrunebenchError, TrainingCallback
from prunebench_l0.hard_concrete import presence, sample, without_noise

# log α stays between these, as in CoFi's released code: outside, a gate has next to no gradient.
LOWEST, HIGHEST = math.log(1e-2), math.log(1e2)
# λ₂ at first. In simulated trainings of 48 steps, the expected sparsity ends up to 0.5 from the level if λ₂ starts at
# 0, as in the paper, and up to 0.04 if it starts at 300.
CURVATURE = 300.0


@dataclass(frozen=True)
class GateOptions:
    """How gates are trained.

    Attributes:
        reach: how far log α can move in a training: the sum of its learning rates, which decay as the model's do.
        multiplier_reach: the same for the multipliers.
        start: log α at the start of the training.
        warmup: the fraction of the training in which the target grows from 0 to the level.
        coarse: there is one more gate for each group, such as the heads of a layer, which multiplies all others of it.
    """

    reach: float
    multiplier_reach: float
    start: float
    warmup: float
    coarse: bool = False

    def __post_init__(self) -> None:
        if not (self.reach > 0 and self.multiplier_reach > 0 and 0 <= self.warmup < 1):
            raise PrunebenchError("gates need reach > 0, multiplier_reach > 0 and 0 <= warmup < 1")
        if not LOWEST <= self.start <= HIGHEST:
            raise PrunebenchError(f"gates start at {self.start:g}", f"expected {LOWEST:.1f} to {HIGHEST:.1f}")


class Gates(TrainingCallback):
    """Samples a gate for each unit in every step, and learns log α together with the model.

    The penalty is the Lagrangian of Wang, Wohlwend & Lei 2020, with the expected sparsity ŝ and the target t:

        λ₁ (ŝ − t) + λ₂ (ŝ − t)²

    Gates and weights descend, λ₁ and λ₂ ascend, so that the penalty grows until ŝ is at t. ŝ is the expected cost of
    the units that are 0, as a share of all costs. The target grows linearly during the `warmup`. λ₂ starts at 300, and
    not at 0 as in the paper, whose trainings are many times as long.

    At the end, the units with the lowest probability not to be 0 go, exactly as many as the level requires, and the
    gates of the others (without noise) are multiplied into the weights behind them. The sampled gates are those of a
    batch, and follow from the seed and the step.
    """

    def __init__(self, ctx: Any, options: GateOptions) -> None:
        import torch

        self.ctx, self.options = ctx, options

        def log_alpha(size: int) -> Any:
            return torch.full((size,), options.start, device=ctx.device, requires_grad=True)

        self.fine = {name: log_alpha(len(keep)) for name, keep in ctx.mask.items()}
        self.coarse = {name: log_alpha(1) for name in ctx.mask} if options.coarse else {}
        self.multipliers = torch.tensor([0.0, CURVATURE], device=ctx.device, requires_grad=True)
        total = sum(cost.sum() for cost in ctx.costs.values())
        self.shares = {name: (cost / total).float() for name, cost in ctx.costs.items()}

    def __enter__(self) -> Gates:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.ctx.gates(self.sampled))
            self.hooks = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self.hooks.__exit__(*error)

    def parameters(self) -> list[dict[str, Any]]:
        gates, still = [*self.fine.values(), *self.coarse.values()], {"weight_decay": 0.0}
        # A step of Adam moves a number by about the rate at most, and rates decay to zero, so that half of it counts.
        rate = 2 / self.ctx.progress.total
        return [
            {"params": gates, "lr": self.options.reach * rate, **still},
            {"params": [self.multipliers], "lr": self.options.multiplier_reach * rate, "maximize": True, **still},
        ]

    def begin(self, training: Any) -> None:
        self.run = training

    def sampled(self, name: str) -> Any:
        """The gates of a group in this step. They are computed anew for each part of a batch, from the same noise."""
        gates = self.sampled_alone(self.fine[name], name)
        return gates * self.sampled_alone(self.coarse[name], f"all {name}") if self.coarse else gates

    def sampled_alone(self, log_alpha: Any, purpose: str) -> Any:
        import torch

        generator = self.ctx.generator(f"gates {purpose} {self.run.progress.step}")
        return sample(log_alpha, torch.rand(log_alpha.shape, generator=generator).to(log_alpha.device))

    def presence(self, name: str) -> Any:
        """The probability that each unit of a group is not 0."""
        fine = presence(self.fine[name])
        return fine * presence(self.coarse[name]) if self.coarse else fine

    def expected_sparsity(self) -> Any:
        return 1 - sum((share * self.presence(name)).sum() for name, share in self.shares.items())

    def target(self) -> float:
        progress = self.run.progress
        return float(self.ctx.level * min(1.0, progress.step / max(1.0, self.options.warmup * progress.total)))

    def penalty(self) -> Any:
        excess = self.expected_sparsity() - self.target()
        return self.multipliers[0] * excess + self.multipliers[1] * excess.square()

    def loss(self, loss: Any, outputs: Any, batch: Any) -> Any:
        return loss + self.penalty()

    def after_step(self, step: int) -> None:
        for log_alpha in (*self.fine.values(), *self.coarse.values()):
            log_alpha.data.clamp_(LOWEST, HIGHEST)

    def final_mask(self) -> dict[str, Any]:
        mask: dict[str, Any] = self.ctx.select({name: self.presence(name) for name in self.fine}, self.ctx.level)
        for layer in self.ctx.layers:
            for kind, linear in (("heads", layer.attention_output), ("neurons", layer.output)):
                if (name := f"layer.{layer.index}.{kind}") in self.fine:
                    gates = without_noise(self.fine[name].detach())
                    if self.coarse:
                        gates = gates * without_noise(self.coarse[name].detach())
                    weight = self.ctx.weights[f"{linear}.weight"]
                    weight.mul_(gates.repeat_interleave(weight.shape[1] // len(gates)))
        return mask
