"""Budgets: a level of sparsity as a fraction of the parameters, or of the FLOPs, of all units together.

Units go from the lowest score on, whatever they cost, until the cost of the pruned units reaches the fraction. Without
the last one it would not. Example, half of the cost of five units:

    scores    0.1  0.2  0.3  0.4  0.5
    costs       1    6    1    6    2      16 in all, 8 are to go
    pruned      ×    ×    ×                1 + 6 + 1

**Units within units.** A layer contains its heads and neurons. The pruned units of a pruned layer cost nothing beside
it, and all units together cost what the layers cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.models.encoder import PrunableModel
from prunebench.pruning import masks
from prunebench.pruning.costs import LENGTH
from prunebench.pruning.groups import Group, Structure
from prunebench.pruning.masks import Mask
from prunebench.recipes.axes import BudgetName
from prunebench.recipes.schedules import required_cost


@dataclass(frozen=True)
class Budget:
    """What units cost.

    Attributes:
        name: "parameters" or "flops".
        costs: the cost of one unit of each group.
        containers: for each group whose units are part of another unit, the group of that unit.
        shapes: the shapes of the groups.
    """

    name: str
    costs: Mapping[str, int]
    containers: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def total(self) -> int:
        """The cost of all units."""
        outer = (name for name in self.shapes if name not in self.containers)
        return sum(self.costs[name] * math.prod(self.shapes[name]) for name in outer)

    def pruned(self, mask: Mapping[str, Tensor]) -> int:
        """The cost of the units that are pruned."""
        return sum(self.costs[name] * count for name, count in self._outermost(mask))

    def largest(self, mask: Mapping[str, Tensor]) -> int:
        """The cost of the most expensive unit that is pruned, 0 if none is."""
        return max((self.costs[name] for name, count in self._outermost(mask) if count), default=0)

    def _outermost(self, mask: Mapping[str, Tensor]) -> Iterator[tuple[str, int]]:
        """By group, the number of pruned units that are not part of another pruned unit."""
        for name, keep in mask.items():
            container = self.containers.get(name)
            if container is None or mask[container].all():
                yield name, masks.pruned({name: keep})

    def fault(self, mask: Mapping[str, Tensor], sparsity: float) -> str:
        """Why `mask` does not have that level, or "" if it has.

        The order in which units went is not known, so that the last one is taken to be the most expensive one.
        """
        pruned, required = self.pruned(mask), required_cost(sparsity, self.total)
        if pruned < required:
            return f"pruned {pruned} of {self.total} {self.name} (expected at least {required})"
        if pruned and pruned - self.largest(mask) >= required:
            return f"pruned {pruned} of {self.total} {self.name} (expected less than one unit above {required})"
        return ""

    def select(self, scores: Mapping[str, Tensor], mask: Mapping[str, Tensor], sparsity: float) -> Mask:
        """The mask in which the pruned units of `mask` are gone, then those with the lowest scores, to that level.

        Ties are pruned in the order of the groups and of the units in them. Infinite scores are allowed.

        Raises PrunebenchError if names or shapes differ or a score is NaN.
        """
        masks.check_scores(scores, mask)
        values = [masks.numbers(scores[name], keep).reshape(-1).astype(np.float64) for name, keep in mask.items()]
        alive = np.concatenate([keep.numpy().reshape(-1) for keep in mask.values()])
        # Units that are gone come first. np.lexsort is stable, and its last key counts most.
        order = np.lexsort((np.concatenate(values), alive))
        reached = np.cumsum(self._savings(order, mask)) >= required_cost(sparsity, self.total)
        needed = int(np.argmax(reached)) + 1 if required_cost(sparsity, self.total) else 0
        stays = np.ones(len(order), dtype=bool)
        stays[order[: max(needed, int(np.count_nonzero(~alive)))]] = False
        parts = np.split(stays, np.cumsum([keep.numel() for keep in mask.values()])[:-1])
        return {name: torch.from_numpy(part).view(mask[name].shape) for name, part in zip(mask, parts, strict=True)}

    def _savings(self, order: np.ndarray, mask: Mapping[str, Tensor]) -> np.ndarray:
        """What the removal of each unit saves when all before it in `order` are gone: shape (units,), in that order."""
        sizes = {name: keep.numel() for name, keep in mask.items()}
        starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        savings = np.concatenate([np.full(size, self.costs[name], dtype=np.int64) for name, size in sizes.items()])
        for name, container in self.containers.items():
            units = slice(starts[name], starts[name] + sizes[name])
            earlier = rank[units] < rank[starts[container]]
            savings[starts[container]] -= self.costs[name] * int(np.count_nonzero(earlier))
            savings[units] = np.where(earlier, savings[units], 0)
        result: np.ndarray = savings[order]
        return result


def budget_of(pm: PrunableModel, structure: Structure, name: BudgetName) -> Budget | None:
    """The budget of that name for the units of a model, with FLOPs at `LENGTH` tokens; None for "units".

    Raises PrunebenchError if units of two groups share a parameter, and neither contains the other.
    """
    if name == "units":
        return None
    groups = structure.groups(pm)
    costs = {group: getattr(cost, name) for group, cost in structure.costs(pm, LENGTH).items()}
    return Budget(name, costs, _containers(groups), {group: each.shape for group, each in groups.items()})


def _containers(groups: Mapping[str, Group]) -> dict[str, str]:
    """For each group whose parameters all belong to the one unit of another group, that other group."""
    parameters = {name: {part.parameter for part in group.slices} for name, group in groups.items()}
    whole = {name for name, group in groups.items() if math.prod(group.shape) == 1}
    containers: dict[str, str] = {}
    for one, mine in parameters.items():
        for other, its in parameters.items():
            if one == other or not mine & its:
                continue
            if other in whole and mine <= its:
                containers[one] = other
            elif not (one in whole and its <= mine):
                raise PrunebenchError(
                    f"the groups {one!r} and {other!r} share parameters, so that their costs do not add up",
                    "use budget=units",
                )
    return containers
