"""The overlap of masks, pair by pair, and means over pairs: of tasks, of seeds and of methods."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from prunebench.pruning.bitmask import Overlap, overlap
from prunebench.reports.overlap.chance import Counts, expected_agreement, expected_jaccard
from prunebench.reports.overlap.masks import GroupLocation, MethodMask
from prunebench.results.statistics import Summary, summarise

# What the two masks of a pair differ in. Everything else is equal.
KINDS = ("tasks", "seeds", "methods")
# The method that prunes the smallest weights of θ0: it has one mask for all tasks and seeds.
FROM_MAGNITUDES = "magnitude-init"


@dataclass(frozen=True)
class Part:
    """The overlap of two masks in some groups of units, and what chance would give there.

    `inside` are the units that the mask of θ0's magnitudes keeps, and how many of them each mask keeps, by group; None
    where that mask is not known, or one of the two.
    """

    groups: tuple[Overlap, ...]
    inside: tuple[Counts, ...] | None = None

    @cached_property
    def sum(self) -> Overlap:
        """The overlap over all these groups together."""
        return Overlap(
            *(sum(getattr(group, name) for group in self.groups) for name in ("units", "one", "other", "both"))
        )

    @cached_property
    def chance(self) -> float:
        """The expected Jaccard index of two random masks with the same counts in each group."""
        return expected_jaccard([(group.units, group.one, group.other) for group in self.groups])

    @cached_property
    def given_magnitudes(self) -> float | None:
        """The expected Jaccard index of two random masks that share as many units with that of θ0's magnitudes.

        Each keeps as many units in each group as the mask it stands for, and as many of those that the mask of θ0's
        magnitudes keeps. What two masks share beyond this is not due to θ0's magnitudes.
        """
        if self.inside is None:
            return None
        outside = [
            (group.units - units, group.one - one, group.other - other)
            for group, (units, one, other) in zip(self.groups, self.inside, strict=True)
        ]
        return expected_jaccard([*self.inside, *outside])

    @cached_property
    def chance_agreement(self) -> float:
        """The expected agreement of two random masks with the same counts in each group."""
        return expected_agreement([(group.units, group.one, group.other) for group in self.groups])


@dataclass(frozen=True, eq=False)
class Pair:
    """Two masks that differ in one thing, `kind` of `KINDS`, and their overlap in each group of units.

    `inside` is that of a `Part`, by location.
    """

    kind: str
    one: MethodMask
    other: MethodMask
    overlaps: dict[GroupLocation, Overlap]
    inside: dict[GroupLocation, Counts] | None = None

    def part(self, layer: int | None = None, matrix: str | None = None) -> Part:
        """The overlap in one layer, in one matrix of each layer, in one matrix of one layer, or in all."""
        locations = [each for each in self.overlaps if layer in (None, each.layer) and matrix in (None, each.matrix)]
        inside = None if self.inside is None else tuple(self.inside[each] for each in locations)
        return Part(tuple(self.overlaps[each] for each in locations), inside)

    @cached_property
    def whole(self) -> Part:
        """The overlap in all groups."""
        return self.part()


def pairs(masks: Sequence[MethodMask]) -> list[Pair]:
    """All pairs of masks of one kind of unit that differ in task, seed or method, and in nothing else."""
    result = []
    shared = _shared_with_magnitudes(masks)
    for one, other in itertools.combinations(masks, 2):
        kind = _kind(one, other)
        if kind and one.packed.shapes == other.packed.shapes:
            overlaps = {one.locations[name]: group for name, group in overlap(one.packed, other.packed).items()}
            inside = None
            if one in shared and other in shared:
                inside = {
                    location: (group.other, group.both, shared[other][location].both)
                    for location, group in shared[one].items()
                }
            result.append(Pair(kind, one, other, overlaps, inside))
    return result


def _shared_with_magnitudes(masks: Sequence[MethodMask]) -> dict[MethodMask, dict[GroupLocation, Overlap]]:
    """The overlap of every other mask of weights with the mask of θ0's magnitudes, where there is one."""
    reference = next((mask for mask in masks if mask.method == FROM_MAGNITUDES), None)
    if reference is None:
        return {}
    return {
        mask: {mask.locations[name]: group for name, group in overlap(mask.packed, reference.packed).items()}
        for mask in masks
        if mask.method != FROM_MAGNITUDES and mask.packed.shapes == reference.packed.shapes
    }


def _kind(one: MethodMask, other: MethodMask) -> str:
    """What the two masks differ in, or "" if that is not exactly one thing."""
    differences = [
        kind
        for kind, name in zip(KINDS, ("task", "seed", "method"), strict=True)
        if getattr(one, name) != getattr(other, name)
    ]
    return differences[0] if len(differences) == 1 and one.unit == other.unit else ""


@dataclass(frozen=True)
class Mean:
    """Jaccard index and agreement over some pairs, and the means of what chance gives for these pairs.

    `given_magnitudes` is the mean of what chance gives beside the mask of θ0's magnitudes, None if that is not known.
    """

    jaccard: Summary
    agreement: Summary
    chance: float
    chance_agreement: float
    given_magnitudes: float | None = None


def mean(parts: Iterable[Part]) -> Mean | None:
    """The mean over the same part of several pairs, or None for no pair."""
    parts = list(parts)
    if not parts:
        return None
    nulls = [value for part in parts if (value := part.given_magnitudes) is not None]
    return Mean(
        summarise(part.sum.jaccard for part in parts),
        summarise(part.sum.agreement for part in parts),
        fmean(part.chance for part in parts),
        fmean(part.chance_agreement for part in parts),
        fmean(nulls) if len(nulls) == len(parts) else None,
    )


def mean_between_tasks(pairs: Sequence[Pair], method: str, one: str, other: str) -> Mean | None:
    """The overlap of a method's masks on two tasks with the same seed; for one task twice, between its seeds."""
    kind = "seeds" if one == other else "tasks"
    return mean(
        pair.whole
        for pair in pairs
        if pair.kind == kind and pair.one.method == method and {pair.one.task, pair.other.task} == {one, other}
    )


def mean_between_methods(pairs: Sequence[Pair], one: str, other: str) -> Mean | None:
    """The overlap of two methods' masks on the same task with the same seed."""
    return mean(
        pair.whole for pair in pairs if pair.kind == "methods" and {pair.one.method, pair.other.method} == {one, other}
    )


def ordered_locations(masks: Iterable[MethodMask]) -> Iterator[GroupLocation]:
    """The locations of all groups of these masks, by layer, and in the order of the encoder within a layer."""
    yield from dict.fromkeys(sorted((p for mask in masks for p in mask.locations.values()), key=_order))


def _order(location: GroupLocation) -> tuple[int, int, str]:
    from prunebench.models.architecture import LINEARS

    known = (*LINEARS, "pooler", "heads", "neurons")
    # What belongs to no layer comes last.
    layer = location.layer if location.layer >= 0 else 10**9
    return layer, known.index(location.matrix) if location.matrix in known else len(known), location.matrix
