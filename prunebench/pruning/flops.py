"""FLOPs of a forward pass, with and without the units that a mask removes.

Each multiply-add of a matrix product counts as 2 FLOPs. For a layer of hidden size d with h heads of size s and n
neurons, and L tokens:

    query, key, value, attention output     2·L · 4·d·h·s
    QKᵀ, and attention weights times V      2·L² · 2·h·s
    intermediate, output                    2·L · 2·d·n

The Linears outside the layers are added: a projection of the embeddings runs on all tokens, pooler and task head on the
first one. Biases, softmax, LayerNorm, activations, and the look-up of embeddings are left out. The last layer counts as
a whole, although evaluation computes its end for the first token only (`models.fast.first_token`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from prunebench.errors import unknown_name
from prunebench.models.encoder import PrunableModel
from prunebench.pruning.structures import expand, groups
from prunebench.recipes.strategy import UNITS, Unit


@dataclass(frozen=True)
class FLOPs:
    """The FLOPs of one forward pass of one example.

    Attributes:
        total: without the heads and neurons that are pruned. Pruned weights are multiplied like any others.
        skipping_zeros: as `total`, if Linears also skipped every pruned weight.
    """

    total: int
    skipping_zeros: int


class UnitCost(NamedTuple):
    """Savings by the removal of one unit: parameters with biases, and FLOPs of one forward pass of one example.

    The FLOPs of a weight are those that skipping its products saves.
    """

    parameters: int
    flops: int


def forward_flops(pm: PrunableModel, length: int, keep: Mapping[str, Tensor]) -> FLOPs:
    """Count the FLOPs of one example of `length` tokens.

    `pm` is the model before compaction. `keep` has masks by group (see `structures.groups`), True stays; groups without
    a mask are whole, so {} gives the dense model. Masks of several units can be given together.

    Raises:
        PrunebenchError: if a group is unknown.
    """
    units = {name: group for unit in UNITS for name, group in groups(pm, unit).items()}
    for name in keep:
        if name not in units:
            raise unknown_name("group", name, units)
    products = 0
    for name, group in groups(pm, "head").items():
        heads = int(keep[name].count_nonzero()) if name in keep else group.shape[0]
        products += 4 * length**2 * heads * pm.head_size
    # Removed heads and neurons leave smaller matrices, and pruned weights matrices of the same shape.
    removed = {name: stays for name, stays in keep.items() if name not in pm.prunable}
    total, skipping = (
        _linears(pm, length, expand(masks, {name: units[name] for name in masks}, pm)) for masks in (removed, keep)
    )
    return FLOPs(total + products, skipping + products)


def group_costs(pm: PrunableModel, unit: Unit, length: int) -> dict[str, UnitCost]:
    """By group, what the removal of one of its units saves, at `length` tokens."""
    tokens = _tokens(pm, length)
    costs: dict[str, UnitCost] = {}
    for name, group in groups(pm, unit).items():
        parameters, flops = 0, 4 * length**2 * pm.head_size if unit == "head" else 0
        for part in group.slices:
            parameter = pm.model.get_parameter(part.parameter)
            entries = parameter.numel() // math.prod(group.shape)
            parameters += entries
            if parameter.dim() == 2:
                flops += 2 * tokens[part.parameter] * entries
        costs[name] = UnitCost(parameters, flops)
    return costs


def _linears(pm: PrunableModel, length: int, stays: Mapping[str, Tensor]) -> int:
    """The FLOPs of all Linears, from masks by parameter. Matrices without a mask count as a whole."""
    return sum(
        2 * tokens * (int(stays[name].count_nonzero()) if name in stays else pm.model.get_parameter(name).numel())
        for name, tokens in _tokens(pm, length).items()
    )


def _tokens(pm: PrunableModel, length: int) -> dict[str, int]:
    """By the name of each Linear's weight, how many tokens of an example it multiplies."""
    encoder, pooler = f"{pm.model.base_model_prefix}.", f"{pm.model.base_model_prefix}.{pm.architecture.pooler}"
    return {
        f"{name}.weight": length if name.startswith(encoder) and name != pooler else 1
        for name, module in pm.model.named_modules()
        if isinstance(module, nn.Linear)
    }
