"""Pruned layers: skipped in the masked model, gone from the compacted one, with the same logits."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from prunebench.models import layer_skips
from prunebench.models.encoder import load, load_tokenizer
from prunebench.models.plugin import prunebench_models
from prunebench.models.sources import resolve
from prunebench.pruning import structures
from prunebench.pruning.compaction import compact, load_compacted, save_compacted
from prunebench.pruning.flops import forward_flops, group_costs

FAMILIES = {family.name: family for family in prunebench_models()}
families = pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
rows = pytest.mark.parametrize("stays", [[1, 0], [0, 1], [0, 0], [1, 1]], ids=str)


def loaded(folder):
    source = resolve(str(folder), FAMILIES.values())
    return load(source, FAMILIES[source.family], num_labels=3, regression=False, seed=0)


def batch(folder):
    tokenizer = load_tokenizer(resolve(str(folder), FAMILIES.values()))
    return tokenizer(["the old dog sees a cat", "a film", "very good"], padding=True, return_tensors="pt")


@torch.no_grad()
def logits(model, inputs):
    return model(**inputs).logits


def mask_of(stays):
    return {f"layer.{index}.layer": torch.tensor([bool(stay)]) for index, stay in enumerate(stays)}


def zero_out(pm, mask, unit="layer"):
    structures.apply(pm.model, structures.expand(mask, structures.groups(pm, unit), pm))


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def by_hand(pm, inputs, stays):
    """The logits of the model whose list of layers lacks the pruned ones, before anything is set to zero."""
    path = f"{pm.model.base_model_prefix}.{pm.architecture.layers}"
    layers = pm.model.get_submodule(path)
    owner, _, name = path.rpartition(".")
    parent = pm.model.get_submodule(owner)
    setattr(parent, name, torch.nn.ModuleList([layer for layer, stay in zip(layers, stays, strict=True) if stay]))
    result = pm.model(**inputs).logits
    setattr(parent, name, layers)
    return result


@families
@rows
def test_masked_compacted_and_saved_models_agree(tiny_models, tmp_path, family, stays):
    pm, inputs, mask = loaded(tiny_models[family]), batch(tiny_models[family]), mask_of(stays)
    expected = by_hand(pm, inputs, stays)
    compacted = compact(pm, mask, "layer")
    zero_out(pm, mask)
    assert (logits(pm.model, inputs) - expected).abs().max() <= 1e-6
    assert (logits(compacted, inputs) - expected).abs().max() <= 1e-6
    assert (logits(compact(pm, mask, "layer"), inputs) - expected).abs().max() <= 1e-6
    assert compacted.config.num_hidden_layers == sum(stays)
    save_compacted(compacted, tmp_path / "saved", pm)
    again = load_compacted(tmp_path / "saved")
    assert (logits(again, inputs) - expected).abs().max() <= 1e-5
    assert again.state_dict().keys() == compacted.state_dict().keys()
    assert all(torch.equal(tensor, compacted.state_dict()[name]) for name, tensor in again.state_dict().items())


@families
def test_zeros_alone_are_not_a_skip(tiny_models, family):
    """Why layers are skipped: without the hook, a layer of zeros would normalise its input, or give zeros."""
    pm, inputs = loaded(tiny_models[family]), batch(tiny_models[family])
    expected = by_hand(pm, inputs, [1, 0])
    zero_out(pm, mask_of([1, 0]))
    layer_skips.skip(pm.model, {})
    assert (logits(pm.model, inputs) - expected).abs().max() > 1e-3


@families
def test_a_skip_that_is_off_changes_no_bit(tiny_models, family):
    pm, inputs = loaded(tiny_models[family]), batch(tiny_models[family])
    before = logits(pm.model, inputs)
    zero_out(pm, mask_of([1, 1]))
    assert torch.equal(logits(pm.model, inputs), before)
    for layer in pm.layers:
        pm.model.get_submodule(layer.path)._forward_hooks.clear()
    assert torch.equal(logits(pm.model, inputs), before)


@families
@pytest.mark.parametrize("training", [False, True])
def test_skipped_layers_are_left_out_of_gradients(tiny_models, family, training):
    pm, inputs = loaded(tiny_models[family]), batch(tiny_models[family])
    mask, labels = mask_of([1, 0]), torch.tensor([0, 1, 2])
    compacted = compact(pm, mask, "layer")
    zero_out(pm, mask)
    for model in (pm.model, compacted):
        model.train(training)
        for module in model.modules():
            if "Dropout" in type(module).__name__:
                module.p = 0.0
        model(**inputs, labels=labels).loss.backward()
    masked = {name: parameter.grad for name, parameter in pm.model.named_parameters()}
    pruned = [name for name in masked if name.startswith(f"{pm.layers[1].path}.")]
    assert pruned and all(masked.pop(name) is None for name in pruned)
    for name, parameter in compacted.named_parameters():
        if masked[name] is not None:
            torch.testing.assert_close(parameter.grad, masked[name], atol=1e-6, rtol=1e-4)


@families
def test_the_cost_of_a_layer_is_what_its_removal_saves(tiny_models, family):
    pm = loaded(tiny_models[family])
    pm.model.set_attn_implementation("eager")
    tokens = torch.full((1, 11), 6)

    def counted(model):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
        return counter.get_total_flops()

    costs, mask = group_costs(pm, "layer", 11), mask_of([1, 0])
    smaller = compact(pm, mask, "layer")
    cost = costs["layer.1.layer"]
    assert costs == {"layer.0.layer": cost, "layer.1.layer": cost}
    assert cost.parameters == parameters(pm.model) - parameters(smaller)
    assert cost.flops == counted(pm.model) - counted(smaller)
    assert forward_flops(pm, 11, mask).total == counted(smaller)


def test_a_mask_of_weights_skips_no_layer(tiny_bert):
    pm, inputs = loaded(tiny_bert), batch(tiny_bert)
    mask = {name: torch.zeros_like(pm.model.get_parameter(name), dtype=torch.bool) for name in pm.prunable}
    zero_out(pm, mask, "weight")
    assert not any(skip.active for skip in pm.model.layer_skips.values())
    assert logits(pm.model, inputs).isfinite().all()
    layer_skips.skip_zero_layers(pm.model)
    assert not any(skip.active for skip in pm.model.layer_skips.values())


def test_layers_of_zeros_are_skipped_again_when_they_are_loaded(tiny_bert):
    pm, inputs = loaded(tiny_bert), batch(tiny_bert)
    zero_out(pm, mask_of([0, 1]))
    expected = logits(pm.model, inputs)
    layer_skips.skip(pm.model, {})
    layer_skips.skip_zero_layers(pm.model)
    assert [skip.active for skip in pm.model.layer_skips.values()] == [True, False]
    assert torch.equal(logits(pm.model, inputs), expected)
