"""The optimal BERT surgeon: optimal brain surgeon with the empirical Fisher information of blocks of weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Phase, Prune, PrunebenchError, Train, Unit


@dataclass(frozen=True)
class OBert:
    """Prune by w_i² / (2 [F⁻¹]_ii) and move the other weights such that the loss rises least (Kurtic et al. 2022).

    F = λI + mean of g gᵀ over the gradients g of single examples (the empirical Fisher information), for blocks of
    `block` successive weights of a matrix, with the others at zero, as in WoodFisher (Singh & Alistarh 2020). λ is
    `damping`. The lowest saliencies go, over all matrices. With the set Q of the pruned weights of a block, the others
    move by −F⁻¹ E_Qᵀ ([F⁻¹]_QQ)⁻¹ w_Q, the paper's update for a group of weights (section 3.1).

    `steps` > 1 prunes gradually: along a cubic, with `1/steps` of a training between two steps. The paper does so for
    10 or 30 epochs with a teacher, which is `obert[steps=16,teacher=dense]` here.

    Differences from the paper: `examples` gradients of one example each, where the paper has 1024 of 16 each; all
    pruned weights of a block are corrected for at once, where the released code adds up single corrections; a block
    never joins two matrices; and the learning rate has the protocol's schedule between two steps.
    """

    name: ClassVar[str] = "obert"
    unit: ClassVar[Unit] = "weight"
    axes: ClassVar[tuple[str, ...]] = ("scope", "pattern")

    examples: int | None = 256
    damping: float = 1e-7
    block: int = 50
    steps: int = 1
    retrain: bool = True

    def __post_init__(self) -> None:
        if self.damping <= 0 or self.block < 1 or self.steps < 1:
            raise PrunebenchError("obert needs damping > 0, block >= 1 and steps >= 1")

    def recipe(self, sparsity: float) -> list[Phase]:
        levels = [sparsity * (1 - (1 - step / self.steps) ** 3) for step in range(1, self.steps)]
        between = [phase for level in levels for phase in (Prune(level), Train(length=1 / self.steps))]
        return [Train(), *between, Prune(sparsity), *([Train()] if self.retrain else [])]

    def prune(self, ctx: Any, sparsity: float) -> dict[str, Any]:
        scores, size = {}, self.block
        for name, fisher in fishers(ctx, self.examples, size, self.damping):
            weight = ctx.weights[name]
            scores[name] = saliencies(in_blocks(weight, size), fisher).flatten()[: weight.numel()].view_as(weight)
        mask = ctx.select(scores, sparsity)
        # F of all matrices would not fit into memory, so it is computed twice. No weight moves before the end, so that
        # it is the same F.
        moved = {}
        for name, fisher in fishers(ctx, self.examples, size, self.damping):
            weight, keep = ctx.weights[name], mask[name].to(ctx.device)
            blocks = without_pruned(in_blocks(weight, size), in_blocks(keep, size).bool(), fisher)
            moved[name] = blocks.flatten()[: weight.numel()].view_as(weight).to(weight.dtype)
        for name, weight in moved.items():
            ctx.weights[name].copy_(weight)
        return mask


def in_blocks(matrix: Any, size: int) -> Any:
    """The entries of a matrix in rows of `size`, in float64; zeros fill the last row."""
    import torch

    return torch.nn.functional.pad(matrix.double().flatten(), (0, -matrix.numel() % size)).view(-1, size)


def fishers(ctx: Any, examples: int | None, size: int, damping: float) -> Iterator[tuple[str, Any]]:
    """F of every matrix by parameter name: (blocks, size, size), in float64. The layers need one pass each."""
    layers = [[f"{linear}.weight" for linear in layer.linears] for layer in ctx.layers]
    rest = [name for name in ctx.weights if not any(name in names for names in layers)]  # the pooler, if it is pruned
    for names in [*layers, *([rest] if rest else [])]:
        yield from layer_fishers(ctx, names, examples, size, damping)


def layer_fishers(
    ctx: Any, names: Sequence[str], examples: int | None, size: int, damping: float
) -> Iterator[tuple[str, Any]]:
    """F of some matrices, after one pass over the examples. Pruned weights have no gradient in it."""
    import torch

    parameters = [ctx.model.get_parameter(name) for name in names]
    keeps = [in_blocks(ctx.mask[name].to(ctx.device), size) for name in names]
    sums, number = [torch.diag_embed(torch.zeros_like(keep)) for keep in keeps], 0
    for batch in ctx.batches(examples):
        for i in range(len(batch["labels"])):
            loss = ctx.loss({key: values[i : i + 1] for key, values in batch.items()})
            for total, keep, slope in zip(sums, keeps, torch.autograd.grad(loss, parameters), strict=True):
                gradient = in_blocks(slope, size) * keep
                total.baddbmm_(gradient.unsqueeze(2), gradient.unsqueeze(1))
            number += 1
    for name, total in zip(names, sums, strict=True):
        total /= number
        total.diagonal(dim1=1, dim2=2).add_(damping)
        yield name, total


def saliencies(weights: Any, fisher: Any) -> Any:
    """w_i² / (2 [F⁻¹]_ii), the rise of the loss if weight i goes and its block makes up for it: (blocks, size)."""
    import torch

    inverse = torch.cholesky_inverse(torch.linalg.cholesky(fisher))
    return weights.square() / (2 * inverse.diagonal(dim1=1, dim2=2))


def without_pruned(weights: Any, keep: Any, fisher: Any) -> Any:
    """The blocks with zeros where `keep` is False and the change δ of the others that makes ½ δᵀFδ least.

    With K for the weights that stay and Q for the others, F_KK δ_K = F_KQ w_Q. Rows and columns of Q become those of
    the identity, so that all blocks are solved at once.
    """
    import torch

    stays = keep.double()
    system = fisher * stays.unsqueeze(1) * stays.unsqueeze(2) + torch.diag_embed(1 - stays)
    target = stays * (fisher @ (weights * (1 - stays)).unsqueeze(2)).squeeze(2)
    return (weights + torch.linalg.solve(system, target)) * stays
