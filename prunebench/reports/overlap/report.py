"""Everything that is printed about the masks of a store at one sparsity, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from prunebench.reports.overlap.masks import GroupLocation, MethodMask, has_mask
from prunebench.reports.overlap.pairs import (
    Mean,
    Pair,
    mean,
    mean_between_methods,
    mean_between_tasks,
    ordered_locations,
    pairs,
)
from prunebench.reports.overlap.profile import Head, heads, profile
from prunebench.reports.render.provenance import setting
from prunebench.results.rows import Row
from prunebench.results.statistics import Summary

# A mask is not a score: strategies see the training split only, whatever split their models are scored on.
SPLIT = "train, the only split that masks depend on"


@dataclass(frozen=True)
class UnitMasks:
    """The masks of one kind of unit: weight, head or neuron. Masks of different units are never compared."""

    unit: str
    masks: Sequence[MethodMask]

    @cached_property
    def methods(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(mask.method for mask in self.masks))

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(mask.task for mask in self.masks))

    @cached_property
    def locations(self) -> tuple[GroupLocation, ...]:
        return tuple(ordered_locations(self.masks))

    @cached_property
    def layers(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(location.layer for location in self.locations))

    @cached_property
    def matrices(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(location.matrix for location in self.locations))

    @cached_property
    def pairs(self) -> list[Pair]:
        return pairs(self.masks)

    @cached_property
    def knows_magnitudes(self) -> bool:
        """Whether the mask of θ0's magnitudes is among the masks, so that overlaps can be set against it."""
        return any(pair.inside is not None for pair in self.pairs)

    @cached_property
    def by_task(self) -> dict[str, dict[tuple[str, str], Mean]]:
        """For each method the overlap between two tasks; for one task twice, between its seeds."""
        return {
            method: {
                (one, other): overlap
                for one in self.tasks
                for other in self.tasks
                if (overlap := mean_between_tasks(self.pairs, method, one, other))
            }
            for method in self.methods
        }

    @cached_property
    def by_method(self) -> dict[tuple[str, str], Mean]:
        """The overlap between two methods, over all tasks and seeds."""
        return {
            (one, other): overlap
            for one in self.methods
            for other in self.methods
            if one != other and (overlap := mean_between_methods(self.pairs, one, other))
        }

    def by_layer_and_matrix(self, kind: str, method: str) -> dict[tuple[int | None, str | None], Mean]:
        """The overlap of a method's masks between tasks or seeds, by layer and matrix; None stands for all."""
        of_method = [pair for pair in self.pairs if pair.kind == kind and pair.one.method == method]
        means: dict[tuple[int | None, str | None], Mean] = {}
        for layer in (*self.layers, None):
            for matrix in (*self.matrices, None):
                parts = [pair.part(layer, matrix) for pair in of_method]
                overlap = mean(part for part in parts if part.groups)
                if overlap:
                    means[layer, matrix] = overlap
        return means

    def by_layer(self, one: str, other: str) -> dict[int | None, Mean]:
        """The overlap between two methods by layer; None stands for all."""
        of_both = [pair for pair in self.pairs if {one, other} == {pair.one.method, pair.other.method}]
        means: dict[int | None, Mean] = {}
        for layer in (*self.layers, None):
            parts = [pair.part(layer) for pair in of_both]
            overlap = mean(part for part in parts if part.groups)
            if overlap:
                means[layer] = overlap
        return means

    def sparsities(self, method: str) -> dict[GroupLocation, Summary]:
        """The sparsity of each group over a method's masks."""
        return profile([mask for mask in self.masks if mask.method == method])

    @cached_property
    def heads(self) -> dict[tuple[str, str, int], tuple[Head, ...]]:
        """The heads of each mask, by method, task and seed."""
        by_mask = {(mask.method, mask.task, mask.seed): tuple(heads(mask)) for mask in self.masks}
        return {key: of_mask for key, of_mask in by_mask.items() if of_mask}


@dataclass(frozen=True)
class Report:
    """The masks at one sparsity, by unit, and their setting.

    `missing` is the number of masks that are planned but not in the store. `warnings` says what is compared although
    its settings differ.
    """

    sparsity: float
    units: tuple[UnitMasks, ...]
    setting: tuple[tuple[str, str], ...]
    missing: int
    warnings: tuple[str, ...] = ()


def build(masks: Sequence[MethodMask], sparsity: float, rows: Sequence[Row], warnings: Sequence[str] = ()) -> Report:
    """The report on `masks`, which come from `rows`."""
    cells = {row.cell.key: row.cell for row in rows if has_mask(row.cell) and row.cell.sparsity == sparsity}
    kinds = dict.fromkeys(mask.unit for mask in masks)
    units = tuple(UnitMasks(kind, [mask for mask in masks if mask.unit == kind]) for kind in kinds)
    lines = (*setting(cells.values()), ("split", SPLIT))
    return Report(sparsity, units, lines, len(cells) - len(masks), tuple(warnings))
