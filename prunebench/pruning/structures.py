"""The built-in structures: weights, heads, neurons and layers, and how a unit's name becomes a structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.models import layer_skips
from prunebench.pruning.costs import UnitCost, head_products
from prunebench.pruning.groups import Group, Slice, Structure, compose
from prunebench.pruning.groups import expand as expand
from prunebench.pruning.groups import unit_sums as unit_sums
from prunebench.recipes.strategy import Unit, split_unit

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.hooks.registry import Registry
    from prunebench.models.encoder import Layer, PrunableModel


class Weights(Structure):
    """Single weights of the prunable matrices. A group has the name and the shape of its parameter."""

    name = "weight"

    def groups(self, pm: PrunableModel) -> dict[str, Group]:
        shapes = {name: tuple(pm.model.get_parameter(name).shape) for name in pm.prunable}
        return {name: Group(shape, (Slice(name, 0, 1),)) for name, shape in shapes.items()}

    def remove(self, model: nn.Module, pm: PrunableModel, mask: Mapping[str, Tensor]) -> None:
        raise PrunebenchError("single weights cannot be removed from a matrix", "expected unit 'head' or 'neuron'")


class Heads(Structure):
    """Attention heads: `layer.{i}.heads` of shape (heads,).

    A unit has `head_size` rows of query, key and value with their biases, and `head_size` columns of the attention
    output, whose input has its gate.
    """

    name = "head"

    def groups(self, pm: PrunableModel) -> dict[str, Group]:
        return {f"layer.{layer.index}.heads": self._group(pm, layer) for layer in pm.layers}

    def _group(self, pm: PrunableModel, layer: Layer) -> Group:
        rows = [name for linear in (layer.query, layer.key, layer.value) for name in _parameters(pm, linear)]
        slices = [Slice(name, 0, pm.head_size) for name in rows]
        return Group((pm.heads,), (*slices, Slice(f"{layer.attention_output}.weight", 1, pm.head_size)))

    def costs(self, pm: PrunableModel, length: int) -> dict[str, UnitCost]:
        products = head_products(pm, length)
        linears = super().costs(pm, length)
        return {name: UnitCost(cost.parameters, cost.flops + products) for name, cost in linears.items()}

    def gate_points(self, pm: PrunableModel) -> dict[str, str]:
        return {f"layer.{layer.index}.heads": layer.attention_output for layer in pm.layers}

    def remove(self, model: nn.Module, pm: PrunableModel, mask: Mapping[str, Tensor]) -> None:
        from prunebench.pruning.removal import adapt_attention

        super().remove(model, pm, mask)
        for layer in pm.layers:
            adapt_attention(model, pm, layer)


class Neurons(Structure):
    """Neurons of the feed-forward networks: `layer.{i}.neurons` of shape (intermediate size,).

    A unit has a row of the intermediate matrix with its bias, and a column of the output matrix, whose input has its
    gate.
    """

    name = "neuron"

    def groups(self, pm: PrunableModel) -> dict[str, Group]:
        return {f"layer.{layer.index}.neurons": self._group(pm, layer) for layer in pm.layers}

    def _group(self, pm: PrunableModel, layer: Layer) -> Group:
        slices = [Slice(name, 0, 1) for name in _parameters(pm, layer.intermediate)]
        size = pm.model.get_parameter(f"{layer.intermediate}.weight").shape[0]
        return Group((size,), (*slices, Slice(f"{layer.output}.weight", 1, 1)))

    def gate_points(self, pm: PrunableModel) -> dict[str, str]:
        return {f"layer.{layer.index}.neurons": layer.output for layer in pm.layers}


class Layers(Structure):
    """Whole layers, which pass their input on unchanged when they are pruned: `layer.{i}.layer` of shape (1,).

    The unit has all parameters of the layer, its layer norms included.
    """

    name = "layer"

    def groups(self, pm: PrunableModel) -> dict[str, Group]:
        return {f"layer.{layer.index}.layer": self._group(pm, layer) for layer in pm.layers}

    def _group(self, pm: PrunableModel, layer: Layer) -> Group:
        parameters = pm.model.get_submodule(layer.path).named_parameters()
        return Group((1,), tuple(Slice(f"{layer.path}.{name}", 0, len(parameter)) for name, parameter in parameters))

    def costs(self, pm: PrunableModel, length: int) -> dict[str, UnitCost]:
        products = pm.heads * head_products(pm, length)
        linears = super().costs(pm, length)
        return {name: UnitCost(cost.parameters, cost.flops + products) for name, cost in linears.items()}

    def gate_points(self, pm: PrunableModel) -> dict[str, str]:
        return {f"layer.{layer.index}.layer": layer.path for layer in pm.layers}

    def remove(self, model: nn.Module, pm: PrunableModel, mask: Mapping[str, Tensor]) -> None:
        from prunebench.pruning.removal import keep_layers

        keep_layers(model, pm, [bool(mask[name]) for name in self.groups(pm)])


WEIGHTS = Weights()
STRUCTURES: tuple[Structure, ...] = (WEIGHTS, Heads(), Neurons(), Layers())


def known_groups(pm: PrunableModel) -> set[str]:
    """The names of the groups of all built-in structures."""
    return {name for structure in STRUCTURES for name in structure.groups(pm)}


def look_up(unit: Unit, registry: Registry) -> Structure:
    """The structure that a unit names, with those of plugins.

    Raises PrunebenchError if the registry has no structure of a name, or the composition is impossible.
    """
    return compose(unit, (registry.get("structures", part) for part in split_unit(unit)))


def structure_of(unit: Unit | Structure) -> Structure:
    """A structure itself, or the built-in one, or composition of built-in ones, that a text names."""
    if isinstance(unit, Structure):
        return unit
    known = {structure.name: structure for structure in STRUCTURES}
    for part in split_unit(unit):
        if part not in known:
            raise unknown_name("unit", part, known)
    return compose(unit, (known[part] for part in split_unit(unit)))


def groups(pm: PrunableModel, unit: Unit | Structure) -> dict[str, Group]:
    """All prunable units of a model by group."""
    return structure_of(unit).groups(pm)


def gate_points(pm: PrunableModel, unit: Unit | Structure) -> dict[str, str]:
    """By group, the module with the gates of its units. See `Structure.gate_points`."""
    return structure_of(unit).gate_points(pm)


def encoder_sparsity(pm: PrunableModel) -> float:
    """The fraction of entries of the prunable matrices that are exactly zero."""
    matrices = [pm.model.get_parameter(name) for name in pm.prunable]
    nonzero = sum(int(matrix.count_nonzero()) for matrix in matrices)
    return 1 - nonzero / sum(matrix.numel() for matrix in matrices)


def apply(model: nn.Module, keep: Mapping[str, Tensor]) -> None:
    """Set pruned entries of the parameters to zero, in place, and skip the layers that have no other ones.

    `keep` has masks by parameter, in their shapes.
    """
    import torch

    layer_skips.skip(model, keep)

    with torch.no_grad():
        for name, stays in keep.items():
            parameter = model.get_parameter(name)
            # Clears the bits of a pruned float32. It gives 0.0 for NaN and infinity too, and is 15 times as fast as
            # masked_fill_.
            parameter.view(torch.int32).bitwise_and_(stays.to(parameter.device, torch.int32).neg_())


def _parameters(pm: PrunableModel, linear: str) -> list[str]:
    """The weight of a Linear, and its bias if it has one."""
    return [f"{linear}.{name}" for name, _ in pm.model.get_submodule(linear).named_parameters()]
