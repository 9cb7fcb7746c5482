"""oBERT against the formulas of the paper with whole inverses, on single examples, and in real runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prunebench_obs.obert import OBert

import prunebench
from prunebench import Prune, Train
from prunebench.hooks.registry import Registry
from prunebench.pruning import masks
from prunebench.testing import context

# 6 does not divide the 64 and 96 weights of a matrix.
SIZE, DAMPING = 6, 1e-6


def gradients(ctx):
    """By parameter name, the gradient of each example's loss: (examples, weights)."""
    rows = {name: [] for name in ctx.weights}
    for batch in ctx.batches():
        for i, length in enumerate(batch["attention_mask"].sum(dim=1).tolist()):
            example = {name: v[i : i + 1, :length] if v.dim() == 2 else v[i : i + 1] for name, v in batch.items()}
            slopes = torch.autograd.grad(ctx.loss(example), [ctx.model.get_parameter(name) for name in rows])
            for row, slope in zip(rows.values(), slopes, strict=True):
                row.append(slope.numpy().ravel())
    return {name: np.array(row) for name, row in rows.items()}


def blocks_of(ctx):
    """For each block: the name of the matrix, the positions of its weights, and its F."""
    for name, rows in gradients(ctx).items():
        rows = rows * ctx.mask[name].numpy().ravel()
        for start in range(0, rows.shape[1], SIZE):
            positions = np.arange(start, min(start + SIZE, rows.shape[1]))
            own = rows[:, positions]
            yield name, positions, own.T @ own / len(own) + DAMPING * np.eye(len(positions))


@pytest.mark.parametrize("pruned_before", [False, True])
def test_mask_and_weights_are_those_of_the_formulas(pruned_before):
    ctx = context()
    if pruned_before:
        for name, weight in ctx.weights.items():
            ctx.mask[name][:, ::3] = False
            weight[:, ::3] = 0
    weights = {name: weight.numpy().ravel().copy() for name, weight in ctx.weights.items()}
    blocks = list(blocks_of(ctx))
    scores = {
        (name, i): weights[name][i] ** 2 / (2 * variance)
        for name, positions, fisher in blocks
        for i, variance in zip(positions, np.linalg.inv(fisher).diagonal(), strict=True)
    }
    alive = [(name, i) for name, i in scores if ctx.mask[name].numpy().ravel()[i]]
    count = ctx.count(0.6) - (len(scores) - len(alive))
    lowest = set(sorted(alive, key=scores.get)[:count])

    mask = OBert(None, DAMPING, SIZE).prune(ctx, 0.6)
    assert masks.pruned(mask) == ctx.count(0.6)
    flat = {name: keep.numpy().ravel() for name, keep in mask.items()}
    assert {(name, i) for name, i in alive if not flat[name][i]} == lowest
    for name, positions, fisher in blocks:
        before, pruned = weights[name][positions], ~flat[name][positions]
        inverse = np.linalg.inv(fisher)
        # −F⁻¹ E_Qᵀ ([F⁻¹]_QQ)⁻¹ w_Q
        change = -inverse[:, pruned] @ np.linalg.inv(inverse[np.ix_(pruned, pruned)]) @ before[pruned]
        after = ctx.weights[name].numpy().ravel()[positions]
        np.testing.assert_allclose(after, before + change, rtol=1e-3, atol=1e-5)
        assert not after[pruned].any()


def test_the_loss_rises_less_than_without_an_update():
    """By its second order, ½ δᵀFδ, summed over all blocks."""
    ctx = context()
    weights = {name: weight.numpy().ravel().copy() for name, weight in ctx.weights.items()}
    blocks = list(blocks_of(ctx))
    mask = OBert(None, DAMPING, SIZE).prune(ctx, 0.5)
    rises = np.zeros(2)
    for name, positions, fisher in blocks:
        before, keep = weights[name][positions], mask[name].numpy().ravel()[positions]
        for i, after in enumerate((ctx.weights[name].numpy().ravel()[positions], before * keep)):
            rises[i] += (after - before) @ fisher @ (after - before) / 2
    assert 0 < rises[0] < 0.9 * rises[1]


def test_steps_prune_gradually():
    own = Registry().strategy("obert[steps=2]")
    assert own.recipe(0.8) == [Train(), Prune(0.8 * 7 / 8), Train(length=0.5), Prune(0.8), Train()]
    assert Registry().strategy("obert[retrain=false]").recipe(0.8) == [Train(), Prune(0.8)]


def test_it_runs_with_a_teacher(run_smoke):
    store, (cell,) = run_smoke("obert[examples=4,block=16,steps=2,teacher=dense]", "0.6")
    record = store.record(cell.key)
    assert record.sparsity.pruned == masks.pruned_count(0.6, record.sparsity.units)
    assert record.checks["pruned_weights_zero"]


@pytest.mark.parametrize("option", ["damping=0", "block=0", "steps=0"])
def test_bad_options_are_errors(option):
    with pytest.raises(prunebench.PrunebenchError, match="obert needs"):
        Registry().strategy(f"obert[{option}]")
