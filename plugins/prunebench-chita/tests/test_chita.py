"""CHITA against least squares and an exhaustive search, its gradients against the core's, and real runs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from prunebench_chita import Chita, Regression, gradients

import prunebench
from prunebench.hooks.registry import Registry
from prunebench.pruning import masks
from prunebench.testing import context


def problem(seed, examples=5, weights=8, ridge=0.1):
    generator = np.random.default_rng(seed)
    rows, center = generator.normal(size=(examples, weights)), generator.normal(size=weights)
    return Regression(torch.tensor(rows), torch.tensor(rows @ center), torch.tensor(center), ridge)


def best_on(regression, support):
    """The solution with zeros outside of `support`, by least squares on the rows and √ρ times the identity."""
    rows, center = regression.rows.numpy(), regression.center.numpy()
    system = np.vstack([rows, np.sqrt(regression.ridge) * np.eye(len(center))])
    target = np.concatenate([regression.target.numpy(), np.sqrt(regression.ridge) * center])
    weights = np.zeros_like(center)
    weights[support] = np.linalg.lstsq(system[:, support], target, rcond=None)[0]
    return weights, ((target - system @ weights) ** 2).sum() / 2


def largest(count):
    def project(weights):
        keep = torch.zeros_like(weights)
        keep[weights.abs().argsort(descending=True)[:count]] = 1
        return keep

    return project


@pytest.mark.parametrize("examples", [3, 20])
def test_the_solution_for_a_support_is_that_of_least_squares(examples):
    regression = problem(0, examples)
    regression = Regression(regression.rows, regression.target - 1, regression.center, 0.3)
    keep = torch.tensor([1.0, 0, 0, 1, 1, 0, 1, 0], dtype=torch.float64)
    weights, objective = best_on(regression, np.flatnonzero(keep))
    np.testing.assert_allclose(regression.solve(keep), weights, atol=1e-10)
    assert regression.objective(torch.tensor(weights)) == pytest.approx(objective)


def test_the_gradient_is_that_of_the_objective():
    regression = problem(1)
    weights = torch.linspace(-1, 1, 8, dtype=torch.float64, requires_grad=True)
    residual = regression.target - regression.rows @ weights
    objective = (residual.square().sum() + regression.ridge * (weights - regression.center).square().sum()) / 2
    (expected,) = torch.autograd.grad(objective, weights)
    torch.testing.assert_close(regression.gradient(weights.detach()), expected)


def test_it_is_close_to_the_best_of_all_supports_and_better_than_magnitudes():
    """Over 40 problems of 8 weights, 4 of which stay. The excess over the best support falls to less than a third."""
    excess = {0: [], 50: []}
    for seed in range(40):
        regression = problem(seed)
        best = min(best_on(regression, list(support))[1] for support in itertools.combinations(range(8), 4))
        for steps, values in excess.items():
            weights, keep = regression.improve(largest(4), steps)
            assert int(keep.sum()) == 4 and not weights[keep == 0].any()
            values.append(regression.objective(weights) - best)
            assert values[-1] > -1e-9
    assert all(after <= before for before, after in zip(*excess.values(), strict=True))
    assert np.mean(excess[50]) < np.mean(excess[0]) / 3


def test_rows_are_the_gradients_of_single_examples():
    ctx = context()
    next(iter(ctx.mask.values()))[:, 0] = False
    rows = gradients(ctx, 12)
    squares = torch.cat([each.flatten() for each in ctx.squared_gradients().values()])
    mask = torch.cat([each.flatten() for each in ctx.mask.values()])
    torch.testing.assert_close(rows.square().mean(dim=0), squares.double() * mask, rtol=1e-4, atol=1e-8)
    assert not rows[:, ~mask].any() and len(rows) == 12


def test_weights_and_mask_are_those_of_the_regression():
    ctx = context()
    before = torch.cat([weight.flatten() for weight in ctx.weights.values()]).clone()
    rows = gradients(ctx, 12)
    mask = Chita(12, 1e-3).prune(ctx, 0.6)
    keep = torch.cat([each.flatten() for each in mask.values()])
    assert int((~keep).sum()) == ctx.count(0.6)
    regression = Regression(rows, rows @ before, before, 12e-3)
    expected, objective = best_on(regression, np.flatnonzero(keep))
    after = torch.cat([weight.flatten() for weight in ctx.weights.values()])
    np.testing.assert_allclose(after, expected, atol=1e-6)
    _, by_magnitude = best_on(regression, np.flatnonzero(largest(int(keep.sum()))(before)))
    assert objective <= by_magnitude * (1 + 1e-9)


def test_counts_are_exact(run_methods):
    methods = "chita[examples=16],chita[examples=8,retrain=false],chita[examples=8,scope=layer]"
    results = run_methods(methods, "0.3,0.77")
    cells = [cell for cell in results.run.plan.cells if not cell.is_dense]
    assert len(cells) == 6
    for cell in cells:
        record = results.store.record(cell.key)
        assert record.sparsity.pruned == masks.pruned_count(cell.sparsity, record.sparsity.units)
        assert record.checks["pruned_weights_zero"]
        assert len(cell.trainings) == (1 if "retrain" in cell.label else 2)


def test_masks_follow_a_pattern(run):
    _, _, record = run("chita[examples=8,pattern=2:4]", "0.5")
    assert record.checks["pattern_followed"] and record.checks["count_exact"]


def test_the_entry_point_provides_the_strategy():
    entry = Registry().entry("strategies", "chita")
    assert (entry.plugin.distribution, entry.plugin.origin) == ("prunebench-chita", "entry point prunebench_chita")


@pytest.mark.parametrize("option", ["damping=0", "examples=0", "steps=-1"])
def test_bad_options_are_errors(option):
    with pytest.raises(prunebench.PrunebenchError, match="chita needs"):
        Registry().strategy(f"chita[{option}]")
