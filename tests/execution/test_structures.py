"""Runs that prune layers, compositions and structures of plugins, under budgets."""

from __future__ import annotations

import pytest
import torch
from pruning.test_compositions import PLUGIN

from prunebench.errors import PrunebenchError
from prunebench.pruning import masks, structures
from prunebench.pruning.compaction import compact

LAYERS = """
from dataclasses import dataclass
from prunebench import Compact, Prune, Rewind, Train, hookimpl

@dataclass(frozen=True)
class DropLayers:
    '''Remove the layers that change their input least.'''
    name = "drop-layers"
    unit = "layer"
    compacts: bool = True
    schedule: str = "train"

    def recipe(self, sparsity):
        end = [Compact()] if self.compacts else []
        between = [Rewind()] if self.schedule == "rewind" else []
        return [Train(), Prune(sparsity), *between, Train(), *end]

    def score(self, ctx):
        return {name: gates.abs().mean(dim=0) for name, gates in ctx.gate_gradients(8).items()}

@dataclass(frozen=True)
class Mixed:
    name = "mixed"
    unit = "head+neuron+layer"
    budget: str = "flops"

    def recipe(self, sparsity):
        return [Train(), Prune(sparsity, budget=self.budget), Train(), Compact()]

    def score(self, ctx):
        return {name: gates.abs().mean(dim=0) / ctx.costs[name] for name, gates in ctx.gate_gradients(8).items()}

@hookimpl
def prunebench_strategies():
    return [DropLayers, Mixed]
"""


@pytest.fixture
def layers(tmp_path):
    path = tmp_path / "layers.py"
    path.write_text(LAYERS)
    return path


def records(store, plan):
    return {f"{cell.method.label} {cell.sparsity:g}": store.record(cell.leaf.key) for cell in plan.cells}


def logits(store, record):
    return next(iter(store.logits(record.key).values()))


def test_layers_leave_the_model(run, layers):
    store, plan, report = run(
        "drop-layers,drop-layers[compacts=false],random-pruning[of=drop-layers]", "0.5", plugins=[layers]
    )
    assert not report.failures
    found = records(store, plan)
    for label in ("drop-layers", "random-pruning[of=drop-layers]"):
        record = found[f"{label} 0.5"]
        assert all(value is not False for value in record.checks.values())
        assert record.checks["compact_agrees"] and record.checks["count_exact"]
        assert (record.sparsity.units, record.sparsity.pruned, record.sparsity.encoder_after) == (2, 1, 0.5)
        assert record.parameters.in_model == record.parameters.left < record.parameters.total
    masked, compacted = found["drop-layers[compacts=false] 0.5"], found["drop-layers 0.5"]
    assert masked.parameters.left == compacted.parameters.left
    # Both were trained without the layer, in the same way.
    torch.testing.assert_close(
        *(torch.from_numpy(logits(store, each)) for each in (masked, compacted)), atol=1e-5, rtol=0
    )


def test_the_training_after_a_pruning_is_of_the_smaller_model(run, layers, weights_of_trainings):
    """The pruned layer stays at zero, and the last training computes as if the layer had never been there."""
    store, plan, report = run("drop-layers[schedule=rewind]", "0.5", plugins=[layers])
    assert not report.failures
    before, after = weights_of_trainings[-1]
    [cell] = [cell for cell in plan.cells if cell.sparsity]
    [mask] = [store.load("masks", node.key, masks.unpack) for node in cell.leaf.path() if node.strategy]
    index = next(int(name.split(".")[1]) for name, keep in mask.items() if not keep)
    for name in before:
        if f".layer.{index}." in name:
            assert not before[name].any() and not after[name].any()
        elif f".layer.{1 - index}." in name and name.endswith(".weight"):
            assert not torch.equal(before[name], after[name])
    assert store.record(cell.leaf.key).checks["rewound_exactly"]


def test_branches_of_one_job_do_not_share_their_skips(run, layers):
    """After a branch without a layer, the next one is pruned and scored with all layers."""
    store, plan, report = run("drop-layers,heads", "0.5", plugins=[layers])
    assert not report.failures
    together = records(store, plan)["heads 0.5"]
    store, plan, report = run("heads", "0.5", store="alone")
    alone = records(store, plan)["heads 0.5"]
    assert together.evaluations == alone.evaluations
    assert together.key == alone.key


@pytest.mark.parametrize(
    "label", ["mixed", "mixed[budget=parameters]", "mixed[budget=units]", "random-pruning[of=mixed]"]
)
def test_heads_neurons_and_layers_under_one_budget(run, layers, label):
    store, plan, report = run(label, "0.3,0.6", plugins=[layers])
    assert not report.failures
    for cell in plan.cells:
        record = store.record(cell.leaf.key)
        if cell.sparsity:
            assert record.checks["count_exact"] and record.checks["compact_agrees"]
            assert record.parameters.in_model == record.parameters.left
            sparsity = record.sparsity
            if "units" not in label:
                assert sparsity.cost * cell.sparsity <= sparsity.cost_pruned
                assert sparsity.cost_pruned - sparsity.cost_largest < sparsity.cost * cell.sparsity


@pytest.mark.parametrize(
    "option", ["schedule=cubic", "schedule=ladder", "budget=flops", "budget=parameters,schedule=cubic"]
)
def test_budgets_go_with_every_schedule(run, option):
    store, plan, report = run(f"heads[{option},examples=8]", "0.5")
    assert not report.failures
    [record] = [store.record(cell.leaf.key) for cell in plan.cells if cell.sparsity]
    assert record.checks["count_exact"] and record.sparsity.pruned == 4
    assert record.sparsity.budget == ("units" if "budget" not in option else option.split("=")[1].split(",")[0])


def test_a_structure_of_a_plugin(run, tmp_path, context_on):
    path = tmp_path / "pairs.py"
    path.write_text(PLUGIN)
    store, plan, report = run("mine", "0.5", plugins=[path])
    assert not report.failures
    [cell] = [cell for cell in plan.cells if cell.sparsity]
    record = store.record(cell.leaf.key)
    assert record.checks["count_exact"] and record.checks["compact_agrees"]
    assert (record.sparsity.unit, record.sparsity.units, record.sparsity.budget) == (
        "head+pair",
        2 * (4 + 32),
        "parameters",
    )
    [mask] = [store.load("masks", node.key, masks.unpack) for node in cell.leaf.path() if node.strategy]
    head, pair = 3 * (8 * 32 + 8) + 32 * 8, 2 * (32 + 1 + 32)
    sparsity = record.sparsity
    assert sparsity.cost == 2 * (4 * head + 32 * pair)
    assert sparsity.cost_pruned == sum(
        int((~keep).sum()) * (head if "heads" in name else pair) for name, keep in mask.items()
    )


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("magnitude[budget=flops]", "a budget of flops, which single weights cannot save"),
        ("heads[budget=flop]", "unknown budget 'flop'"),
        ("heads[budget=flops,scope=layer]", "goes with no scope"),
        ("mixed[pattern=2:4]", "goes with no pattern"),
        ("mixed[budget=units,scope=row]", "selects heads, neurons and layers by rows"),
    ],
)
def test_impossible_budgets_are_errors(planned, layers, strategy, message):
    with pytest.raises(PrunebenchError, match=message):
        planned(strategy, plugins=[layers])


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_the_gate_of_a_layer_scales_what_it_adds(context_on, family):
    """By finite differences of x + ξ·(y − x), written as a hook."""
    context, prunable, _ = context_on(family, "layer")
    prunable.model.double()
    slopes = context.gate_gradients(10)
    for index, layer in enumerate(prunable.layers):
        sides = []
        for gate in (1 + 1e-5, 1 - 1e-5):
            handle = prunable.model.get_submodule(layer.path).register_forward_hook(
                lambda module, args, output, gate=gate: args[0] + gate * (output - args[0])
            )
            losses = []
            for batch in context.batches(10):
                labels = batch.pop("labels")
                with torch.no_grad():
                    values = prunable.model.eval()(**batch).logits
                losses.append(torch.nn.functional.cross_entropy(values, labels, reduction="none"))
            sides.append(torch.cat(losses))
            handle.remove()
        difference = (sides[0] - sides[1]) / 2e-5
        assert slopes[f"layer.{index}.layer"].shape == (10, 1)
        torch.testing.assert_close(slopes[f"layer.{index}.layer"][:, 0].double(), difference, rtol=1e-3, atol=1e-6)


def test_the_gates_of_a_composition_are_those_of_its_parts(context_on):
    whole, _, _ = context_on("bert", "head+neuron+layer")
    together = whole.gate_gradients(10)
    for unit in ("head", "neuron", "layer"):
        context, _, _ = context_on("bert", unit)
        for name, slopes in context.gate_gradients(10).items():
            torch.testing.assert_close(together[name], slopes)
    assert set(together) == set(whole.mask)


def test_statistics_of_a_model_with_a_skipped_layer(context_on):
    """Weights of a skipped layer have no gradient, which is zero; its gate and its heads have none either."""
    context, prunable, _ = context_on("bert", "head+layer")
    mask = {name: keep.clone() for name, keep in context.mask.items()}
    mask["layer.1.layer"][0] = False
    structures.apply(prunable.model, structures.expand(mask, structures.groups(prunable, "head+layer"), prunable))
    gradients, squares = context.gradients(10), context.squared_gradients(10)
    for name in prunable.prunable:
        of_second = name.startswith(prunable.layers[1].path)
        assert bool(gradients[name].any()) != of_second and bool(squares[name].any()) != of_second
    gates = context.gate_gradients(10)
    assert not gates["layer.1.layer"].any() and not gates["layer.1.heads"].any()
    assert gates["layer.0.layer"].all() and gates["layer.0.heads"].any()
    small = compact(prunable, mask, "head+layer")
    batch = next(context.batches(10))
    batch.pop("labels")
    torch.testing.assert_close(small(**batch).logits, prunable.model(**batch).logits, atol=1e-6, rtol=0)
