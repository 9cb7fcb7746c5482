"""The budget of heads and neurons, against torch's own count of the FLOPs of the model without them."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import prunebench
from prunebench.execution.executors.resources import Resources
from prunebench.hooks.registry import Registry
from prunebench.models.encoder import load
from prunebench.models.loading import model_source
from prunebench.pruning import masks
from prunebench.pruning.compaction import compact

LENGTH = 128
LABELS = {budget: f"heads-neurons[budget={budget},examples=32]" for budget in ("parameters", "units")}
LABELS["flops"] = "heads-neurons[examples=32]"


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def flops(model):
    """The products of one example of 128 tokens. In eager mode, those of the attention are matrix products, too."""
    model.set_attn_implementation("eager")
    tokens, zeros = torch.full((1, LENGTH), 6), torch.zeros(1, LENGTH, dtype=torch.long)
    # The model has positions for 64 tokens only, which its products do not depend on.
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    with FlopCounterMode(display=False) as counter:
        model.eval()(**inputs, position_ids=zeros, token_type_ids=zeros)
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    results = prunebench.run(
        "smoke",
        strategies=",".join([*LABELS.values(), f"random-pruning[of={LABELS['flops']}]"]),
        sparsities="0.3,0.6",
        seeds="1",
        device="cpu",
        precision="fp32",
        train_limit="64",
        eval_limit="32",
        store=tmp_path_factory.mktemp("store") / "store",
        resources=Resources(executor="here"),
        progress=False,
    )
    assert not results.failures
    return results


@pytest.fixture(scope="module")
def pm():
    """quick-bert: 4 layers with 4 heads of size 32 and 512 neurons, of hidden size 128."""
    registry = Registry()
    source = model_source("quick-bert", registry)
    return load(source, registry.get("models", source.family), num_labels=2, regression=False, seed=0)


def cells_of(results, budget):
    return [cell for cell in results.run.plan.cells if cell.sparsity and cell.label == LABELS[budget]]


def mask_of(results, cell):
    return results.store.load("masks", cell.mask, masks.unpack)


def test_the_model_without_its_units_has_the_requested_flops(results, pm):
    """It is below the budget by less than one unit, of which a head is the most expensive."""
    assert (len(pm.layers), pm.heads, pm.head_size) == (4, 4, 32)
    head, neuron = 2 * LENGTH * 4 * 32 * 128 + 4 * LENGTH**2 * 32, 2 * LENGTH * 2 * 128
    prunable = 4 * (4 * head + 512 * neuron)
    dense = flops(pm.model)
    cells = cells_of(results, "flops")
    assert len(cells) == 2
    for cell in cells:
        mask = mask_of(results, cell)
        left = flops(compact(pm, mask, "head+neuron"))
        budget = dense - cell.sparsity * prunable
        assert budget - head < left <= budget
        sparsity = results.store.record(cell.key).sparsity
        assert (sparsity.budget, sparsity.cost, sparsity.cost_pruned) == ("flops", prunable, dense - left)


def test_heads_and_neurons_both_go(results):
    pruned = {
        name.split(".")[2] for name, keep in mask_of(results, cells_of(results, "flops")[0]).items() if not keep.all()
    }
    assert pruned == {"heads", "neurons"}


@pytest.mark.parametrize("budget", ["parameters", "units"])
def test_the_other_budgets(results, pm, budget):
    cells = cells_of(results, budget)
    assert len(cells) == 2
    for cell in cells:
        record, mask = results.store.record(cell.key), mask_of(results, cell)
        removed = record.parameters.total - record.parameters.left
        assert removed == parameters(pm.model) - parameters(compact(pm, mask, "head+neuron"))
        head, neuron = 3 * (32 * 128 + 32) + 128 * 32, 2 * 128 + 1
        if budget == "units":
            assert record.sparsity.pruned == masks.pruned_count(cell.sparsity, 4 * (4 + 512))
        else:
            assert 0 <= removed - cell.sparsity * 4 * (4 * head + 512 * neuron) < head


def test_every_record_holds_its_checks(results):
    cells = [cell for cell in results.run.plan.cells if not cell.is_dense]
    assert len(cells) == 8
    for cell in cells:
        record = results.store.record(cell.key)
        assert all(record.checks[name] for name in ("count_exact", "pruned_weights_zero", "compact_agrees"))
        assert record.parameters.in_model == record.parameters.left < record.parameters.total


def test_the_entry_point_provides_the_strategy():
    entry = Registry().entry("strategies", "heads-neurons")
    assert (entry.plugin.distribution, entry.plugin.origin) == (
        "prunebench-structured",
        "entry point prunebench_structured",
    )


def test_an_unknown_budget_is_an_error():
    with pytest.raises(prunebench.PrunebenchError, match="unknown budget 'flop'"):
        Registry().strategy("heads-neurons[budget=flop]")
