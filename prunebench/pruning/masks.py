"""Masks of units: exact selection by scores, and random masks with the same counts.

A mask is a dictionary from the names of groups to boolean tensors; True stays. Scores have the same names and shapes.
Nothing here knows models.

**Exact counts.** `top_k` prunes exactly the requested number of units. A threshold alone would prune too many or too
few whenever scores are tied, so ties at the threshold are broken by position. Example, three of five units to prune:

    scores    0.2  0.7  0.2  0.1  0.2        threshold 0.2, the third lowest score
    mask      ×    ✓    ×    ×    ✓          0.1 goes, and the first two of the three ties

Selection takes linear time (`np.partition`): 0.8 s for the 84,934,656 weights of BERT-base (`tests/bench/README.md`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.pruning import bitmask
from prunebench.recipes.schedules import pruned_count as pruned_count

Mask = dict[str, Tensor]


def units(mask: Mapping[str, Tensor]) -> int:
    """The number of units."""
    return sum(keep.numel() for keep in mask.values())


def pruned(mask: Mapping[str, Tensor]) -> int:
    """The number of units that are pruned."""
    return units(mask) - sum(int(keep.count_nonzero()) for keep in mask.values())


def count_fault(count: int, mask: Mapping[str, Tensor]) -> str:
    """Why `mask` does not have exactly `count` pruned units, in a few words, or "" if it has."""
    return "" if pruned(mask) == count else f"pruned {pruned(mask)} units (expected {count})"


def full(shapes: Mapping[str, tuple[int, ...]]) -> Mask:
    """The mask of an unpruned model."""
    return {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}


def top_k(scores: Mapping[str, Tensor], mask: Mapping[str, Tensor], target: int) -> Mask:
    """The mask with exactly `target` pruned units: those of `mask`, then those with the lowest scores of all groups.

    Ties are pruned in the order of the groups and of the units in them. Infinite scores are allowed.

    Raises:
        PrunebenchError: if names or shapes differ, a score is NaN, or more than `target` units are pruned already.
    """
    check_scores(scores, mask)
    alive = {name: keep.flatten().numpy() for name, keep in mask.items()}
    # One float64 group makes all of them float64.
    values = np.concatenate([numbers(scores[name], keep).reshape(-1)[alive[name]] for name, keep in mask.items()])
    more = target - pruned(mask)
    if more < 0 or more > values.size:
        raise PrunebenchError(f"cannot prune to {target} units: {pruned(mask)} of {units(mask)} are pruned already")
    return _spread(_all_but_lowest(values, more), mask, alive)


def _all_but_lowest(values: np.ndarray, count: int) -> np.ndarray:
    """False for the `count` lowest values (of equal values the first ones), and True for the others."""
    if not count:
        return np.ones(values.size, dtype=bool)
    threshold = np.partition(values, count - 1)[count - 1]
    stays: np.ndarray = values > threshold
    ties = np.flatnonzero(values == threshold)
    stays[ties[count - int(np.count_nonzero(values < threshold)) :]] = True
    return stays


def _spread(stays: np.ndarray, mask: Mapping[str, Tensor], alive: Mapping[str, np.ndarray]) -> Mask:
    """`mask` with `stays`, a value for each unit that it keeps, in the order of its groups."""
    result: Mask = {}
    start = 0
    for name, keep in mask.items():
        values = alive[name].copy()
        count = int(np.count_nonzero(values))
        values[values] = stays[start : start + count]
        result[name] = torch.from_numpy(values).view(keep.shape)
        start += count
    return result


def numbers(score: Tensor, keep: Tensor) -> np.ndarray:
    """The scores of a group as an array in its shape, in a floating point type that does not change their order.

    Raises PrunebenchError if the score of a unit that `keep` has is NaN.
    """
    # float32 would round ranks and counts above 2²⁴, and with them their order.
    exact = score.dtype in (torch.float64, torch.int32, torch.int64)
    values: np.ndarray = score.detach().to(torch.float64 if exact else torch.float32).cpu().numpy()
    if (np.isnan(values) & keep.numpy()).any():
        raise PrunebenchError("a score is NaN", "expected a number for every unit that is not pruned yet")
    return values


def check_scores(scores: Mapping[str, Tensor], mask: Mapping[str, Tensor]) -> None:
    """Raise PrunebenchError unless scores and mask have the same names and shapes."""
    missing, extra = sorted(set(mask) - set(scores)), sorted(set(scores) - set(mask))
    if missing or extra:
        reason = f"no score for {missing[0]!r}" if missing else f"a score for {extra[0]!r}, which is not prunable here"
        raise PrunebenchError(reason, f"expected one for each of {', '.join(list(mask)[:3])}, …")
    for name, keep in mask.items():
        if scores[name].shape != keep.shape:
            raise PrunebenchError(
                f"the score of {name!r} has shape {tuple(scores[name].shape)}", f"expected {tuple(keep.shape)}"
            )


def shuffle(mask: Mapping[str, Tensor], counts: str, generator: torch.Generator) -> Mask:
    """A random mask with the counts of `mask` in each group (`counts="layer"`) or over all groups ("global").

    The ranks of the units are drawn from `generator` and do not depend on `mask`, so the masks of one seed are nested
    across sparsities.
    """
    ranks, everything = random_ranks(mask, generator)
    if counts == "global":
        return top_k(ranks, everything, pruned(mask))
    return {
        name: top_k({name: ranks[name]}, {name: everything[name]}, pruned({name: keep}))[name]
        for name, keep in mask.items()
    }


def random_ranks(mask: Mapping[str, Tensor], generator: torch.Generator) -> tuple[dict[str, Tensor], Mask]:
    """A random number in [0, 1) for each unit, in float64, and the mask in which all units stay."""
    ranks = {name: torch.rand(keep.shape, generator=generator, dtype=torch.float64) for name, keep in mask.items()}
    return ranks, full({name: tuple(keep.shape) for name, keep in mask.items()})


def pack(mask: Mapping[str, Tensor], seconds: float | None = None) -> bytes:
    """The mask as a file (see `bitmask`)."""
    return bitmask.pack({name: keep.numpy() for name, keep in mask.items()}, seconds)


def unpack(data: bytes) -> Mask:
    """The inverse of `pack`, including the order of the groups.

    Raises:
        ValueError: if the bits do not match their checksum.
    """
    return from_bits(bitmask.unpack(data))


def from_bits(packed: bitmask.Bitmask) -> Mask:
    """The mask as booleans by group."""
    return {name: torch.from_numpy(packed.group(name)) for name in packed.shapes}
