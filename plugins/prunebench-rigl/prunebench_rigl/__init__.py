"""Sparse training as a prunebench plugin: RigL, and SET as an option."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, PrunebenchError, Train, TrainingCallback, Unit, hookimpl


@dataclass(frozen=True)
class RigL:
    """Train sparse from the start: now and then, small weights go and others grow (Evci et al. 2020, algorithm 1).

    The model is pruned before it trains, by magnitude (`start="magnitude"`) or at random ("random"), within `scope`.
    Then each matrix keeps its number of weights. At each update it drops the fraction `drop`/2 · (1 + cos(π t/T)) of
    them, those of smallest magnitude, where T is the fraction `end` of the training. As many weights grow: those with
    the largest gradients (`grow="gradient"`), or any (`grow="random"`, as SET, Mocanu et al. 2018).

    There are `updates` updates up to T, at even intervals; the last one, at T, drops nothing. The paper updates every
    100 steps, of 32,000. An encoder may be trained for 234 steps in all (RTE), so the interval follows the training.
    """

    name: ClassVar[str] = "rigl"
    unit: ClassVar[Unit] = "weight"
    regrows: ClassVar[bool] = True

    grow: str = "gradient"
    start: str = "magnitude"
    scope: str = "erk"
    drop: float = 0.3
    end: float = 0.75
    updates: int = 10

    def __post_init__(self) -> None:
        if self.grow not in ("gradient", "random") or self.start not in ("magnitude", "random"):
            raise PrunebenchError("rigl grows by gradient or random, and starts by magnitude or random")
        if not (0 <= self.drop <= 1 and 0 < self.end <= 1 and self.updates >= 1):
            raise PrunebenchError("rigl needs 0 <= drop <= 1, 0 < end <= 1 and updates >= 1")

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Prune(sparsity, scope=self.scope), Train(callback=True)]

    def score(self, ctx: Any) -> dict[str, Any]:
        if self.start == "magnitude":
            return {name: weight.abs() for name, weight in ctx.weights.items()}
        return random_scores(ctx, "start")

    def training(self, ctx: Any) -> TrainingCallback:
        return Updates(ctx, self)


class Updates(TrainingCallback):
    """The updates of the masks. There is no state to save: the core saves the mask, and each step has its own numbers.

    Differences from the paper: the optimiser's step is made at an update too, so that a weight is dropped by its
    magnitude after the step whose gradient lets others grow.
    """

    def __init__(self, ctx: Any, options: RigL) -> None:
        self.ctx, self.options = ctx, options

    def begin(self, training: Any) -> None:
        self.end = self.options.end * training.total
        self.interval = max(1, round(self.end / self.options.updates))

    def is_update(self, step: int) -> bool:
        return step % self.interval == 0 and step < self.end

    def after_backward(self, step: int) -> None:
        if self.is_update(step):
            # Copies: the core sets the gradients of pruned weights to zero after this.
            gradients = {name: gradient.abs() for name, gradient in self.ctx.grads.items()}
            self.growth = gradients if self.options.grow == "gradient" else random_scores(self.ctx, f"step {step}")

    def after_step(self, step: int) -> dict[str, Any] | None:
        if not self.is_update(step):
            return None
        fraction = self.options.drop / 2 * (1 + math.cos(math.pi * step / self.end))
        weights, mask = self.ctx.weights, self.ctx.mask
        return {name: update(weights[name], keep, self.growth[name], fraction) for name, keep in mask.items()}


def update(weight: Any, keep: Any, growth: Any, fraction: float) -> Any:
    """The mask after one update of a matrix (algorithm 1), True stays; all tensors have the shape of the matrix.

    ⌊fraction · kept⌋ weights of smallest magnitude go, then as many of those that are out now come in, by `growth`. One
    that goes and comes in at once keeps its value. The others begin at zero, as the core has pruned weights at zero.
    """
    count = int(fraction * int(keep.sum()))
    stays = keep.flatten().clone()
    magnitudes = weight.abs().cpu().flatten().masked_fill(~stays, math.inf)
    stays[magnitudes.argsort(stable=True)[:count]] = False
    stays[growth.cpu().flatten().masked_fill(stays, -math.inf).argsort(descending=True, stable=True)[:count]] = True
    return stays.view_as(keep)


def random_scores(ctx: Any, purpose: str) -> dict[str, Any]:
    generator = ctx.generator(purpose)
    return {name: keep.float().uniform_(generator=generator) for name, keep in ctx.mask.items()}


@hookimpl
def prunebench_strategies() -> list[type[RigL]]:
    return [RigL]
