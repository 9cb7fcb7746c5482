"""Heads and neurons by Fisher information, without a training after it (Kwon et al. 2022)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Compact, Phase, Prune, PrunebenchError, Train, Unit, hookimpl
from prunebench_structured.tuning import tune


@dataclass(frozen=True)
class Kwon:
    """Remove heads and neurons such that the Fisher information of their gates is least (Kwon et al. 2022, section 4).

    The gradients of `examples` training examples (None: all) for a gate on each unit give the Fisher information.

    1. Mask search (algorithm 1): with its diagonal, the loss rises by half the sum over the pruned units. For each
       number of heads, the least important ones go, then as many neurons as the `budget` ("flops" or "parameters")
       needs; the number with the least sum wins.
    2. Mask rearrangement: with all products between the heads, or neurons, of a layer, (1 − m)ᵀ I (1 − m) falls while
       each unit that stays is exchanged once with the best one that goes. Counts in each layer stay as they are.

    3. Mask tuning (`tune`): the units that stay are scaled such that each sub-layer comes closest to the same sub-layer
       of the dense model, on the same examples, by least squares.

    Without `retrain`, as in the paper, the pruned model is scored as it is. The gradients are those of single examples;
    the released code has batches.
    """

    name: ClassVar[str] = "kwon"
    unit: ClassVar[Unit] = "head+neuron"

    budget: str = "flops"
    examples: int | None = 1024
    tune: bool = True
    retrain: bool = False

    def __post_init__(self) -> None:
        if self.budget not in ("flops", "parameters"):
            raise PrunebenchError(f"kwon has budget {self.budget!r}", "expected 'flops' or 'parameters'")

    def recipe(self, sparsity: float) -> list[Phase]:
        after = [Train()] if self.retrain else []
        return [Train(), Prune(sparsity, budget=self.budget), *after, Compact()]

    def prune(self, ctx: Any, sparsity: float) -> dict[str, Any]:
        gradients = {name: value.double() for name, value in ctx.gate_gradients(self.examples).items()}
        importance = {name: value.square().mean(dim=0) for name, value in gradients.items()}
        scores = search(importance, {name: float(cost[0]) for name, cost in ctx.costs.items()}, sparsity)
        mask = ctx.select(scores, sparsity)
        mask = {name: rearrange(keep, gradients[name].cpu()) for name, keep in mask.items()}
        if self.tune:
            tune(ctx, mask, self.examples)
        return mask


def search(importance: dict[str, Any], costs: dict[str, float], sparsity: float) -> dict[str, Any]:
    """Scores by which the best number of heads goes first and then neurons, until the budget is reached."""
    import torch

    heads = torch.cat([value for name, value in importance.items() if name.endswith("heads")]).sort().values.tolist()
    neurons = torch.cat([value for name, value in importance.items() if not name.endswith("heads")]).sort().values
    sums = [0.0, *neurons.cumsum(0).tolist()]
    head, neuron = (next(c for name, c in costs.items() if name.endswith(kind)) for kind in ("heads", "neurons"))
    required = sparsity * (head * len(heads) + neuron * len(neurons))
    totals = {}
    for count in range(len(heads) + 1):
        needed = math.ceil(max(0.0, required - head * count) / neuron - 1e-9)
        # With one head fewer the budget is reached already, or without all neurons it is not.
        if head * (count - 1) < required and needed <= len(neurons):
            totals[count] = sum(heads[:count]) + sums[needed]
    best = min(totals, key=lambda count: totals[count], default=0)
    limit = heads[best - 1] if best else -math.inf
    return {
        name: value if not name.endswith("heads") else value.where(value > limit, -1.0).where(value <= limit, math.inf)
        for name, value in importance.items()
    }


def rearrange(keep: Any, gradients: Any) -> Any:
    """The mask with as many units of a layer and a smaller ‖Σ_pruned g‖², g of shape (examples, units).

    Greedy: the units that stay are visited from the least important one on. Each goes, and the one comes back without
    which the sum is least.
    """
    products = gradients.T @ gradients
    pruned = ~keep
    sums = products[:, pruned].sum(dim=1)
    for index in products.diagonal().argsort(stable=True).tolist():
        if pruned[index] or not pruned.any():
            continue
        pruned[index] = True
        sums += products[index]
        # ‖s − g_k‖² = ‖s‖² − 2 sᵀg_k + ‖g_k‖²
        back = int((products.diagonal() - 2 * sums).masked_fill(~pruned, math.inf).argmin())
        pruned[back] = False
        sums -= products[back]
    return ~pruned


@hookimpl
def prunebench_strategies() -> list[type[Kwon]]:
    return [Kwon]
