"""What a method removes: weights, heads, neurons or layers, each unit a slice of some parameters.

**The idea.** A group is a set of units with one mask, and a list of slices. A slice says how the units divide a
parameter among themselves: from dimension `dim` on, `width` entries per unit. Removing a unit means removing its part
of every slice. With that description masks, sums per unit, costs and compaction need no knowledge of heads or neurons.

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

**Structures.** A `Structure` gives the groups of a model, what a unit costs, where its gate is, and how it leaves the
model. `structures` has the built-in ones; a plugin gives others by the hook `prunebench_structures`. A
`Composition` has the groups of several: "head+neuron".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunebench.errors import PrunebenchError
from prunebench.pruning.costs import UnitCost, slice_costs
from prunebench.recipes.strategy import UNITS, Unit

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.models.encoder import PrunableModel


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


class Structure:
    """A kind of unit that can be pruned. A subclass defines `name` and `groups`, and what differs from this class.

    `name` is what a strategy's `unit` says.
    """

    name: str

    def groups(self, pm: PrunableModel) -> dict[str, Group]:
        """All units of a model by group, in the order of the layers. The names of groups are this structure's own."""
        raise NotImplementedError(f"{type(self).__name__} has no groups(pm)")

    def costs(self, pm: PrunableModel, length: int) -> dict[str, UnitCost]:
        """By group, what the removal of one of its units saves, at `length` tokens.

        By default these are the parameters in the unit's slices, and the FLOPs of the Linears among them.
        """
        return slice_costs(pm, self.groups(pm), length)

    def gate_points(self, pm: PrunableModel) -> dict[str, str]:
        """By group, in the order of `groups`, the module with the gates of its units.

        A gate ξ of a Linear multiplies its unit's part of the Linear's input, of shape (…, units × width). Viewed as
        (…, units, width) the input is the output of the units (Michel et al. 2019, section 2.3). In any other module
        of input x and output y there is one gate, and the module gives x + ξ·(y − x).

        Raises PrunebenchError if such units have no gate.
        """
        raise PrunebenchError(f"units of kind {self.name!r} have no gate", "heads, neurons and layers have one")

    def remove(self, model: nn.Module, pm: PrunableModel, mask: Mapping[str, Tensor]) -> None:
        """Remove the units whose `mask` is False from `model`, in place. Its parameters have the names of `pm`'s.

        By default the slices of each group are cut out of their Linears. Raises PrunebenchError if that is impossible.
        """
        # Imported here: planning knows structures, and torch takes a second.
        from prunebench.pruning.removal import narrow

        narrow(model, self.groups(pm), mask)


class Composition(Structure):
    """Several structures under one mask. The groups are those of the parts, one part after another."""

    def __init__(self, parts: Iterable[Structure]) -> None:
        self.parts = tuple(parts)
        self.name = "+".join(part.name for part in self.parts)

    def groups(self, pm: PrunableModel) -> dict[str, Group]:
        return {name: group for part in self.parts for name, group in part.groups(pm).items()}

    def costs(self, pm: PrunableModel, length: int) -> dict[str, UnitCost]:
        return {name: cost for part in self.parts for name, cost in part.costs(pm, length).items()}

    def gate_points(self, pm: PrunableModel) -> dict[str, str]:
        return {name: point for part in self.parts for name, point in part.gate_points(pm).items()}

    def remove(self, model: nn.Module, pm: PrunableModel, mask: Mapping[str, Tensor]) -> None:
        # Layers are the last part: the names of those behind them change.
        for part in sorted(self.parts, key=lambda part: part.name == "layer"):
            part.remove(model, pm, mask)


def compose(unit: Unit, parts: Iterable[Structure]) -> Structure:
    """The structure of a unit from those of its parts.

    Raises PrunebenchError for the composition of weights with anything, and for parts in another order than the
    built-in ones first and then the others by name.
    """
    parts = tuple(parts)
    if len(parts) == 1:
        return parts[0]
    names = [part.name for part in parts]
    if "weight" in names:
        raise PrunebenchError(f"unit {unit!r} combines single weights with others", "expected such as 'head+neuron'")
    order = [*(name for name in UNITS if name in names), *sorted(set(names) - set(UNITS))]
    if names != order:
        raise PrunebenchError(f"unit {unit!r} has another order", f"write {'+'.join(order)!r}")
    return Composition(parts)


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
