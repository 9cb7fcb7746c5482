"""SparseGPT against a recursion that inverts a matrix for every column, against least squares, and in real runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prunebench_obs import prune_matrix

import prunebench
from prunebench.hooks.registry import Registry
from prunebench.pruning import masks

ROWS, COLUMNS, TOKENS, DAMPING = 6, 12, 40, 0.01


@pytest.fixture
def problem():
    """A matrix, inputs whose features are correlated, and the damped Hessian."""
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(ROWS, COLUMNS))
    inputs = generator.normal(size=(TOKENS, COLUMNS)) @ generator.normal(size=(COLUMNS, COLUMNS))
    products = inputs.T @ inputs
    return weight, inputs, products + DAMPING * products.diagonal().mean() * np.eye(COLUMNS)


def prune(weight, inputs, count, block):
    new, keep = prune_matrix(torch.tensor(weight), torch.tensor(inputs.T @ inputs), count, DAMPING, block)
    return new.numpy(), keep.numpy()


def change(before, after, hessian):
    """The damped squared error of the outputs, tr (W − Ŵ) H (W − Ŵ)ᵀ."""
    return np.trace((before - after) @ hessian @ (before - after).T)


def naive(weight, hessian, count, block):
    """The same method, with the inverse Hessian of the columns from j on computed anew for every j."""
    weight, keep = weight.copy(), np.ones(weight.shape, dtype=bool)
    inverses = [np.linalg.inv(hessian[j:, j:]) for j in range(COLUMNS)]
    for start in range(0, COLUMNS, block):
        columns = range(start, min(start + block, COLUMNS))
        share = count * columns.stop // COLUMNS - count * start // COLUMNS
        losses = {(r, j): weight[r, j] ** 2 / inverses[j][0, 0] for r in range(ROWS) for j in columns}
        for r, j in sorted(losses, key=losses.get)[:share]:
            keep[r, j] = False
        for j in columns:
            for r in range(ROWS):
                if not keep[r, j]:
                    weight[r, j:] -= weight[r, j] / inverses[j][0, 0] * inverses[j][0]
                    weight[r, j] = 0
    return weight, keep


@pytest.mark.parametrize("block", [1, 5, COLUMNS, 128])
@pytest.mark.parametrize("count", [0, 1, 29, 50, ROWS * COLUMNS])
def test_the_result_is_that_of_the_plain_recursion(problem, count, block):
    weight, inputs, hessian = problem
    new, keep = prune(weight, inputs, count, block)
    expected, expected_keep = naive(weight, hessian, count, block)
    assert (~keep).sum() == count
    np.testing.assert_array_equal(keep, expected_keep)
    np.testing.assert_allclose(new, expected, atol=1e-8)
    assert not new[~keep].any()


def test_the_outputs_change_less_than_without_a_correction(problem):
    """And not less than with the best weights that the mask allows, by least squares."""
    weight, inputs, hessian = problem
    new, keep = prune(weight, inputs, 36, COLUMNS)
    best = np.array([refit(row, keeps, hessian) for row, keeps in zip(weight, keep, strict=True)])
    least, own, uncorrected = (change(weight, other, hessian) for other in (best, new, weight * keep))
    assert 0 < least <= own < 0.8 * uncorrected
    assert ((inputs @ (weight - new).T) ** 2).sum() < ((inputs @ (weight * ~keep).T) ** 2).sum()


def test_the_correction_is_exact_if_the_first_columns_go(problem):
    """Then all weights that stay may still change, and the result is the least-squares solution."""
    weight, inputs, hessian = problem
    weight[:, :4] *= 1e-3
    new, keep = prune(weight, inputs, 4 * ROWS, COLUMNS)
    assert not keep[:, :4].any()
    best = [refit(row, keeps, hessian) for row, keeps in zip(weight, keep, strict=True)]
    np.testing.assert_allclose(new, best, atol=1e-8)


def refit(row, keeps, hessian):
    """The row with zeros where `keeps` is False that minimises (w − ŵ) H (w − ŵ)ᵀ."""
    root = np.linalg.cholesky(hessian).T
    new = np.zeros_like(row)
    new[keeps] = np.linalg.lstsq(root[:, keeps], root @ row, rcond=None)[0]
    return new


def test_counts_are_exact_and_uniform(run_methods):
    methods = ("sparsegpt[examples=16]", "sparsegpt[examples=16,retrain=false]")
    results = run_methods(",".join([*methods, f"random-pruning[of={methods[0]}]"]), "0.3,0.77")
    cells = [cell for cell in results.run.plan.cells if not cell.is_dense]
    assert (len(cells), sum(bool(cell.mask) for cell in cells)) == (6, 4)
    for cell in cells:
        sparsity = results.store.record(cell.key).sparsity
        assert sparsity.units == 2 * (4 * 16 * 16 + 2 * 16 * 32)
        assert sparsity.pruned == masks.pruned_count(cell.sparsity, sparsity.units)
        assert sparsity.encoder_after == pytest.approx(sparsity.pruned / sparsity.units, abs=1e-12)
        if not cell.mask:
            continue  # The control's mask is drawn again, not stored.
        for keep in results.store.load("masks", cell.mask, masks.unpack).values():
            assert abs(int((~keep).sum()) - cell.sparsity * keep.numel()) <= 1.5
    trainings = {cell.label: len(cell.trainings) for cell in cells}
    assert (trainings["sparsegpt[examples=16]"], trainings["sparsegpt[examples=16,retrain=false]"]) == (2, 1)


def test_the_entry_point_provides_the_strategy():
    entry = Registry().entry("strategies", "sparsegpt")
    assert (entry.plugin.distribution, entry.plugin.origin) == ("prunebench-obs", "entry point prunebench_obs")


@pytest.mark.parametrize("option", ["damping=0", "block=0"])
def test_bad_options_are_errors(option):
    with pytest.raises(prunebench.PrunebenchError, match="damping > 0 and block >= 1"):
        Registry().strategy(f"sparsegpt[{option}]")
