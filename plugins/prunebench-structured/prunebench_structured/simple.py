"""Structured methods that need no data: whole layers by position, and controls for heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from prunebench import Compact, Phase, Prune, PrunebenchError, Train, Unit, hookimpl


@dataclass(frozen=True)
class LayerDrop:
    """Remove layers of θ0 by their position, then train once (Sajjad et al. 2023, section 3).

    `order` says which go: the "top" ones, the "bottom" ones, those in the middle ("symmetric"), or every other one from
    the last layer on ("even") or from the one before it ("odd"). Once every other one has gone, the rest goes from the
    top on in the same way. The sparsity is the fraction of the layers. The paper's two orders by data are left out.
    """

    name: ClassVar[str] = "layer-drop"
    unit: ClassVar[Unit] = "layer"

    order: Literal["top", "bottom", "symmetric", "even", "odd"] = "top"

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Prune(sparsity), Train(), Compact()]

    def score(self, ctx: Any) -> dict[str, Any]:
        import torch

        order = removal_order(len(ctx.mask), self.order)
        return {name: torch.tensor([float(order.index(index))]) for index, name in enumerate(ctx.mask)}


def removal_order(layers: int, order: str) -> list[int]:
    """The layers 0, 1, … in the order in which they go."""
    last, other = range(layers - 1, -1, -2), range(layers - 2, -1, -2)
    orders = {
        "top": list(range(layers - 1, -1, -1)),
        "bottom": list(range(layers)),
        "symmetric": sorted(range(layers), key=lambda index: abs(2 * index + 1 - layers)),
        "even": [*last, *other],
        "odd": [*other, *last],
    }
    return orders[order]


@dataclass(frozen=True)
class HeadControl:
    """Remove the most important heads first, or random ones, where `heads` removes the least important ones.

    These are the "bad" and the "random" subnetworks of Prasanna et al. 2020 for Michel et al.'s importance E|∂L/∂ξ|, of
    the size of the "good" one of `heads`: a model that is trained on may score as well with them. `order` is "worst" or
    "random". The other options are those of `heads`. The paper prunes heads together with feed-forward networks.
    """

    name: ClassVar[str] = "head-control"
    unit: ClassVar[Unit] = "head"

    order: Literal["worst", "random"] = "worst"
    normalize: bool = True
    examples: int | None = 1024
    retrain: bool = True

    def __post_init__(self) -> None:
        if self.examples is not None and self.examples < 1:
            raise PrunebenchError(f"head-control has {self.examples} examples", "expected at least 1, or None for all")

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(), Prune(sparsity), *([Train()] if self.retrain else []), Compact()]

    def score(self, ctx: Any) -> dict[str, Any]:
        if self.order == "random":
            generator = ctx.generator("heads")
            return {name: keep.float().uniform_(generator=generator) for name, keep in ctx.mask.items()}
        importance = {name: value.abs().mean(dim=0) for name, value in ctx.gate_gradients(self.examples).items()}
        norms = {name: value.norm().clamp(min=1e-12) if self.normalize else 1 for name, value in importance.items()}
        return {name: -value / norms[name] for name, value in importance.items()}


@hookimpl
def prunebench_strategies() -> list[type[Any]]:
    return [LayerDrop, HeadControl]
