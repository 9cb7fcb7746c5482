"""Optimal brain surgeon as a prunebench plugin: SparseGPT here, and the optimal BERT surgeon in `obert`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, PrunebenchError, Train, Unit, hookimpl
from prunebench_obs.obert import OBert


@dataclass(frozen=True)
class SparseGPT:
    """Prune each matrix and correct the rest, so that its outputs change least (Frantar & Alistarh 2023, algorithm 1).

    Every matrix gets the same sparsity. `examples` are the training examples whose inputs give the Hessian (None: all),
    `damping` times the mean of its diagonal is added to the diagonal, and `block` is the number of columns among which
    weights are chosen at a time. Without `retrain` the pruned model is scored as it is.
    """

    name: ClassVar[str] = "sparsegpt"
    unit: ClassVar[Unit] = "weight"

    examples: int | None = 512
    damping: float = 0.01
    block: int = 128
    retrain: bool = True

    def __post_init__(self) -> None:
        if self.damping <= 0 or self.block < 1:
            raise PrunebenchError("sparsegpt needs damping > 0 and block >= 1")

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train(), Prune(sparsity), *([Train()] if self.retrain else [])]

    def prune(self, ctx: Any, sparsity: float) -> dict[str, Any]:
        count, units = ctx.count(sparsity), sum(keep.numel() for keep in ctx.mask.values())
        mask, start = {}, 0
        for name, products in ctx.input_products(self.examples):
            weight = ctx.weights[name]
            # The counts of all matrices add up to `count`, and each is its share, rounded down or up.
            end = start + weight.numel()
            share = count * end // units - count * start // units
            pruned, mask[name] = prune_matrix(weight.double(), products, share, self.damping, self.block)
            weight.copy_(pruned)
            start = end
        return mask


def prune_matrix(weight: Any, products: Any, count: int, damping: float, block: int) -> tuple[Any, Any]:
    """Prune exactly `count` weights; returns the new weights, and the mask in which True stays.

    `weight` has shape (out, in) and `products` is XᵀX of its inputs, shape (in, in), both in float64. Row j of the
    upper Cholesky factor of the inverse Hessian, divided by its diagonal entry, is how the columns after j make up for
    a change of column j by 1; the square of the entry is [H⁻¹]_jj when only columns from j on may change.
    """
    # Imported here, so that the command line starts without it.
    import torch

    hessian = products.clone()
    hessian.diagonal().add_(damping * products.diagonal().mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    factor = torch.linalg.cholesky(inverse, upper=True)
    weight, keep, columns = weight.clone(), torch.ones_like(weight, dtype=torch.bool), weight.shape[1]
    for start in range(0, columns, block):
        end = min(start + block, columns)
        losses = (weight[:, start:end] / factor.diagonal()[start:end]).square()
        share = count * end // columns - count * start // columns
        stays = torch.ones_like(losses.flatten(), dtype=torch.bool)
        stays[losses.flatten().argsort(stable=True)[:share]] = False
        keep[:, start:end] = stays.view_as(losses)
        errors = torch.zeros_like(losses)
        for j in range(start, end):
            errors[:, j - start] = weight[:, j] / factor[j, j] * ~keep[:, j]
            weight[:, j:end] -= torch.outer(errors[:, j - start], factor[j, j:end])
        weight[:, end:] -= errors @ factor[start:end, end:]
    return weight * keep, keep


@hookimpl
def prunebench_strategies() -> list[type[Any]]:
    return [SparseGPT, OBert]
