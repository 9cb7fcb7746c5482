"""Masks against brute force: counts are exact, even with ties."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import PrunebenchError
from prunebench.pruning import masks
from prunebench.pruning.bitmask import overlap, unpack

SHAPES = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1)


def draw_scores(shapes, seed, values):
    """Scores with few different values, so that there are many ties."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randint(values, shape, generator=generator).float() for name, shape in shapes.items()}


def brute_force(scores, mask, target):
    """Sort all remaining units by score and position, one by one in Python."""
    units = [
        (scores[name].flatten()[i].item(), order, i, name)
        for order, name in enumerate(mask)
        for i in range(mask[name].numel())
        if mask[name].flatten()[i]
    ]
    more = target - sum(int((~keep).sum()) for keep in mask.values())
    result = {name: keep.clone() for name, keep in mask.items()}
    for _, _, i, name in sorted(units)[:more]:
        result[name].view(-1)[i] = False
    return result


@settings(deadline=None)
@given(SHAPES, st.integers(0, 10**6), st.integers(1, 5), st.floats(0, 1), st.floats(0, 1))
def test_top_k_equals_the_brute_force_with_ties(shapes, seed, values, first, second):
    full = masks.full(shapes)
    low, high = sorted((int(first * masks.units(full)), int(second * masks.units(full))))
    before = masks.top_k(draw_scores(shapes, seed, values), full, low)
    scores = draw_scores(shapes, seed + 1, values)
    after = masks.top_k(scores, before, high)
    expected = brute_force(scores, before, high)
    assert masks.pruned(after) == high
    for name in full:
        assert torch.equal(after[name], expected[name])
        assert not (after[name] & ~before[name]).any(), "pruned units stay pruned"


@given(st.integers(0, 999), st.integers(1, 10**8))
def test_counts_round_half_up_in_decimals(thousandths, units):
    exact = (Decimal(thousandths) / 1000 * units).quantize(Decimal(1), ROUND_HALF_UP)
    assert masks.pruned_count(thousandths / 1000, units) == int(exact)


def test_a_count_that_binary_fractions_would_miss():
    # 0.7 · 85 is 59.5 in decimals and a little less in binary.
    assert masks.pruned_count(0.7, 85) == 60


def test_infinite_scores_count_as_the_largest_and_smallest():
    full = masks.full({"a": (4,)})
    scores = {"a": torch.tensor([torch.inf, 0.0, -torch.inf, 1.0])}
    assert masks.top_k(scores, full, 2)["a"].tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("scores", "target", "message"),
    [
        ({"a": torch.tensor([1.0, torch.nan])}, 1, "NaN"),
        ({"b": torch.zeros(2)}, 1, "no score for 'a'"),
        ({"a": torch.zeros(2), "b": torch.zeros(2)}, 1, "not prunable"),
        ({"a": torch.zeros(3)}, 1, "shape"),
        ({"a": torch.zeros(2)}, 3, "cannot prune to 3"),
    ],
)
def test_bad_scores_are_refused(scores, target, message):
    with pytest.raises(PrunebenchError, match=message):
        masks.top_k(scores, masks.full({"a": (2,)}), target)


def test_pruned_units_never_return():
    mask = {"a": torch.tensor([True, False, False])}
    with pytest.raises(PrunebenchError, match="pruned already"):
        masks.top_k({"a": torch.zeros(3)}, mask, 1)


def test_shuffled_masks_are_uniform():
    """Each of 6 units is kept in half of 2000 draws, within five standard deviations of a binomial."""
    mask = {"a": torch.tensor([True, True, True, False, False, False])}
    generator = torch.Generator().manual_seed(0)
    counts = sum(masks.shuffle(mask, "layer", generator)["a"].int() for _ in range(2000))
    assert (counts - 1000).abs().max() < 5 * np.sqrt(2000 * 0.25)


@settings(deadline=None)
@given(SHAPES, st.integers(0, 10**6))
def test_unpack_is_the_inverse_of_pack(shapes, seed):
    mask = {name: values > 0 for name, values in draw_scores(shapes, seed, 2).items()}
    again = masks.unpack(masks.pack(mask))
    assert list(again) == list(mask)
    assert all(torch.equal(again[name], mask[name]) for name in mask)


def test_a_packed_mask_has_one_bit_per_unit():
    mask = {"a": torch.ones(512, 512, dtype=torch.bool)}
    assert len(masks.pack(mask)) < 512 * 512 / 8 + 300


@settings(deadline=None)
@given(SHAPES, st.integers(0, 10**6), st.floats(0, 1))
def test_overlap_is_counted_unit_by_unit(shapes, seed, share):
    generator = torch.Generator().manual_seed(seed)
    one, other = (
        {name: torch.rand(shape, generator=generator) < share for name, shape in shapes.items()} for _ in range(2)
    )
    for name, result in overlap(*(unpack(masks.pack(mask)) for mask in (one, other))).items():
        pairs = list(zip(one[name].flatten().tolist(), other[name].flatten().tolist(), strict=True))
        both, either = sum(a and b for a, b in pairs), sum(a or b for a, b in pairs)
        assert (result.units, result.both, result.either) == (len(pairs), both, either)
        assert (result.one, result.other) == (sum(a for a, _ in pairs), sum(b for _, b in pairs))
        assert result.jaccard == (both / either if either else 1)
        assert result.agreement == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))


def test_masks_of_different_shapes_have_no_overlap():
    one, other = (unpack(masks.pack(masks.full({"a": shape}))) for shape in ((2, 3), (3, 2)))
    with pytest.raises(ValueError, match="do not have the same groups and shapes"):
        overlap(one, other)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
def test_scores_keep_their_precision(dtype):
    """2²⁴ and 2²⁴ + 1 are one number in float32, in which the first of them would go."""
    scores = {"a": torch.tensor([2**24 + 1, 2**24], dtype=dtype)}
    assert masks.top_k(scores, masks.full({"a": (2,)}), 1)["a"].tolist() == [True, False]
