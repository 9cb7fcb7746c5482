"""What a method removes: weights, heads or neurons, each unit a slice of some parameters.

**The idea.** A group is a set of units with one mask, and a list of slices. A slice says how the units divide a
parameter among themselves: from dimension `dim` on, `width` entries per unit. Removing a unit means removing its part
of every slice. With that description masks, sums per unit, and compaction need no knowledge of heads or neurons.

Example: the heads of a layer with 2 heads of size 3 and hidden size 6.

    Group(
        shape=(2,),
        slices=(
            Slice("….query.weight", dim=0, width=3),              # (6, 6): head 0 has rows 0–2, head 1 rows 3–5
            Slice("….query.bias", dim=0, width=3),                # (6,)
            …,                                                    # the same for key and value
            Slice("….attention.output.dense.weight", dim=1, width=3),   # (6, 6): columns instead of rows
        ),
    )

The mask [True, False] of the group expands to masks of these parameters in which the parts of head 1 are False. The
bias of the attention output belongs to no head, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.recipes.strategy import UNITS, Unit

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.models.encoder import Layer, PrunableModel


@dataclass(frozen=True)
class Slice:
    """A parameter that the units of a group divide among themselves.

    The dimensions of the group's shape correspond to the dimensions of the parameter from `dim` on. A unit has `width`
    entries along the first of them, and all entries along the parameter's other dimensions.
    """

    parameter: str
    dim: int
    width: int


@dataclass(frozen=True)
class Group:
    """Units with one mask: the shape of the mask, and the slices that a unit takes with it."""

    shape: tuple[int, ...]
    slices: tuple[Slice, ...]


def groups(pm: PrunableModel, unit: Unit) -> dict[str, Group]:
    """All prunable units of a model by group, in the order of the layers.

    - `weight`: one group per prunable matrix, with the name and the shape of the parameter
    - `head`: `layer.{i}.heads` of shape (heads,). A unit has `head_size` rows of query, key and value with their
      biases, and `head_size` columns of the attention output
    - `neuron`: `layer.{i}.neurons` of shape (intermediate size,). A unit has a row of the intermediate matrix with its
      bias, and a column of the output matrix
    """
    if unit == "weight":
        shapes = {name: tuple(pm.model.get_parameter(name).shape) for name in pm.prunable}
        return {name: Group(shape, (Slice(name, 0, 1),)) for name, shape in shapes.items()}
    if unit == "head":
        return {f"layer.{layer.index}.heads": _heads(pm, layer) for layer in pm.layers}
    if unit == "neuron":
        return {f"layer.{layer.index}.neurons": _neurons(pm, layer) for layer in pm.layers}
    raise unknown_name("unit", unit, UNITS)


def expand(mask: Mapping[str, Tensor], groups: Mapping[str, Group], pm: PrunableModel) -> dict[str, Tensor]:
    """From masks of units to masks of parameters, in the shapes of the parameters; True stays.

    An entry in slices of several groups stays only if all of them keep it.
    """
    keep: dict[str, Tensor] = {}
    for name, group in groups.items():
        for part in group.slices:
            shape = pm.model.get_parameter(part.parameter).shape
            units = mask[name].repeat_interleave(part.width, dim=0)
            trailing = len(shape) - part.dim - units.dim()
            aligned = units.reshape((1,) * part.dim + tuple(units.shape) + (1,) * trailing).expand(shape)
            keep[part.parameter] = aligned & keep[part.parameter] if part.parameter in keep else aligned.clone()
    return keep


def unit_sums(values: Mapping[str, Tensor], groups: Mapping[str, Group]) -> dict[str, Tensor]:
    """The sum of a quantity over each unit: from tensors by parameter to tensors by group, in the groups' shapes.

    Parameters without values count as zero.
    """
    import torch

    example = next(iter(values.values()), torch.zeros(0))
    sums: dict[str, Tensor] = {}
    for name, group in groups.items():
        sums[name] = torch.zeros(group.shape, dtype=example.dtype, device=example.device)
        for part in group.slices:
            if part.parameter in values:
                dims = range(part.dim, part.dim + len(group.shape))
                units_first = values[part.parameter].movedim(tuple(dims), tuple(range(len(group.shape))))
                by_unit = units_first.reshape(group.shape[0], part.width, *group.shape[1:], -1)
                sums[name] = sums[name] + by_unit.sum(dim=(1, -1))
    return sums


def encoder_sparsity(pm: PrunableModel) -> float:
    """The fraction of entries of the prunable matrices that are exactly zero."""
    matrices = [pm.model.get_parameter(name) for name in pm.prunable]
    nonzero = sum(int(matrix.count_nonzero()) for matrix in matrices)
    return 1 - nonzero / sum(matrix.numel() for matrix in matrices)


def apply(model: nn.Module, keep: Mapping[str, Tensor]) -> None:
    """Set pruned entries of the parameters to zero, in place. `keep` has masks by parameter, in their shapes."""
    import torch

    with torch.no_grad():
        for name, stays in keep.items():
            parameter = model.get_parameter(name)
            # Clears the bits of a pruned float32. It gives 0.0 for NaN and infinity too, and is 15 times as fast as
            # masked_fill_.
            parameter.view(torch.int32).bitwise_and_(stays.to(parameter.device, torch.int32).neg_())


def gate_points(pm: PrunableModel, unit: Unit) -> dict[str, str]:
    """By group, in the order of the layers, the Linear whose input is multiplied by a gate.

    That input has shape (…, units × width), with width `head_size` for heads and 1 for neurons. Viewed as (…, units,
    width) it is the output of the units, and a gate of shape (units, 1) is the ξ of Michel et al. 2019, section 2.3.
    """
    if unit == "head":
        return {f"layer.{layer.index}.heads": layer.attention_output for layer in pm.layers}
    if unit == "neuron":
        return {f"layer.{layer.index}.neurons": layer.output for layer in pm.layers}
    raise PrunebenchError(f"units of kind {unit!r} have no gate", "expected 'head' or 'neuron'")


def _heads(pm: PrunableModel, layer: Layer) -> Group:
    rows = [*_parameters(pm, layer.query), *_parameters(pm, layer.key), *_parameters(pm, layer.value)]
    slices = [Slice(name, 0, pm.head_size) for name in rows]
    return Group((pm.heads,), (*slices, Slice(f"{layer.attention_output}.weight", 1, pm.head_size)))


def _neurons(pm: PrunableModel, layer: Layer) -> Group:
    slices = [Slice(name, 0, 1) for name in _parameters(pm, layer.intermediate)]
    size = pm.model.get_parameter(f"{layer.intermediate}.weight").shape[0]
    return Group((size,), (*slices, Slice(f"{layer.output}.weight", 1, 1)))


def _parameters(pm: PrunableModel, linear: str) -> list[str]:
    """The weight of a Linear, and its bias if it has one."""
    return [f"{linear}.{name}" for name, _ in pm.model.get_submodule(linear).named_parameters()]
