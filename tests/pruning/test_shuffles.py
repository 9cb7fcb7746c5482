"""Random masks that follow a pattern."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prunebench.pruning import masks
from prunebench.pruning.selection import satisfies, select, shuffle
from prunebench.recipes.axes import NM, Blocks


@pytest.mark.parametrize("counts", ["layer", "global"])
@pytest.mark.parametrize(
    ("pattern", "sparsity"), [(NM(2, 4), 0.5), (NM(1, 4), 0.75), (NM(2, 4), 0.3), (Blocks(4, 2), 0.3)]
)
def test_random_masks_follow_a_pattern_with_the_same_counts(pattern, sparsity, counts):
    scores = {name: torch.rand(shape) for name, shape in {"a": (8, 16), "b": (16, 8)}.items()}
    scores["a"] *= 2
    mask = select(
        scores, masks.full({name: tuple(each.shape) for name, each in scores.items()}), sparsity, pattern=pattern
    )
    first, again, other = (shuffle(mask, counts, torch.Generator().manual_seed(seed), pattern) for seed in (0, 0, 1))
    assert satisfies(mask, pattern) == satisfies(first, pattern)
    assert masks.pruned(first) == masks.pruned(mask)
    if counts == "layer":
        assert {name: int(keep.sum()) for name, keep in first.items()} == {n: int(k.sum()) for n, k in mask.items()}
    assert all(torch.equal(first[name], again[name]) for name in mask)
    assert not all(torch.equal(first[name], other[name]) for name in mask)


def test_random_tiles_are_uniform():
    """Each of four weights stays in half of 3000 tiles, within five standard deviations of a binomial."""
    mask = {"a": torch.tensor([True, True, False, False]).repeat(3000, 1)}
    counts = shuffle(mask, "layer", torch.Generator().manual_seed(0), NM(2, 4))["a"].sum(dim=0)
    assert (counts - 1500).abs().max() < 5 * np.sqrt(3000 * 0.25)
