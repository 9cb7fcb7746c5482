"""What the removal of a unit saves: parameters, and FLOPs of a forward pass (see `flops` for how they are counted)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from prunebench.models.encoder import PrunableModel
    from prunebench.pruning.groups import Group

# The number of tokens of the example whose FLOPs a budget counts.
LENGTH = 128


class UnitCost(NamedTuple):
    """Savings by the removal of one unit: parameters with biases, and FLOPs of one forward pass of one example.

    The FLOPs of a weight are those that skipping its products saves.
    """

    parameters: int
    flops: int


def slice_costs(pm: PrunableModel, groups: Mapping[str, Group], length: int) -> dict[str, UnitCost]:
    """By group, the parameters in the slices of one unit, and the FLOPs of its products in Linears."""
    tokens = linear_tokens(pm, length)
    costs: dict[str, UnitCost] = {}
    for name, group in groups.items():
        parameters = flops = 0
        for part in group.slices:
            entries = pm.model.get_parameter(part.parameter).numel() // math.prod(group.shape)
            parameters += entries
            flops += 2 * tokens.get(part.parameter, 0) * entries
        costs[name] = UnitCost(parameters, flops)
    return costs


def head_products(pm: PrunableModel, length: int) -> int:
    """The FLOPs of one head's QKᵀ, and of its attention weights times V."""
    return 4 * length**2 * pm.head_size


def linear_tokens(pm: PrunableModel, length: int) -> dict[str, int]:
    """By the name of each Linear's weight, how many tokens of an example it multiplies."""
    from torch import nn

    encoder, pooler = f"{pm.model.base_model_prefix}.", f"{pm.model.base_model_prefix}.{pm.architecture.pooler}"
    return {
        f"{name}.weight": length if name.startswith(encoder) and name != pooler else 1
        for name, module in pm.model.named_modules()
        if isinstance(module, nn.Linear)
    }
