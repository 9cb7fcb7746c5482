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

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from prunebench.errors import unknown_name
from prunebench.models.encoder import PrunableModel
from prunebench.pruning.costs import UnitCost, head_products, linear_tokens
from prunebench.pruning.groups import Structure
from prunebench.pruning.structures import STRUCTURES, expand, groups, structure_of
from prunebench.recipes.strategy import Unit


@dataclass(frozen=True)
class FLOPs:
    """The FLOPs of one forward pass of one example.

    Attributes:
        total: without the heads, neurons and layers that are pruned. Pruned weights are multiplied like any others.
        skipping_zeros: as `total`, if Linears also skipped every pruned weight.
    """

    total: int
    skipping_zeros: int


def forward_flops(pm: PrunableModel, length: int, keep: Mapping[str, Tensor]) -> FLOPs:
    """Count the FLOPs of one example of `length` tokens.

    `pm` is the model before compaction. `keep` has masks by group (see `structures.groups`), True stays; groups without
    a mask are whole, so {} gives the dense model. Masks of several units can be given together.

    Raises:
        PrunebenchError: if a group is unknown.
    """
    units = {name: group for structure in STRUCTURES for name, group in structure.groups(pm).items()}
    for name in keep:
        if name not in units:
            raise unknown_name("group", name, units)
    products = 0
    for (name, group), layer in zip(groups(pm, "head").items(), groups(pm, "layer"), strict=True):
        heads = int(keep[name].count_nonzero()) if name in keep else group.shape[0]
        if layer not in keep or keep[layer].all():
            products += heads * head_products(pm, length)
    # Removed heads, neurons and layers leave smaller matrices, and pruned weights matrices of the same shape.
    removed = {name: stays for name, stays in keep.items() if name not in pm.prunable}
    total, skipping = (
        _linears(pm, length, expand(masks, {name: units[name] for name in masks}, pm)) for masks in (removed, keep)
    )
    return FLOPs(total + products, skipping + products)


def group_costs(pm: PrunableModel, unit: Unit | Structure, length: int) -> dict[str, UnitCost]:
    """By group, what the removal of one of its units saves, at `length` tokens."""
    return structure_of(unit).costs(pm, length)


def _linears(pm: PrunableModel, length: int, stays: Mapping[str, Tensor]) -> int:
    """The FLOPs of all Linears, from masks by parameter. Matrices without a mask count as a whole."""
    return sum(
        2 * tokens * (int(stays[name].count_nonzero()) if name in stays else pm.model.get_parameter(name).numel())
        for name, tokens in linear_tokens(pm, length).items()
    )
