"""How far masks overlap, pair by pair: of tasks, of seeds and of methods, in each part of the encoder.

Imports `chance`, `found` and `stats`; no torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from prunebench.pruning.bitmask import Overlap, overlap
from prunebench.reports.overlap.chance import expected_agreement, expected_jaccard
from prunebench.reports.overlap.found import Found, Place
from prunebench.results.statistics import Summary, summarise

# What two masks differ in, everything else being equal.
KINDS = ("tasks", "seeds", "methods")


@dataclass(frozen=True)
class Part:
    """The overlap of two masks in some groups, and what chance would give there."""

    groups: tuple[Overlap, ...]

    @cached_property
    def sum(self) -> Overlap:
        return Overlap(
            *(sum(getattr(group, name) for group in self.groups) for name in ("units", "one", "other", "both"))
        )

    @cached_property
    def chance(self) -> float:
        """The Jaccard index that two random masks with the same counts in each group have on average."""
        return expected_jaccard([(group.units, group.one, group.other) for group in self.groups])

    @cached_property
    def chance_agreement(self) -> float:
        return expected_agreement([(group.units, group.one, group.other) for group in self.groups])


@dataclass(frozen=True, eq=False)
class Pair:
    """Two masks that differ in one thing, and their overlap in each place of the encoder."""

    kind: str
    one: Found
    other: Found
    at: dict[Place, Overlap]

    def part(self, layer: int | None = None, matrix: str | None = None) -> Part:
        """The overlap in one layer, in one matrix of each layer, or in all."""
        return Part(
            tuple(
                found
                for place, found in self.at.items()
                if layer in (None, place.layer) and matrix in (None, place.matrix)
            )
        )

    @cached_property
    def whole(self) -> Part:
        return self.part()


def pairs(masks: Sequence[Found]) -> list[Pair]:
    """All pairs of masks of the same units that differ in task, seed or method, and in nothing else."""
    found = []
    for one, other in itertools.combinations(masks, 2):
        kind = _kind(one, other)
        if kind and one.packed.shapes == other.packed.shapes:
            at = {one.places[name]: part for name, part in overlap(one.packed, other.packed).items()}
            found.append(Pair(kind, one, other, at))
    return found


def _kind(one: Found, other: Found) -> str:
    """What the two differ in, or "" where that is more than one thing."""
    differ = [
        kind
        for kind, name in zip(KINDS, ("task", "seed", "method"), strict=True)
        if getattr(one, name) != getattr(other, name)
    ]
    return differ[0] if len(differ) == 1 and one.unit == other.unit else ""


@dataclass(frozen=True)
class Mean:
    """Over some pairs: Jaccard index and agreement, and what chance gives on average."""

    jaccard: Summary
    agreement: Summary
    chance: float
    chance_agreement: float


def mean(parts: Iterable[Part]) -> Mean | None:
    """The mean over parts of pairs, or None of none."""
    found = list(parts)
    if not found:
        return None
    return Mean(
        summarise(part.sum.jaccard for part in found),
        summarise(part.sum.agreement for part in found),
        fmean(part.chance for part in found),
        fmean(part.chance_agreement for part in found),
    )


def between_tasks(found: Sequence[Pair], method: str, one: str, other: str) -> Mean | None:
    """Of a method's masks on two tasks with the same seed; of one task, with different seeds."""
    kind = "seeds" if one == other else "tasks"
    return mean(
        pair.whole
        for pair in found
        if pair.kind == kind and pair.one.method == method and {pair.one.task, pair.other.task} == {one, other}
    )


def between_methods(found: Sequence[Pair], one: str, other: str) -> Mean | None:
    """Of two methods' masks on the same task with the same seed."""
    return mean(
        pair.whole for pair in found if pair.kind == "methods" and {pair.one.method, pair.other.method} == {one, other}
    )


def places(masks: Iterable[Found]) -> Iterator[Place]:
    """All places in the order of the layers, and of the matrices in a layer."""
    yield from dict.fromkeys(sorted((p for mask in masks for p in mask.places.values()), key=_order))


def _order(place: Place) -> tuple[int, int, str]:
    from prunebench.models.architecture import LINEARS

    known = (*LINEARS, "pooler", "heads", "neurons")
    layer = place.layer if place.layer >= 0 else 10**9
    return layer, known.index(place.matrix) if place.matrix in known else len(known), place.matrix
