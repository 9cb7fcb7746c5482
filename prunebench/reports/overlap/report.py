"""All that is said of the masks of a store at one sparsity, computed once. Imports `compare` and `profile`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from prunebench.reports.overlap.found import Found, Place, has_mask
from prunebench.reports.overlap.pairs import Mean, Pair, between_methods, between_tasks, mean, pairs, places
from prunebench.reports.overlap.profile import Head, heads, profile
from prunebench.reports.render.provenance import setting
from prunebench.results.rows import Row
from prunebench.results.statistics import Summary

# A mask is no score: whatever split its method is scored on, this is all that strategies see.
FOUND_ON = "train, on which masks are found"


@dataclass(frozen=True)
class Unit:
    """The masks of one kind of unit: weights, heads or neurons are never compared with each other."""

    unit: str
    masks: Sequence[Found]

    @cached_property
    def methods(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(mask.method for mask in self.masks))

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(mask.task for mask in self.masks))

    @cached_property
    def places(self) -> tuple[Place, ...]:
        return tuple(places(self.masks))

    @cached_property
    def layers(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(place.layer for place in self.places))

    @cached_property
    def matrices(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(place.matrix for place in self.places))

    @cached_property
    def pairs(self) -> list[Pair]:
        return pairs(self.masks)

    @cached_property
    def by_task(self) -> dict[str, dict[tuple[str, str], Mean]]:
        """By method the overlap between tasks, and on the diagonal that between seeds of a task."""
        return {
            method: {
                (one, other): found
                for one in self.tasks
                for other in self.tasks
                if (found := between_tasks(self.pairs, method, one, other))
            }
            for method in self.methods
        }

    @cached_property
    def by_method(self) -> dict[tuple[str, str], Mean]:
        """The overlap between methods, over all tasks and seeds."""
        return {
            (one, other): found
            for one in self.methods
            for other in self.methods
            if one != other and (found := between_methods(self.pairs, one, other))
        }

    def where(self, kind: str, method: str) -> dict[tuple[int | None, str | None], Mean]:
        """The overlap of a method's masks by layer and matrix; None stands for all of them."""
        chosen = [pair for pair in self.pairs if pair.kind == kind and pair.one.method == method]
        found: dict[tuple[int | None, str | None], Mean] = {}
        for layer in (*self.layers, None):
            for matrix in (*self.matrices, None):
                parts = [pair.part(layer, matrix) for pair in chosen]
                said = mean(part for part in parts if part.groups)
                if said:
                    found[layer, matrix] = said
        return found

    def by_layer(self, one: str, other: str) -> dict[int | None, Mean]:
        """The overlap between two methods by layer; None stands for all of them."""
        chosen = [pair for pair in self.pairs if {one, other} == {pair.one.method, pair.other.method}]
        parts = {layer: [pair.part(layer) for pair in chosen] for layer in (*self.layers, None)}
        means = {layer: mean(part for part in found if part.groups) for layer, found in parts.items()}
        return {layer: said for layer, said in means.items() if said}

    def sparsities(self, method: str) -> dict[Place, Summary]:
        return profile([mask for mask in self.masks if mask.method == method])

    @cached_property
    def heads(self) -> dict[tuple[str, str, int], tuple[Head, ...]]:
        """By method, task and seed."""
        found = {(mask.method, mask.task, mask.seed): tuple(heads(mask)) for mask in self.masks}
        return {key: all_of_it for key, all_of_it in found.items() if all_of_it}


@dataclass(frozen=True)
class Report:
    """The masks at one sparsity, by unit, and what they were found under; `lost` are planned and not in the store.

    `warnings` say what does not belong together and stands here all the same.
    """

    sparsity: float
    units: tuple[Unit, ...]
    setting: tuple[tuple[str, str], ...]
    lost: int
    warnings: tuple[str, ...] = ()


def report(masks: Sequence[Found], sparsity: float, rows: Sequence[Row], warnings: Sequence[str] = ()) -> Report:
    """`rows` are those that the masks belong to."""
    cells = {row.cell.key: row.cell for row in rows if has_mask(row.cell) and row.cell.sparsity == sparsity}
    kinds = dict.fromkeys(mask.unit for mask in masks)
    units = tuple(Unit(kind, [mask for mask in masks if mask.unit == kind]) for kind in kinds)
    about = (*setting(cells.values()), ("split", FOUND_ON))
    return Report(sparsity, units, about, len(cells) - len(masks), tuple(warnings))
