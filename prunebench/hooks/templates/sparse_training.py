"""MyMethod as a prunebench plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, Train, TrainingCallback, Unit, hookimpl


@dataclass(frozen=True)
class MyMethod:
    """Train sparse from the start; small weights go, and random ones grow (Author et al. 2026, algorithm 1).

    Replace this text: its first line and its source stand on every page that shows the method. Every `every` steps,
    the fraction `drop` of the weights that are there goes, those of smallest magnitude, and as many others come in.
    """

    name: ClassVar[str] = "my-method"
    unit: ClassVar[Unit] = "weight"
    regrows: ClassVar[bool] = True

    drop: float = 0.1
    every: int = 10

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Prune(sparsity), Train(callback=True)]

    def score(self, ctx: Any) -> dict[str, Any]:
        """The scores of the first mask."""
        return {name: weight.abs() for name, weight in ctx.weights.items()}

    def training(self, ctx: Any) -> TrainingCallback:
        return Updates(ctx, self)


class Updates(TrainingCallback):
    """The updates of the mask. There is no state to save: each step has random numbers of its own."""

    def __init__(self, ctx: Any, options: MyMethod) -> None:
        self.ctx, self.options = ctx, options

    def after_step(self, step: int) -> dict[str, Any] | None:
        if step % self.options.every:
            return None
        generator = self.ctx.generator(f"step {step}")
        return {
            name: update(self.ctx.weights[name], keep, self.options.drop, generator)
            for name, keep in self.ctx.mask.items()
        }


def update(weight: Any, keep: Any, drop: float, generator: Any) -> Any:
    """The mask of a matrix after an update: ⌊drop · kept⌋ smallest weights are out, and as many random ones are in."""
    stays = keep.flatten().clone()
    count = int(drop * int(stays.sum()))
    magnitudes = weight.abs().cpu().flatten().masked_fill(~stays, float("inf"))
    stays[magnitudes.argsort(stable=True)[:count]] = False
    growth = magnitudes.new_empty(magnitudes.shape).uniform_(generator=generator).masked_fill(stays, -1.0)
    stays[growth.argsort(descending=True, stable=True)[:count]] = True
    return stays.view_as(keep)


@hookimpl
def prunebench_strategies() -> list[type[MyMethod]]:
    return [MyMethod]
