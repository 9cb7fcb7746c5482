"""The mask search of Kwon et al. against all subsets, its rearrangement against plain loops, and a real run."""

from __future__ import annotations

import itertools

import pytest
import torch
from prunebench_structured.kwon import Kwon, rearrange, search

import prunebench
from prunebench.hooks.registry import Registry
from prunebench.pruning import masks
from prunebench.testing import context

HEAD, NEURON = 5.0, 2.0


def pruned_by(scores, costs, required):
    """The units that go by these scores until the cost is reached, and their cost."""
    units, cost = set(), 0.0
    for name, i in sorted(((n, i) for n, v in scores.items() for i in range(len(v))), key=lambda u: scores[u[0]][u[1]]):
        if cost >= required:
            break
        units.add((name, i))
        cost += costs[name]
    return units


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_no_subset_of_that_cost_is_less_important(seed, sparsity):
    generator = torch.Generator().manual_seed(seed)
    importance = {
        name: torch.rand(size, generator=generator, dtype=torch.float64)
        for name, size in (("a.heads", 2), ("a.neurons", 3), ("b.heads", 1), ("b.neurons", 3))
    }
    costs = {name: HEAD if name.endswith("heads") else NEURON for name in importance}
    units = [(name, i) for name, values in importance.items() for i in range(len(values))]
    required = sparsity * sum(costs[name] for name, _ in units)

    def total(subset):
        return float(sum(importance[name][i] for name, i in subset))

    subsets = itertools.chain.from_iterable(itertools.combinations(units, size) for size in range(len(units) + 1))
    least = min(total(subset) for subset in subsets if sum(costs[name] for name, _ in subset) >= required - 1e-9)
    assert total(pruned_by(search(importance, costs, sparsity), costs, required - 1e-9)) == pytest.approx(least)


def length(gradients, pruned):
    return float(gradients[:, sorted(pruned)].sum(dim=1).square().sum()) if pruned else 0.0


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_units_are_exchanged_greedily(seed, count):
    gradients = torch.randn(7, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    order = sorted(range(9), key=lambda i: float(gradients[:, i].square().sum()))
    pruned = set(order[:count])
    before = length(gradients, pruned)
    keep = torch.tensor([i not in pruned for i in range(9)])
    for index in order[count:]:
        if pruned:
            pruned |= {index}
            pruned -= {min(pruned, key=lambda i: length(gradients, pruned - {i}))}
    result = rearrange(keep, gradients)
    assert set((~result).nonzero().flatten().tolist()) == pruned
    assert length(gradients, pruned) <= before + 1e-12


def test_the_mask_reaches_the_budget_with_the_counts_of_the_search():
    ctx = context(unit="head+neuron", budget="flops")
    mask = Kwon(examples=None).prune(ctx, 0.5)
    assert ctx.budget.fault(mask, 0.5) == ""
    gradients = ctx.gate_gradients()
    importance = {name: value.double().square().mean(dim=0) for name, value in gradients.items()}
    costs = {name: float(ctx.budget.costs[name]) for name in mask}
    required = 0.5 * sum(costs[name] * keep.numel() for name, keep in mask.items())
    first = pruned_by(search(importance, costs, 0.5), costs, required)
    assert {name: int((~keep).sum()) for name, keep in mask.items()} == {
        name: sum(unit[0] == name for unit in first) for name in mask
    }


def test_it_runs_without_a_second_training(run_smoke):
    store, cells = run_smoke("kwon[examples=16],kwon[examples=16,budget=parameters]", "0.4")
    assert len(cells) == 2
    for cell in cells:
        record = store.record(cell.key)
        assert len(cell.trainings) == 1
        assert all(record.checks[name] for name in ("count_exact", "pruned_weights_zero", "compact_agrees"))
        assert masks.pruned(store.load("masks", cell.mask, masks.unpack))


def test_an_unknown_budget_is_an_error():
    with pytest.raises(prunebench.PrunebenchError, match="budget 'units'"):
        Registry().strategy("kwon[budget=units]")
