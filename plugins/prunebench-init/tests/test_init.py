"""SNIP against gates, GraSP against finite differences, SynFlow against flows without a weight, and real runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prunebench_init import SNIP, GraSP, SynFlow, flows

import prunebench
from prunebench.hooks.registry import Registry
from prunebench.pruning import masks
from prunebench.testing import context


@pytest.fixture
def ctx():
    return context()


def loss_with(ctx, weights):
    """The mean loss over all examples where some parameters have other values."""
    total, number = 0, 0
    for batch in ctx.batches():
        inputs = {name: values for name, values in batch.items() if name != "labels"}
        logits = torch.func.functional_call(ctx.model, weights, kwargs=inputs).logits
        total = total + torch.nn.functional.cross_entropy(logits, batch["labels"], reduction="sum")
        number += len(batch["labels"])
    return total / number


def test_snip_is_the_gradient_for_a_gate_on_each_weight(ctx):
    gates = {name: torch.ones_like(weight).requires_grad_() for name, weight in ctx.weights.items()}
    loss = loss_with(ctx, {name: gate * ctx.weights[name] for name, gate in gates.items()})
    expected = torch.autograd.grad(loss, list(gates.values()))
    for score, slope in zip(SNIP(None).score(ctx).values(), expected, strict=True):
        torch.testing.assert_close(score, slope.abs(), rtol=1e-3, atol=1e-9)


def test_grasp_says_how_the_norm_of_the_gradient_changes(ctx):
    """If each weight θ_i shrinks to θ_i (1 − ε u_i), ‖g‖² changes by −2ε Σ u_i θ_i (Hg)_i."""

    def squared_norm(epsilon):
        weights = {name: (w * (1 - epsilon * u[name])).requires_grad_() for name, w in ctx.weights.items()}
        return sum(g.square().sum() for g in torch.autograd.grad(loss_with(ctx, weights), list(weights.values())))

    scores = GraSP(None).score(ctx)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        u = {n: torch.rand(w.shape, generator=generator, dtype=w.dtype) for n, w in ctx.weights.items()}
        change = (squared_norm(1e-5) - squared_norm(-1e-5)) / 2e-5
        expected = -2 * sum((u[name] * score).sum() for name, score in scores.items())
        torch.testing.assert_close(change, expected, rtol=1e-3, atol=1e-10)
    assert ctx.model.config._attn_implementation == "prunebench"


def total_flow(ctx, weights):
    """R of the linear network, in numpy, layer by layer."""
    flow = np.ones(8)
    for layer in ctx.layers:
        query, key, value, output, up, down = (weights[f"{linear}.weight"] for linear in layer.linears)
        flow = flow + output @ (query @ flow) + output @ (key @ flow) + output @ (value @ flow)
        flow = flow + down @ (up @ flow)
    return flow.sum()


def test_a_flow_is_what_is_lost_without_the_weight(ctx):
    """R is linear in each single weight, so that |θ| · ∂R/∂|θ| = R(θ) − R(θ without the weight)."""
    weights = {name: weight.abs().numpy() for name, weight in ctx.weights.items()}
    whole = total_flow(ctx, weights)
    scale = None
    for name, flow in flows(ctx, ctx.mask):
        for index in [(0, 0), (3, 5), (7, 1)]:
            without = weights[name].copy()
            without[index] = 0
            lost = whole - total_flow(ctx, weights | {name: without})
            # All scores have one common factor.
            scale = scale or float(flow[index]) / lost
            assert float(flow[index]) == pytest.approx(scale * lost, rel=1e-6)


def test_flow_is_conserved(ctx):
    """What passes query, key and value also passes the attention output (theorem 2 of the paper)."""
    total = {name: float(flow.sum()) for name, flow in flows(ctx, ctx.mask)}
    for layer in ctx.layers:
        query, key, value, output, up, down = (total[f"{linear}.weight"] for linear in layer.linears)
        assert query + key + value == pytest.approx(output) and up == pytest.approx(down)


def test_synflow_prunes_along_an_exponential_and_computes_the_flow_anew(ctx):
    """In each of 3 steps the lowest flows go, by lists of positions."""
    weights = {name: weight.abs().numpy().copy() for name, weight in ctx.weights.items()}
    positions = [(name, index) for name, weight in weights.items() for index in np.ndindex(*weight.shape)]
    left = list(positions)
    for step in (1, 2, 3):
        whole, lost = total_flow(ctx, weights), {}
        for name, index in left:
            value = weights[name][index]
            weights[name][index] = 0
            lost[name, index] = whole - total_flow(ctx, weights)
            weights[name][index] = value
        count = len(positions) - masks.pruned_count(1 - 0.2 ** (step / 3), len(positions))
        order = sorted(left, key=lost.get)
        for name, index in order[: len(left) - count]:
            weights[name][index] = 0
        left = order[len(left) - count :]
    mask = SynFlow(3).prune(ctx, 0.8)
    assert {(name, index) for name, index in positions if mask[name][index]} == set(left)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.99, 1.0])
def test_synflow_has_exact_counts(ctx, sparsity):
    assert masks.pruned(SynFlow(5).prune(ctx, sparsity)) == ctx.count(sparsity)


def test_they_run_and_train_once(run_smoke):
    store, cells = run_smoke("snip[examples=16],grasp[examples=16],synflow[iterations=2,pattern=2:4]", "0.5")
    assert len(cells) == 3
    for cell in cells:
        assert len(cell.trainings) == 1
        sparsity = store.record(cell.key).sparsity
        assert sparsity.pruned == masks.pruned_count(0.5, sparsity.units)


def test_the_entry_point_provides_the_strategies():
    for name in ("snip", "grasp", "synflow"):
        assert Registry().entry("strategies", name).plugin.distribution == "prunebench-init"


def test_bad_options_are_errors():
    with pytest.raises(prunebench.PrunebenchError, match="iterations >= 1"):
        Registry().strategy("synflow[iterations=0]")
