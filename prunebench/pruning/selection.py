"""Select units by their scores within a scope, or along a pattern (see `recipes.axes`), with exact counts.

Each part of a scope loses its share of units, and within a part the lowest scores go. `quotas.apportion` rounds the
shares such that their sum is exact. Blocks are selected like single weights: the score of a block is the sum of its
weights' scores.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.pruning import masks
from prunebench.pruning.masks import Mask
from prunebench.pruning.quotas import apportion, erk_densities
from prunebench.recipes.axes import NM, Blocks, Pattern, Scope, check_division, check_scope, required_count


def select(
    scores: Mapping[str, Tensor],
    mask: Mapping[str, Tensor],
    sparsity: float,
    scope: Scope = "global",
    pattern: Pattern | None = None,
) -> Mask:
    """The mask with exactly `required_count` pruned units: those of `mask`, then those with the lowest scores.

    Ties are pruned in the order of the groups and of the units in them. Infinite scores are allowed. Below the sparsity
    of an n:m pattern, at least n of each m weights stay, so that a later mask can follow it. A block that has lost a
    weight in `mask` goes as a whole. Scope and pattern None give the mask of `masks.top_k`.

    Raises:
        PrunebenchError: if names or shapes differ, a score is NaN, `mask` has too many pruned units, a scope or a
            pattern meets groups that are no matrices or that it does not divide, or an n:m pattern has another scope
            than "global" or less sparsity than asked for.
    """
    masks.check_scores(scores, mask)
    shapes = {name: tuple(keep.shape) for name, keep in mask.items()}
    check_scope(scope, shapes)
    target = required_count(pattern, sparsity, shapes)
    if isinstance(pattern, NM):
        if scope != "global":
            raise PrunebenchError(f"pattern {pattern} leaves no choice to scope {scope!r}", "leave out the scope")
        return _select_n_of_m(scores, mask, target, pattern)
    if scope == "erk":
        shares = {name: 1 - density for name, density in erk_densities(shapes, sparsity).items()}
    else:
        shares = dict.fromkeys(shapes, sparsity)
    if isinstance(pattern, Blocks):
        return _select_blocks(scores, mask, shares, target, scope, pattern)
    return _select_units(scores, mask, shares, target, scope)


def violations(mask: Mapping[str, Tensor], pattern: Pattern) -> dict[str, int]:
    """By group, how many tiles of `pattern` break it, without the groups in which none does.

    A tile breaks n:m if more than n of its weights stay, and a pattern of blocks if some of its weights stay and some
    do not.

    Raises PrunebenchError if the pattern does not divide the shape of a group.
    """
    check_division(pattern, {name: tuple(keep.shape) for name, keep in mask.items()})
    counts = {name: _over_tiles(np.add, keep.numpy().astype(np.int32), pattern) for name, keep in mask.items()}
    if isinstance(pattern, NM):
        numbers = {name: int((stays > pattern.keep).sum()) for name, stays in counts.items()}
    else:
        numbers = {name: int(((stays > 0) & (stays < pattern.size)).sum()) for name, stays in counts.items()}
    return {name: number for name, number in numbers.items() if number}


def satisfies(mask: Mapping[str, Tensor], pattern: Pattern) -> bool:
    """Whether `mask` follows the pattern. See `violations`."""
    return not violations(mask, pattern)


def _select_units(
    scores: Mapping[str, Tensor], mask: Mapping[str, Tensor], shares: Mapping[str, float], target: int, scope: Scope
) -> Mask:
    """Prune to `target` units, the fraction `shares` of each group unless the scope is global."""
    if scope == "global":
        return masks.top_k(scores, mask, target)
    if scope == "row":
        return _select_in_rows(scores, mask, shares, target)
    counts = apportion(
        [shares[name] * keep.numel() for name, keep in mask.items()],
        [masks.pruned({name: keep}) for name, keep in mask.items()],
        [keep.numel() for keep in mask.values()],
        target,
    )
    result: Mask = {}
    for (name, keep), count in zip(mask.items(), counts, strict=True):
        result |= masks.top_k({name: scores[name]}, {name: keep}, int(count))
    return result


def _select_in_rows(
    scores: Mapping[str, Tensor], mask: Mapping[str, Tensor], shares: Mapping[str, float], target: int
) -> Mask:
    alive = {name: keep.numpy() for name, keep in mask.items()}
    columns = np.concatenate([np.full(len(keep), keep.shape[1]) for keep in alive.values()])
    quotas = np.concatenate([np.full(len(keep), shares[name] * keep.shape[1]) for name, keep in alive.items()])
    lower = columns - np.concatenate([np.count_nonzero(keep, axis=1) for keep in alive.values()])
    counts = apportion(quotas, lower, columns, target)
    parts = np.split(counts, np.cumsum([len(keep) for keep in alive.values()])[:-1])
    return {
        name: torch.from_numpy(_prune_rows(masks.numbers(scores[name], keep), alive[name], part))
        for (name, keep), part in zip(mask.items(), parts, strict=True)
    }


def _prune_rows(values: np.ndarray, alive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`alive` without the lowest values of each row, so that `counts` units of it are gone; ties go by position.

    Values and `alive` have shape (rows, units), counts (rows,). Each row has at most its count of pruned units.
    """
    # A full sort is as fast as np.partition with one count for all rows, and faster with several.
    lowest = np.sort(np.where(alive, values, -np.inf), axis=1)
    threshold = np.take_along_axis(lowest, np.maximum(counts - 1, 0)[:, None], axis=1)
    stays: np.ndarray = alive & (values > threshold)
    missing = values.shape[1] - counts - np.count_nonzero(stays, axis=1)
    rows = np.flatnonzero(missing)
    ties = alive[rows] & (values[rows] == threshold[rows])
    later = np.cumsum(ties, axis=1) > (np.count_nonzero(ties, axis=1) - missing[rows])[:, None]
    stays[rows] |= ties & later
    return stays


def _select_n_of_m(scores: Mapping[str, Tensor], mask: Mapping[str, Tensor], target: int, pattern: NM) -> Mask:
    """Prune to `target` units, the lowest scores first, but never a weight that stays in a mask of the pattern."""
    stays: Mask = {}
    for name, keep in mask.items():
        alive = keep.numpy().reshape(-1, pattern.of)
        if (np.count_nonzero(alive, axis=1) < pattern.keep).any():
            raise PrunebenchError(
                f"{name!r} is pruned too far for pattern {pattern}",
                f"expected at least {pattern.keep} of each {pattern.of} weights to be left",
            )
        counts = np.full(len(alive), pattern.of - pattern.keep)
        values = masks.numbers(scores[name], keep).reshape(-1, pattern.of)
        stays[name] = torch.from_numpy(_prune_rows(values, alive, counts)).view(keep.shape)
    if target == masks.pruned(stays):
        return stays
    may_go = {name: keep & ~stays[name] for name, keep in mask.items()}
    left = masks.top_k(scores, may_go, target + masks.units(stays) - masks.pruned(stays))
    return {name: keep | stays[name] for name, keep in left.items()}


def _select_blocks(
    scores: Mapping[str, Tensor],
    mask: Mapping[str, Tensor],
    shares: Mapping[str, float],
    target: int,
    scope: Scope,
    pattern: Blocks,
) -> Mask:
    """Select blocks like units, with one score and one bit each, and give all weights of a block its bit."""
    whole = {name: torch.from_numpy(_over_tiles(np.logical_and, keep.numpy(), pattern)) for name, keep in mask.items()}
    if masks.pruned(whole) > target // pattern.size:
        raise PrunebenchError(
            f"cannot prune to {target // pattern.size} blocks of {pattern}: {masks.pruned(whole)} of "
            f"{masks.units(whole)} have pruned weights already"
        )
    sums = {name: _block_sums(scores[name], keep, pattern) for name, keep in mask.items()}
    blocks = _select_units(sums, whole, shares, target // pattern.size, scope)
    return {
        name: stays[:, None, :, None].expand(-1, pattern.rows, -1, pattern.columns).reshape(mask[name].shape)
        for name, stays in blocks.items()
    }


def _block_sums(score: Tensor, keep: Tensor, pattern: Blocks) -> Tensor:
    """The sum of the scores of each block, in float64. Only those of whole blocks matter: the others go anyway."""
    values = masks.numbers(score, keep).astype(np.float64, copy=False)
    # ∞ − ∞ is NaN, which selection refuses.
    with np.errstate(invalid="ignore"):
        return torch.from_numpy(_over_tiles(np.add, values, pattern))


def _over_tiles(reduce: np.ufunc, matrix: np.ndarray, pattern: Pattern) -> np.ndarray:
    """A number for each tile of a matrix, of shape (tiles down, tiles across)."""
    rows, columns = pattern.tile
    # Along the rows first: their units are contiguous, which is several times as fast as both axes at once.
    strips = reduce.reduce(matrix.reshape(-1, rows, matrix.shape[1]), axis=1)
    result: np.ndarray = reduce.reduce(strips.reshape(len(strips), -1, columns), axis=2)
    return result
