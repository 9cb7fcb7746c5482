"""Random masks with the counts of a mask, which follow its pattern."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from pruning.test_selection import BLOCKS, N_OF_M, draw_scores, shapes_of

from prunebench.pruning import masks
from prunebench.pruning.selection import satisfies, select, shuffle
from prunebench.recipes.axes import NM


@given(st.data(), BLOCKS | N_OF_M, st.sampled_from(["layer", "global"]), st.floats(0, 1), st.integers(0, 10**6))
def test_a_random_mask_has_the_counts_and_the_pattern(data, pattern, counts, share, seed):
    """At levels below n:m, at least n weights of each tile stay; then a later mask can still follow it."""
    shapes = data.draw(shapes_of(pattern))
    level = share * pattern.level if isinstance(pattern, NM) else 0.99 * share
    mask = select(draw_scores(shapes, seed, 1000, pattern), masks.full(shapes), level, pattern=pattern)
    first, again = (shuffle(mask, counts, torch.Generator().manual_seed(seed), pattern) for _ in range(2))
    assert masks.pruned(first) == masks.pruned(mask)
    if counts == "layer":
        assert {name: int(keep.sum()) for name, keep in first.items()} == {n: int(k.sum()) for n, k in mask.items()}
    assert all(torch.equal(first[name], again[name]) for name in mask)
    if isinstance(pattern, NM):
        assert all((keep.view(-1, pattern.of).sum(dim=1) >= pattern.keep).all() for keep in first.values())
    if pattern is not None and satisfies(mask, pattern):
        assert satisfies(first, pattern)


def test_random_tiles_are_uniform():
    """Each of four weights stays in half of 3000 tiles, within five standard deviations of a binomial."""
    mask = {"a": torch.tensor([True, True, False, False]).repeat(3000, 1)}
    counts = shuffle(mask, "layer", torch.Generator().manual_seed(0), NM(2, 4))["a"].sum(dim=0)
    assert (counts - 1500).abs().max() < 5 * np.sqrt(3000 * 0.25)
