"""Masks: exact top-k, and random masks with equal counts. Knows tensors, not models.

A mask maps a group's name to a boolean tensor; True stays. Scores have the same names and shapes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.pruning import bitmask
from prunebench.recipes.phases import pruned_count as pruned_count

Mask = dict[str, Tensor]


def units(mask: Mapping[str, Tensor]) -> int:
    return sum(keep.numel() for keep in mask.values())


def pruned(mask: Mapping[str, Tensor]) -> int:
    """The number of units that are gone."""
    return units(mask) - sum(int(keep.sum()) for keep in mask.values())


def full(shapes: Mapping[str, tuple[int, ...]]) -> Mask:
    """The mask of an unpruned model."""
    return {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}


def top_k(scores: Mapping[str, Tensor], mask: Mapping[str, Tensor], gone: int) -> Mask:
    """The mask in which exactly `gone` units are pruned: those of `mask`, and then the lowest scores of all groups.

    Equal scores go in the order of the groups and of the units in them. Raises PrunebenchError where names or shapes
    differ, a score is NaN, or more than `gone` units are pruned already.
    """
    _check(scores, mask)
    alive = {name: keep.flatten().numpy() for name, keep in mask.items()}
    values = np.concatenate([scores[name].detach().float().flatten().cpu().numpy()[alive[name]] for name in mask])
    if np.isnan(values).any():
        raise PrunebenchError("a score is NaN", "every unit that stands needs a number")
    more = gone - pruned(mask)
    if more < 0 or more > values.size:
        raise PrunebenchError(f"cannot prune to {gone} units: {pruned(mask)} of {units(mask)} are gone already")
    stays = np.ones(values.size, dtype=bool)
    if more:
        threshold = np.partition(values, more - 1)[more - 1]
        stays = values > threshold
        ties = np.flatnonzero(values == threshold)
        stays[ties[more - int((values < threshold).sum()) :]] = True
    result: Mask = {}
    start = 0
    for name, keep in mask.items():
        kept = alive[name].copy()
        count = int(kept.sum())
        kept[kept] = stays[start : start + count]
        result[name] = torch.from_numpy(kept).view(keep.shape)
        start += count
    return result


def _check(scores: Mapping[str, Tensor], mask: Mapping[str, Tensor]) -> None:
    missing, extra = sorted(set(mask) - set(scores)), sorted(set(scores) - set(mask))
    if missing or extra:
        what = f"no score for {missing[0]!r}" if missing else f"a score for {extra[0]!r}, which is not prunable here"
        raise PrunebenchError(what, f"expected one for each of {', '.join(list(mask)[:3])}, …")
    for name, keep in mask.items():
        if scores[name].shape != keep.shape:
            raise PrunebenchError(
                f"the score of {name!r} has shape {tuple(scores[name].shape)}", f"expected {tuple(keep.shape)}"
            )


def shuffle(mask: Mapping[str, Tensor], counts: str, generator: torch.Generator) -> Mask:
    """A random mask with the counts of `mask` in each group (`layer`) or over all groups (`global`).

    Units are ranked by numbers drawn from `generator` alone, so masks of one seed are nested across sparsities.
    """
    ranks = {name: torch.rand(keep.shape, generator=generator, dtype=torch.float64) for name, keep in mask.items()}
    everything = full({name: tuple(keep.shape) for name, keep in mask.items()})
    if counts == "global":
        return top_k(ranks, everything, pruned(mask))
    return {
        name: top_k({name: ranks[name]}, {name: everything[name]}, pruned({name: keep}))[name]
        for name, keep in mask.items()
    }


def pack(mask: Mapping[str, Tensor]) -> bytes:
    """The mask as a file: see `packed`."""
    return bitmask.pack({name: keep.numpy() for name, keep in mask.items()})


def unpack(data: bytes) -> Mask:
    """The inverse of `pack`, the order of the groups included. Raises ValueError where the bits are not as written."""
    found = bitmask.unpack(data)
    return {name: torch.from_numpy(found.group(name)) for name in found.shapes}
