"""What a method removes: weights, heads or neurons, each unit a slice of some parameters.

May import `models` for types. Imports torch only inside functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError, unknown
from prunebench.recipes.strategy import UNITS, Unit

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.models.encoder import Layer, PrunableModel


@dataclass(frozen=True)
class Slice:
    """A parameter that a group's units divide among themselves.

    The dimensions of the group's shape lie along those of the parameter from `dim` on; a unit covers `width` entries
    along the first of them, and everything along those that are not named.
    """

    parameter: str
    dim: int
    width: int


@dataclass(frozen=True)
class Group:
    """Units that lie together, the shape of their mask, and the slices of parameters that go when a unit goes."""

    shape: tuple[int, ...]
    slices: tuple[Slice, ...]


def groups(pm: PrunableModel, unit: Unit) -> dict[str, Group]:
    """All prunable units of a model by group, in the order of the layers.

    `weight`: a group for each prunable matrix, by the name and of the shape of the parameter. `head`:
    `layer.{i}.heads` of shape (heads,), each unit `head_size` rows of query, key and value with their biases and as
    many columns of the attention output. `neuron`: `layer.{i}.neurons` of shape (intermediate size,), each unit a
    row of the intermediate matrix with its bias and a column of the output matrix.
    """
    if unit == "weight":
        shapes = {name: tuple(pm.model.get_parameter(name).shape) for name in pm.prunable}
        return {name: Group(shape, (Slice(name, 0, 1),)) for name, shape in shapes.items()}
    if unit == "head":
        return {f"layer.{layer.index}.heads": _heads(pm, layer) for layer in pm.layers}
    if unit == "neuron":
        return {f"layer.{layer.index}.neurons": _neurons(pm, layer) for layer in pm.layers}
    raise unknown("unit", unit, UNITS)


def expand(mask: Mapping[str, Tensor], groups: Mapping[str, Group], pm: PrunableModel) -> dict[str, Tensor]:
    """The masks of the parameters (their shapes, True stays) that follow from the masks of the units."""
    keep: dict[str, Tensor] = {}
    for name, group in groups.items():
        for part in group.slices:
            shape = pm.model.get_parameter(part.parameter).shape
            units = mask[name].repeat_interleave(part.width, dim=0)
            trailing = len(shape) - part.dim - units.dim()
            laid = units.reshape((1,) * part.dim + tuple(units.shape) + (1,) * trailing).expand(shape)
            keep[part.parameter] = laid & keep[part.parameter] if part.parameter in keep else laid.clone()
    return keep


def unit_sums(values: Mapping[str, Tensor], groups: Mapping[str, Group]) -> dict[str, Tensor]:
    """The sum of a quantity over each unit, `values` holding a tensor of the parameter's shape for each parameter.

    Parameters that `values` does not hold count nothing. Gives a tensor of the group's shape for each group.
    """
    import torch

    some = next(iter(values.values()), torch.zeros(0))
    sums: dict[str, Tensor] = {}
    for name, group in groups.items():
        sums[name] = torch.zeros(group.shape, dtype=some.dtype, device=some.device)
        for part in group.slices:
            if part.parameter in values:
                dims = range(part.dim, part.dim + len(group.shape))
                laid = values[part.parameter].movedim(tuple(dims), tuple(range(len(group.shape))))
                split = laid.reshape(group.shape[0], part.width, *group.shape[1:], -1)
                sums[name] = sums[name] + split.sum(dim=(1, -1))
    return sums


def encoder_sparsity(pm: PrunableModel) -> float:
    """The fraction of entries of the prunable matrices that are exactly zero."""
    matrices = [pm.model.get_parameter(name) for name in pm.prunable]
    nonzero = sum(int(matrix.count_nonzero()) for matrix in matrices)
    return 1 - nonzero / sum(matrix.numel() for matrix in matrices)


def apply(model: nn.Module, keep: Mapping[str, Tensor]) -> None:
    """Set to zero, in place, what `keep` (by parameter, of its shape) says is gone."""
    import torch

    with torch.no_grad():
        for name, stays in keep.items():
            parameter = model.get_parameter(name)
            # The bits of a float32 that is gone are cleared: 0.0 whatever it was, 15 times as fast as masked_fill_.
            parameter.view(torch.int32).bitwise_and_(stays.to(parameter.device, torch.int32).neg_())


def gate_points(pm: PrunableModel, unit: Unit) -> dict[str, str]:
    """By group name, in the order of the layers, the Linear whose input a gate multiplies.

    That input, of shape (…, units × width), viewed as (…, units, width) is what the units put out: a gate of shape
    (units, 1) there is the ξ of Michel et al. 2019 (section 2.3), width being `head_size` for heads and 1 for neurons.
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
    """Weight and, where the Linear has one, bias."""
    return [f"{linear}.{name}" for name, _ in pm.model.get_submodule(linear).named_parameters()]
