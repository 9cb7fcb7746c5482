"""Selection within scopes and along patterns, against brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunebench import PrunebenchError
from prunebench.pruning import masks
from prunebench.pruning.quotas import apportion, erk_densities
from prunebench.pruning.selection import satisfies, select, violations
from prunebench.recipes.axes import NM, SCOPES, Blocks, required_count

BLOCKS = st.sampled_from((None, Blocks(4, 1), Blocks(1, 3), Blocks(2, 2)))
N_OF_M = st.sampled_from((NM(2, 4), NM(1, 4), NM(1, 3), NM(5, 12)))
SPARSITIES = st.integers(0, 99).map(lambda percent: percent / 100)


@st.composite
def shapes_of(draw, pattern):
    """Up to three matrices of up to 5 × 5 tiles of a pattern: a group may be one tile, without a pattern one weight."""
    rows, columns = pattern.tile if pattern else (1, 1)
    tiles = draw(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=3))
    return {name: (down * rows, across * columns) for name, (down, across) in zip("abc", tiles, strict=False)}


def draw_scores(shapes, seed, values, pattern=None):
    """Scores with few different values, so that there are many ties, and infinite ones among them.

    Blocks have one sign of infinity, as their scores are summed.
    """
    generator = torch.Generator().manual_seed(seed)
    scores = {name: torch.randint(values, shape, generator=generator).float() for name, shape in shapes.items()}
    sign = -1 if seed % 2 else 1
    for score in scores.values():
        score[score == 1] = -sign * torch.inf if not isinstance(pattern, Blocks) else 1.0
        score[score == 0] = sign * torch.inf
    return scores


def parts(mask, scope):
    """The positions of each part, as (group, row, column): what a scope compares."""
    units = [(name, *index) for name, keep in mask.items() for index in np.ndindex(*keep.shape)]
    key = {"global": lambda unit: 0, "row": lambda unit: unit[:2]}.get(scope, lambda unit: unit[0])
    return [list(group) for _, group in itertools.groupby(units, key)]


def as_blocks(tensors, pattern, reduce):
    """One number for each block, summed or compared in Python."""
    rows, columns = (pattern.rows, pattern.columns) if pattern else (1, 1)
    result = {}
    for name, tensor in tensors.items():
        shape = (tensor.shape[0] // rows, tensor.shape[1] // columns)
        cells = [
            reduce(tensor[r * rows : (r + 1) * rows, c * columns : (c + 1) * columns].flatten().tolist())
            for r, c in np.ndindex(*shape)
        ]
        result[name] = torch.tensor(cells).reshape(shape)
    return result


def check_lowest_go(scores, before, after, scope):
    """Within each part, the units that went have lower scores than those that stay, or the same and come first."""
    for part in parts(before, scope):
        rank = {unit: (scores[unit[0]][unit[1:]].item(), i) for i, unit in enumerate(part)}
        stay = [rank[unit] for unit in part if after[unit[0]][unit[1:]]]
        went = [rank[unit] for unit in part if before[unit[0]][unit[1:]] and not after[unit[0]][unit[1:]]]
        assert not stay or not went or max(went) < min(stay)


@given(st.data(), st.integers(0, 10**6), st.integers(1, 6), SPARSITIES, SPARSITIES, BLOCKS)
def test_the_lowest_of_each_part_go_and_counts_are_exact(data, seed, values, first, second, pattern):
    """Also if another scope has pruned some parts more than their share before."""
    shapes, (low, high) = data.draw(shapes_of(pattern)), sorted((first, second))
    full, earlier, scope = masks.full(shapes), data.draw(st.sampled_from(SCOPES)), data.draw(st.sampled_from(SCOPES))
    before = select(draw_scores(shapes, seed, values, pattern), full, low, earlier, pattern)
    scores = draw_scores(shapes, seed + 1, values, pattern)
    after = select(scores, before, high, scope, pattern)
    assert list(after) == list(full)
    assert masks.pruned(before) == required_count(pattern, low, shapes)
    assert masks.pruned(after) == required_count(pattern, high, shapes)
    assert not any((after[name] & ~before[name]).any() for name in full), "pruned units stay pruned"
    whole = [as_blocks(mask, pattern, all) for mask in (before, after)]
    assert all(torch.equal(whole[1][name], some) for name, some in as_blocks(after, pattern, any).items())
    check_lowest_go(as_blocks(scores, pattern, sum), *whole, scope)


@given(st.data(), st.integers(0, 10**6), SPARSITIES, st.sampled_from(("layer", "row")), BLOCKS)
def test_every_part_loses_its_share(data, seed, sparsity, scope, pattern):
    """Up to one unit, by which the sum of all parts is exact."""
    shapes = data.draw(shapes_of(pattern))
    after = select(draw_scores(shapes, seed, 1000, pattern), masks.full(shapes), sparsity, scope, pattern)
    blocks = as_blocks(after, pattern, all)
    for part in parts(blocks, scope):
        pruned = sum(not blocks[unit[0]][unit[1:]] for unit in part)
        assert abs(pruned - sparsity * len(part)) < 1


def test_rows_by_hand():
    scores = {"a": torch.tensor([[1.0, 2, 3, 4], [30.0, 20, 20, 20]])}
    after = select(scores, masks.full({"a": (2, 4)}), 0.5, "row")
    assert after["a"].int().tolist() == [[0, 0, 1, 1], [1, 0, 0, 1]]
    assert select(scores, masks.full({"a": (2, 4)}), 0.5, "layer")["a"].int().tolist() == [[0] * 4, [1] * 4]


def test_heads_are_compared_within_their_layer():
    scores = {"layer.0.heads": torch.tensor([1.0, 2, 3, 4]), "layer.1.heads": torch.tensor([8.0, 7, 6, 5])}
    after = select(scores, masks.full({name: (4,) for name in scores}), 0.5, "layer")
    assert {name: keep.int().tolist() for name, keep in after.items()} == {
        "layer.0.heads": [0, 0, 1, 1],
        "layer.1.heads": [1, 1, 0, 0],
    }


def test_blocks_by_hand():
    """The sums are 11, 2, 3 and 4; of their weights alone, the second and third column have the two lowest scores."""
    scores = {"a": torch.tensor([[10.0, 1, 0, 2], [1.0, 1, 3, 2]])}
    after = select(scores, masks.full({"a": (2, 4)}), 0.5, pattern=Blocks(2, 1))
    assert after["a"].int().tolist() == [[1, 0, 0, 1], [1, 0, 0, 1]]


def test_a_block_that_has_lost_a_weight_goes_whatever_its_score():
    mask = masks.full({"a": (2, 4)})
    mask["a"][1, 0] = False
    scores = {"a": torch.tensor([[100.0, 1, 2, 3], [torch.nan, 1, 2, 3]])}
    after = select(scores, mask, 0.25, pattern=Blocks(2, 1))
    assert after["a"].int().tolist() == [[0, 1, 1, 1]] * 2
    mask["a"][0, 1] = False
    with pytest.raises(PrunebenchError, match="cannot prune to 1 blocks of 2x1: 2 of 4 have pruned weights already"):
        select(scores, mask, 0.25, pattern=Blocks(2, 1))


@given(st.data(), N_OF_M, st.integers(0, 10**6), st.integers(1, 6))
def test_n_of_m_takes_the_lowest_scores_that_tiles_can_spare(data, pattern, seed, values):
    """At its sparsity and below, twice in a row, against a loop, and from a mask that is pruned already.

    The loop takes the lowest score whose tile has a weight to spare, so that the way to the pattern stays open.
    """
    shapes = data.draw(shapes_of(pattern))
    scores, mask, generator = draw_scores(shapes, seed, values), masks.full(shapes), torch.Generator().manual_seed(seed)
    for keep in mask.values():
        keep.view(-1, pattern.of)[:, 1] = torch.rand(keep.numel() // pattern.of, generator=generator) < 0.5
    levels = st.floats(masks.pruned(mask) / masks.units(mask), pattern.level)
    for level in [*sorted(data.draw(st.tuples(levels, levels))), pattern.level]:
        order = sorted(
            (score, group, i)
            for group, name in enumerate(shapes)
            for i, score in enumerate(scores[name].flatten().tolist())
            if mask[name].flatten()[i]
        )
        expected = {name: keep.clone() for name, keep in mask.items()}
        names, target = list(shapes), required_count(pattern, level, shapes)
        missing = target - masks.pruned(mask)
        for _, group, i in order:
            tile = expected[names[group]].view(-1, pattern.of)[i // pattern.of]
            if missing and tile.sum() > pattern.keep:
                tile[i % pattern.of] = False
                missing -= 1
        mask = select(scores, mask, level, pattern=pattern)
        assert masks.pruned(mask) == target
        assert all(torch.equal(mask[name], expected[name]) for name in shapes)
    assert satisfies(mask, pattern)


def test_n_of_m_refuses_scopes_and_masks_that_are_pruned_too_far():
    mask = masks.full({"a": (1, 4), "b": (1, 4)})
    scores = {name: torch.ones(1, 4) for name in mask}
    with pytest.raises(PrunebenchError, match="2:4 leaves no choice to scope 'row'"):
        select(scores, mask, 0.5, "row", NM(2, 4))
    mask["b"][0, :3] = False
    with pytest.raises(PrunebenchError, match="'b' is pruned too far for pattern 2:4"):
        select(scores, mask, 0.5, pattern=NM(2, 4))


def test_violations_are_counted_by_group():
    mask = {"a": torch.tensor([[1, 1, 0, 0, 1, 1, 1, 0]] * 2).bool(), "b": torch.tensor([[0, 0, 0, 1]] * 2).bool()}
    assert violations(mask, NM(2, 4)) == {"a": 2}
    assert violations(mask, NM(3, 4)) == {}
    assert violations(mask, Blocks(2, 1)) == {}
    assert violations(mask, Blocks(1, 2)) == {"a": 2, "b": 2}
    assert satisfies(mask, Blocks(2, 1))
    assert not satisfies(mask, Blocks(2, 4))
    with pytest.raises(PrunebenchError, match="4x1 does not divide 'a'"):
        violations(mask, Blocks(4, 1))


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("pattern", [None, Blocks(2, 1)])
def test_a_score_that_is_nan_is_refused(scope, pattern):
    scores = {"a": torch.zeros(2, 2)}
    scores["a"][1, 0] = torch.nan
    with pytest.raises(PrunebenchError, match="a score is NaN"):
        select(scores, masks.full({"a": (2, 2)}), 0.5, scope, pattern)


def test_a_block_of_opposite_infinities_is_refused():
    with pytest.raises(PrunebenchError, match="a score is NaN"):
        select({"a": torch.tensor([[torch.inf, -torch.inf]])}, masks.full({"a": (1, 2)}), 0, pattern=Blocks(1, 2))


def test_a_score_that_is_nan_is_refused_for_n_of_m():
    with pytest.raises(PrunebenchError, match="a score is NaN"):
        select({"a": torch.full((1, 4), torch.nan)}, masks.full({"a": (1, 4)}), 0.5, pattern=NM(2, 4))


@pytest.mark.parametrize("scope", SCOPES)
def test_too_many_pruned_units_are_refused(scope):
    with pytest.raises(PrunebenchError, match="cannot prune to 1 units: 4 of 4 are pruned already"):
        select({"a": torch.zeros(2, 2)}, {"a": torch.zeros(2, 2, dtype=torch.bool)}, 0.25, scope)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
@pytest.mark.parametrize(("scope", "pattern"), [("row", None), ("layer", None), ("global", NM(1, 2))])
def test_scores_keep_their_precision(dtype, scope, pattern):
    """2²⁴ and 2²⁴ + 1 are one number in float32, in which the first of them would go."""
    scores = {"a": torch.tensor([[2**24 + 1, 2**24]], dtype=dtype)}
    assert select(scores, masks.full({"a": (1, 2)}), 0.5, scope, pattern)["a"].tolist() == [[True, False]]


@given(st.data())
def test_apportion_equals_the_brute_force(data):
    """The nearest integers within their bounds, of all that have the sum."""
    bounds = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4))
    lower, upper = [low for low, _ in bounds], [low + span for low, span in bounds]
    quotas = [data.draw(st.floats(0, 6)) for _ in bounds]
    total = data.draw(st.integers(sum(lower), sum(upper)))
    counts = apportion(quotas, lower, upper, total).tolist()
    goals = move(quotas, lower, upper, total)
    vectors = itertools.product(*(range(low, high + 1) for low, high in zip(lower, upper, strict=True)))
    best = min(math.dist(vector, goals) for vector in vectors if sum(vector) == total)
    assert sum(counts) == total
    assert all(low <= count <= high for low, count, high in zip(lower, counts, upper, strict=True))
    assert math.dist(counts, goals) == pytest.approx(best)


def move(quotas, lower, upper, total):
    """The quotas within their bounds, and all moved the same fraction towards one of them if their sum is far off."""
    inside = [min(max(q, low), high) for q, low, high in zip(quotas, lower, upper, strict=True)]
    missing = total - sum(inside)
    if abs(missing) < 1:
        return inside
    ends = upper if missing > 0 else lower
    fraction = missing / sum(end - goal for end, goal in zip(ends, inside, strict=True))
    return [goal + fraction * (end - goal) for goal, end in zip(inside, ends, strict=True)]


@given(st.lists(st.integers(1, 10**4), min_size=1, max_size=50), st.integers(0, 999))
def test_uniform_shares_are_rounded_up_or_down(sizes, thousandths):
    sparsity = thousandths / 1000
    total = masks.pruned_count(sparsity, sum(sizes))
    counts = apportion([sparsity * size for size in sizes], [0] * len(sizes), sizes, total)
    assert counts.sum() == total
    assert all(abs(count - sparsity * size) < 1 for count, size in zip(counts.tolist(), sizes, strict=True))


def test_apportion_by_hand():
    assert apportion([1.5, 1.5, 1.5], [0] * 3, [9] * 3, 5).tolist() == [2, 2, 1]  # the first of equal remainders
    assert apportion([0.5, 0.25] * 500, [0] * 1000, [1] * 1000, 375).tolist() == [1, 0] * 375 + [0] * 250
    assert apportion([1.2, 1.7, 1.1], [0] * 3, [9] * 3, 4).tolist() == [1, 2, 1]  # the largest remainder
    assert apportion([4, 4], [7, 0], [9, 9], 8).tolist() == [7, 1]
    with pytest.raises(PrunebenchError, match="cannot prune to 3 units: 4 of 9 are pruned already"):
        apportion([1, 2], [4, 0], [4, 5], 3)


def test_erk_densities_by_hand():
    """Densities ε·(n_in + n_out)/(n_in·n_out): with 0.75·(64 + 256 + 1024) = 1008 weights gone, ε = 336/112 = 3."""
    shapes = {"a": (8, 8), "b": (8, 32), "c": (16, 64)}
    # ε·(16 + 40 + 80) = 336 would be 2.47…, all densities below 1.
    epsilon = 336 / (16 + 40 + 80)
    densities = erk_densities(shapes, 0.75)
    assert densities == pytest.approx({"a": epsilon * 16 / 64, "b": epsilon * 40 / 256, "c": epsilon * 80 / 1024})


def test_a_matrix_whose_density_would_exceed_one_stays_dense():
    """At sparsity 0.5 of 64 + 1024 weights, ε = 544/(16 + 80) gives the small one density 1.42."""
    shapes = {"a": (8, 8), "c": (16, 64)}
    assert erk_densities(shapes, 0.5) == pytest.approx({"a": 1, "c": (544 - 64) / 1024})
    scores = {name: torch.rand(shape) for name, shape in shapes.items()}
    after = select(scores, masks.full(shapes), 0.5, "erk")
    assert {name: int(keep.sum()) for name, keep in after.items()} == {"a": 64, "c": 480}


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1),
    SPARSITIES,
)
def test_erk_densities_have_the_sparsity_and_the_proportions_of_the_paper(shapes, sparsity):
    densities = erk_densities(shapes, sparsity)
    stay = sum(densities[name] * math.prod(shape) for name, shape in shapes.items())
    assert stay == pytest.approx((1 - sparsity) * sum(map(math.prod, shapes.values())))
    assert all(0 <= density <= 1 for density in densities.values())
    raw = {name: sum(shape) / math.prod(shape) for name, shape in shapes.items()}
    scales = {name: densities[name] / raw[name] for name in shapes}
    largest = max(scales.values())
    for name in shapes:
        # Either ε is the same as elsewhere, or the matrix is dense, because ε would take it above 1.
        assert scales[name] == pytest.approx(largest) or densities[name] == 1
