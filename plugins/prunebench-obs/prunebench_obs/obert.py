"""The optimal BERT surgeon: optimal brain surgeon with the empirical Fisher information of blocks of weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
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
        scores, changes, settings = {}, {}, (self.examples, self.block, self.damping)
        for name, fisher in fishers(ctx, *settings):
            weight, variances = ctx.weights[name], fisher.inverse().diagonal(dim1=1, dim2=2)
            scores[name] = from_blocks(in_blocks(weight, self.block).square() / (2 * variances), weight)
        mask = ctx.select(scores, sparsity)
        # F of all matrices would not fit into memory, so it is computed twice. No weight moves before the end, so that
        # it is the same F.
        for name, fisher in fishers(ctx, *settings):
            weight, keep = ctx.weights[name], in_blocks(mask[name].to(ctx.device), self.block)
            changes[name] = from_blocks(without_pruned(in_blocks(weight, self.block), keep, fisher), weight)
        for name, weight in changes.items():
            ctx.weights[name].copy_(weight)
        return mask


def in_blocks(matrix: Any, size: int) -> Any:
    """The entries of a matrix in rows of `size`, in float64; zeros fill the last row."""
    import torch

    return torch.nn.functional.pad(matrix.double().flatten(), (0, -matrix.numel() % size)).view(-1, size)


def from_blocks(blocks: Any, matrix: Any) -> Any:
    """The matrix of these blocks, with the shape and the type of `matrix`."""
    return blocks.flatten()[: matrix.numel()].view_as(matrix).to(matrix.dtype)


def fishers(ctx: Any, examples: int | None, size: int, damping: float) -> Iterator[tuple[str, Any]]:
    """F of every matrix by parameter name: (blocks, size, size), in float64. One pass over the examples for a layer.

    Pruned weights have no gradient in it.
    """
    import torch

    layers = {f"{linear}.weight": layer.index for layer in ctx.layers for linear in layer.linears}
    for _, group in itertools.groupby(ctx.weights, layers.get):
        names, number = list(group), 0
        sums = {name: 0 * torch.diag_embed(in_blocks(ctx.weights[name], size)) for name in names}
        parameters = [ctx.model.get_parameter(name) for name in names]
        for batch in ctx.batches(examples):
            rows = [{key: values[i : i + 1] for key, values in batch.items()} for i in range(len(batch["labels"]))]
            slopes = [torch.autograd.grad(ctx.loss(row), parameters) for row in rows]
            for name, values in zip(names, zip(*slopes, strict=True), strict=True):
                keep = ctx.mask[name].to(ctx.device)
                # Shape (blocks, examples, size). One product for all examples: each one reads and writes all of F.
                gradients = torch.stack([in_blocks(value * keep, size) for value in values], dim=1)
                sums[name].baddbmm_(gradients.mT, gradients)
            number += len(rows)
        for name, total in sums.items():
            yield name, total / number + damping * torch.eye(size, dtype=total.dtype, device=total.device)


def without_pruned(weights: Any, keep: Any, fisher: Any) -> Any:
    """The blocks with zeros where `keep` is 0 and the change δ of the others that makes ½ δᵀFδ least.

    With K for the weights that stay and Q for the others, F_KK δ_K = F_KQ w_Q. Rows and columns of Q become those of
    the identity, so that all blocks are solved at once.
    """
    import torch

    system = fisher * keep.unsqueeze(1) * keep.unsqueeze(2) + torch.diag_embed(1 - keep)
    target = keep * (fisher @ (weights * (1 - keep)).unsqueeze(2)).squeeze(2)
    return (weights + torch.linalg.solve(system, target)) * keep
