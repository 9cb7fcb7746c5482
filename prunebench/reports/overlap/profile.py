"""How a mask spreads over the encoder: the sparsity of each matrix, and what is left of each head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from prunebench.reports.overlap.masks import GroupLocation, MethodMask
from prunebench.results.statistics import Summary, summarise


def sparsity(mask: MethodMask, name: str) -> float:
    """The fraction of a group's units that is pruned."""
    return 1 - mask.packed.kept_units[name] / mask.packed.units(name)


def profile(masks: Sequence[MethodMask]) -> dict[GroupLocation, Summary]:
    """The sparsity of each group over some masks, by its location."""
    values: dict[GroupLocation, list[float]] = {}
    for mask in masks:
        for name, location in mask.locations.items():
            values.setdefault(location, []).append(sparsity(mask, name))
    return {location: summarise(numbers) for location, numbers in values.items()}


@dataclass(frozen=True)
class Head:
    """What one mask leaves of a head: how many of its `units` remain, and whether its output is constant.

    If heads are pruned, a head is a single unit. If weights are pruned, its units are its rows of query, key and value
    and its columns of the attention output. It is silent once all its value rows or all its output columns are pruned,
    because only biases come out of it then.
    """

    layer: int
    head: int
    units: int
    remaining: int
    silent: bool


def heads(mask: MethodMask) -> Iterator[Head]:
    """Every head of a mask. Yields none if neurons are pruned, or if the number of heads is unknown."""
    if mask.unit == "head":
        for name, location in mask.locations.items():
            for head, keep in enumerate(mask.packed.group(name).tolist()):
                yield Head(location.layer, head, 1, int(keep), not keep)
    elif mask.unit == "weight" and mask.heads:
        yield from _heads_of_weights(mask)


def _heads_of_weights(mask: MethodMask) -> Iterator[Head]:
    names = {(location.layer, location.matrix): name for name, location in mask.locations.items()}
    for layer in sorted({layer for layer, matrix in names if matrix == "value"}):
        by_head = {part: _split(mask, names[layer, part], axis=0) for part in ("query", "key", "value")}
        by_head["attention_output"] = _split(mask, names[layer, "attention_output"], axis=1)
        for head in range(mask.heads):
            parts = {part: bits[head] for part, bits in by_head.items()}
            remaining = {part: int(bits.sum()) for part, bits in parts.items()}
            silent = not remaining["value"] or not remaining["attention_output"]
            yield Head(layer, head, sum(bits.size for bits in parts.values()), sum(remaining.values()), silent)


def _split(mask: MethodMask, name: str, axis: int) -> list[np.ndarray]:
    """The bits of a matrix, one array for each head."""
    return np.split(mask.packed.group(name), mask.heads, axis=axis)
