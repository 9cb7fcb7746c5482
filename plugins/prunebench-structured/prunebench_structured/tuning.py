"""Scales of the heads and neurons that stay, by least squares (Kwon et al. 2022, section 4.3, mask tuning).

Sub-layer after sub-layer, from the first on, the scales m of the units that stay are those for which the pruned model
comes closest to the dense one on the same tokens:

    min over m of ‖ (x' + Σ_i m_i W_i z'_i) − (x + Σ_j W_j z_j) ‖²

x is the input of the sub-layer, which its output is added to, z_i what a unit gives, and W_i the columns of the output
matrix that take it; x' and z' are those of the pruned model, whose earlier sub-layers have their scales already. The
scales are multiplied into W. With A the contributions W_i z'_i and b what is missing at m = 1, the normal equations are

    (AᵀA + λI)(m − 1) = Aᵀb,    AᵀA = (WᵀW) ⊙ (Z'ᵀZ') for neurons, and its sums over blocks for heads

λ is `DAMPING` of the mean diagonal; the released code takes LSMR with a damping of its own. As there, tuning ends where
a scale is beyond `LIMIT`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

DAMPING = 1e-3
LIMIT = 10.0


def tune(ctx: Any, mask: dict[str, Tensor], examples: int | None) -> None:
    """Multiply the scales of all units that stay into the output matrices of `ctx.weights`, in place."""
    import torch

    student = copy.deepcopy(ctx.model).eval()
    tuned = {}
    with torch.no_grad():
        for group, _, output in sublayers(ctx, mask):
            columns = per_column(mask[group], student.get_parameter(output))
            student.get_parameter(output).mul_(columns)
        for group, source, output in sublayers(ctx, mask):
            weight = student.get_parameter(output)
            gram, moment = equations(ctx, student, source, output, mask[group], examples)
            scales = solve(gram, moment, mask[group])
            if scales is None:
                break
            weight.mul_(per_column(scales, weight))
            tuned[output] = weight
        for output, weight in tuned.items():
            ctx.weights[output].copy_(weight)


def sublayers(ctx: Any, mask: dict[str, Tensor]) -> Iterator[tuple[str, str, str]]:
    """The groups in the order of the forward pass, with the Linear that their sub-layer begins and ends with."""
    for layer in ctx.layers:
        for group, source, output in (
            (f"layer.{layer.index}.heads", layer.query, layer.attention_output),
            (f"layer.{layer.index}.neurons", layer.intermediate, layer.output),
        ):
            if group in mask:
                yield group, source, f"{output}.weight"


def per_column(values: Tensor, weight: Tensor) -> Tensor:
    """One number for each column of a matrix, from one for each unit."""
    return values.to(weight).repeat_interleave(weight.shape[1] // len(values))


def equations(
    ctx: Any, student: Any, source: str, output: str, keep: Tensor, examples: int | None
) -> tuple[Tensor, Tensor]:
    """AᵀA, shape (units, units), and Aᵀb, shape (units,), summed over all tokens that are not padding, in float64."""
    import torch

    weight = student.get_parameter(output).double()
    dense = ctx.weights[output].double()
    products = torch.zeros(weight.shape[1], weight.shape[1], dtype=torch.float64, device=weight.device)
    moments = torch.zeros(weight.shape[1], dtype=torch.float64, device=weight.device)
    linear = output.removesuffix(".weight")
    for batch in ctx.batches(examples):
        x, z = inputs(student, batch, source, linear)
        x_dense, z_dense = inputs(ctx.model, batch, source, linear)
        missing = (x_dense + z_dense @ dense.T) - (x + z @ weight.T)
        products += z.T @ z
        moments += (z * (missing @ weight)).sum(dim=0)
    units = len(keep)
    width = weight.shape[1] // units
    gram = ((weight.T @ weight) * products).view(units, width, units, width).sum(dim=(1, 3))
    return gram, moments.view(units, width).sum(dim=1)


def inputs(model: Any, batch: dict[str, Tensor], *names: str) -> list[Tensor]:
    """The inputs of these Linears in a forward pass, shape (tokens, in), without padding, in float64."""
    stored: dict[str, Any] = {}

    def store(name: str) -> Any:
        return lambda module, tensors: stored.__setitem__(name, tensors[0])

    handles = [model.get_submodule(name).register_forward_pre_hook(store(name)) for name in names]
    try:
        model(**{name: value for name, value in batch.items() if name != "labels"})
    finally:
        for handle in handles:
            handle.remove()
    tokens = batch["attention_mask"].bool()
    return [stored[name][tokens].double() for name in names]


def solve(gram: Tensor, moment: Tensor, keep: Tensor) -> Tensor | None:
    """The scales of all units, 1 for those that are pruned; None where one is beyond `LIMIT`."""
    import torch

    scales = torch.ones(len(keep), dtype=torch.float64)
    if not keep.any():
        return scales
    stays = keep.cpu()
    system, right = gram.cpu()[stays][:, stays], moment.cpu()[stays]
    damping = DAMPING * system.diagonal().mean().clamp_min(1e-12)
    scales[stays] += torch.linalg.solve(system + damping * torch.eye(len(right), dtype=torch.float64), right)
    return None if not scales.abs().max() <= LIMIT else scales
