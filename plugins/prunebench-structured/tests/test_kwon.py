"""The mask search of Kwon et al. against all subsets, its rearrangement against plain loops, and a real run."""

from __future__ import annotations

import itertools

import pytest
import torch
from prunebench_structured import tuning
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


def outputs(model, batch, name):
    """What a layer norm is given at all tokens that are not padding: a sub-layer's output with its input added."""
    stored = []
    handle = model.get_submodule(name).register_forward_pre_hook(lambda module, tensors: stored.append(tensors[0]))
    with torch.no_grad():
        model(**{key: value for key, value in batch.items() if key != "labels"})
    handle.remove()
    return stored[0][batch["attention_mask"].bool()]


def test_the_scales_of_a_sublayer_are_those_of_least_squares(monkeypatch):
    """The first sub-layer, whose inputs are those of the dense model: columns W_i z_i written out, and lstsq."""
    monkeypatch.setattr(tuning, "DAMPING", 0.0)
    ctx = context(unit="head+neuron", budget="flops")
    name = "bert.encoder.layer.0.output.dense.weight"
    keep = torch.arange(12) % 3 > 0
    mask = {"layer.0.heads": torch.ones(2, dtype=torch.bool), "layer.0.neurons": keep}
    weight, columns, targets = ctx.weights[name].clone(), [], []
    for batch in ctx.batches():
        (z,) = tuning.inputs(ctx.model, batch, "bert.encoder.layer.0.output.dense")
        columns.append(torch.einsum("tu,hu->thu", z, weight).flatten(0, 1))
        targets.append((z @ weight.T).flatten())
    matrix, target = torch.cat(columns).detach(), torch.cat(targets).detach()
    expected = torch.linalg.lstsq(matrix[:, keep], target[:, None]).solution[:, 0]
    tuning.tune(ctx, mask, None)
    scales = (ctx.weights[name] / weight)[:, keep]
    torch.testing.assert_close(scales, expected.expand_as(scales), rtol=1e-6, atol=1e-8)


def test_a_pruned_copy_of_a_neuron_is_made_up_for(monkeypatch):
    """Two equal neurons, of which one goes: the other is doubled, and nothing is lost."""
    monkeypatch.setattr(tuning, "DAMPING", 1e-9)
    ctx = context(unit="head+neuron", budget="flops")
    layer = "bert.encoder.layer.1"
    with torch.no_grad():
        for name, dim in (("intermediate.dense.weight", 0), ("intermediate.dense.bias", 0), ("output.dense.weight", 1)):
            parameter = ctx.model.get_parameter(f"{layer}.{name}")
            parameter.select(dim, 5).copy_(parameter.select(dim, 2))
    mask = {name: torch.ones(len(cost), dtype=torch.bool) for name, cost in ctx.costs.items()}
    mask["layer.1.neurons"][5] = False
    before = ctx.weights[f"{layer}.output.dense.weight"].clone()
    batch = next(iter(ctx.batches()))
    dense = outputs(ctx.model, batch, f"{layer}.output.LayerNorm")
    tuning.tune(ctx, mask, None)
    weight = ctx.weights[f"{layer}.output.dense.weight"]
    torch.testing.assert_close(weight[:, 2], 2 * before[:, 2], rtol=1e-4, atol=1e-6)
    weight[:, 5] = 0
    torch.testing.assert_close(outputs(ctx.model, batch, f"{layer}.output.LayerNorm"), dense, rtol=1e-4, atol=1e-4)


def test_a_tuned_model_is_closer_to_the_dense_one():
    distances = {}
    for tuned in (False, True):
        ctx = context(unit="head+neuron", budget="flops")
        batch = next(iter(ctx.batches()))
        last = f"bert.encoder.layer.{len(ctx.layers) - 1}.output.LayerNorm"
        dense = outputs(ctx.model, batch, last)
        mask = Kwon(examples=None, tune=tuned).prune(ctx, 0.4)
        for group, _, output in tuning.sublayers(ctx, mask):
            ctx.weights[output].mul_(tuning.per_column(mask[group], ctx.weights[output]))
        distances[tuned] = float((outputs(ctx.model, batch, last) - dense).square().sum())
    assert distances[True] < distances[False]


def test_tuning_ends_where_a_scale_is_absurd():
    gram, moment, keep = (
        torch.eye(2, dtype=torch.float64),
        torch.tensor([0.5, 20.0]).double(),
        torch.tensor([True, True]),
    )
    assert tuning.solve(gram, moment, keep) is None
    keep[1] = False
    assert tuning.solve(gram, moment, keep).tolist() == pytest.approx([1.5, 1.0], abs=1e-3)
    assert tuning.solve(gram, moment, ~keep & False).tolist() == [1.0, 1.0]
