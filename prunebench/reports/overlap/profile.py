"""How a mask spreads over the encoder: the sparsity of each matrix, and what is left of each head. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from prunebench.reports.overlap.found import Found, Place
from prunebench.results.statistics import Summary, summarise


def sparsity(mask: Found, name: str) -> float:
    """The fraction of a group's units that is gone."""
    return 1 - mask.packed.kept[name] / mask.packed.units(name)


def profile(masks: Sequence[Found]) -> dict[Place, Summary]:
    """The sparsity of each place over some masks."""
    found: dict[Place, list[float]] = {}
    for mask in masks:
        for name, place in mask.places.items():
            found.setdefault(place, []).append(sparsity(mask, name))
    return {place: summarise(values) for place, values in found.items()}


@dataclass(frozen=True)
class Head:
    """A head of one mask: how many of its units there are and how many stay, and whether it still says anything.

    Where heads are pruned it is a single unit. Where weights are, its units are its rows of query, key and value and
    its columns of the attention output; it is silent once all its value rows or all its output columns are gone, since
    then nothing but biases comes out of it.
    """

    layer: int
    head: int
    units: int
    kept: int
    silent: bool


def heads(mask: Found) -> Iterator[Head]:
    """Every head of a mask; none where neurons are pruned, or where nobody knows how many heads there are."""
    if mask.unit == "head":
        for name, place in mask.places.items():
            for head, stays in enumerate(mask.packed.group(name).tolist()):
                yield Head(place.layer, head, 1, int(stays), not stays)
    elif mask.unit == "weight" and mask.heads:
        yield from _of_weights(mask)


def _of_weights(mask: Found) -> Iterator[Head]:
    names = {(place.layer, place.matrix): name for name, place in mask.places.items()}
    for layer in sorted({layer for layer, matrix in names if matrix == "value"}):
        rows = {part: _by_head(mask, names[layer, part], 0) for part in ("query", "key", "value")}
        rows["attention_output"] = _by_head(mask, names[layer, "attention_output"], 1)
        for head in range(mask.heads):
            parts = {part: found[head] for part, found in rows.items()}
            kept = {part: int(found.sum()) for part, found in parts.items()}
            silent = not kept["value"] or not kept["attention_output"]
            yield Head(layer, head, sum(found.size for found in parts.values()), sum(kept.values()), silent)


def _by_head(mask: Found, name: str, axis: int) -> list[np.ndarray]:
    return np.split(mask.packed.group(name), mask.heads, axis=axis)
