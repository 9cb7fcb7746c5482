"""FLOPs against torch's own counter, which watches the operations of a forward pass."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from prunebench import PrunebenchError
from prunebench.models.encoder import load
from prunebench.models.plugin import prunebench_models
from prunebench.models.sources import resolve
from prunebench.pruning import structures
from prunebench.pruning.compaction import compact
from prunebench.pruning.flops import FLOPs, forward_flops, group_costs

FAMILIES = {family.name: family for family in prunebench_models()}
families = pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
LENGTH = 11


def loaded(folder, prune_pooler=False):
    source = resolve(str(folder), FAMILIES.values())
    family = FAMILIES[source.family]
    pm = load(source, family, num_labels=3, regression=False, seed=0, prune_pooler=prune_pooler)
    # In eager mode, the two products of the attention are ordinary matrix products for the counter.
    pm.model.set_attn_implementation("eager")
    return pm


@torch.no_grad()
def counted(model, length=LENGTH):
    """The counter has formulas for matrix products only. It leaves out what `forward_flops` leaves out."""
    tokens = torch.full((1, length), 6)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    return counter.get_total_flops()


def random_mask(pm, unit, seed=0, share=0.5):
    generator = torch.Generator().manual_seed(seed)
    groups = structures.groups(pm, unit).items()
    return {name: torch.rand(group.shape, generator=generator) < share for name, group in groups}


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@families
@pytest.mark.parametrize("length", [1, LENGTH, 40])
def test_the_dense_model(tiny_models, family, length):
    pm = loaded(tiny_models[family])
    flops = counted(pm.model, length)
    assert forward_flops(pm, length, {}) == FLOPs(flops, flops)


def test_the_dense_model_by_hand(tiny_bert):
    """2 layers, hidden size 32, 64 neurons, a pooler and a classifier of 3 labels."""
    attention, neurons = 2 * LENGTH * 4 * 32 * 32 + 4 * LENGTH**2 * 32, 2 * LENGTH * 2 * 32 * 64
    assert forward_flops(loaded(tiny_bert), LENGTH, {}).total == 2 * (attention + neurons) + 2 * 32 * 32 + 2 * 32 * 3


@families
@pytest.mark.parametrize("unit", ["head", "neuron"])
@pytest.mark.parametrize("share", [0.5, 0.0, 1.0])
def test_models_without_their_pruned_units(tiny_models, family, unit, share):
    pm = loaded(tiny_models[family])
    mask = random_mask(pm, unit, share=share)
    flops = counted(compact(pm, mask, unit))
    assert forward_flops(pm, LENGTH, mask) == FLOPs(flops, flops)
    assert (flops < counted(pm.model)) == (share < 1)


@families
def test_heads_and_neurons_together(tiny_models, family):
    pm = loaded(tiny_models[family])
    heads, neurons = random_mask(pm, "head"), random_mask(pm, "neuron")
    once = compact(pm, neurons, "neuron")
    twice = compact(type(pm)(once, pm.architecture, pm.layers, pm.heads, pm.head_size, pm.prunable), heads, "head")
    assert forward_flops(pm, LENGTH, heads | neurons).total == counted(twice)


def test_pruned_weights_are_multiplied_unless_zeros_are_skipped(tiny_bert):
    pm = loaded(tiny_bert, prune_pooler=True)
    mask = random_mask(pm, "weight")
    flops = forward_flops(pm, LENGTH, mask)
    structures.apply(pm.model, mask)
    zeros = {name: int((pm.model.get_parameter(name) == 0).sum()) for name in pm.prunable}
    pooler = zeros.pop("bert.pooler.dense.weight")
    assert flops.total == counted(pm.model)
    assert flops.total - flops.skipping_zeros == 2 * LENGTH * sum(zeros.values()) + 2 * pooler
    assert pooler > 0


def test_a_weight_of_a_pruned_head_is_skipped_once(tiny_bert):
    """Masks of heads and of weights together skip what either of them prunes."""
    pm = loaded(tiny_bert)
    heads, weights = random_mask(pm, "head"), random_mask(pm, "weight")
    flops = forward_flops(pm, LENGTH, heads | weights)
    structures.apply(pm.model, weights)
    structures.apply(pm.model, structures.expand(heads, structures.groups(pm, "head"), pm))
    zeros = sum(int((pm.model.get_parameter(name) == 0).sum()) for name in pm.prunable)
    products = sum(4 * LENGTH**2 * 8 * int((~stays).sum()) for stays in heads.values())
    assert flops.total == forward_flops(pm, LENGTH, heads).total
    assert flops.skipping_zeros == counted(loaded(tiny_bert).model) - 2 * LENGTH * zeros - products


@families
@pytest.mark.parametrize("unit", ["head", "neuron"])
def test_the_cost_of_a_unit_is_what_its_removal_saves(tiny_models, family, unit):
    pm = loaded(tiny_models[family])
    costs = group_costs(pm, unit, LENGTH)
    full = {name: torch.ones(group.shape, dtype=torch.bool) for name, group in structures.groups(pm, unit).items()}
    assert list(costs) == list(full)
    for name, cost in costs.items():
        mask = {group: stays.clone() for group, stays in full.items()}
        mask[name][-1] = False
        smaller = compact(pm, mask, unit)
        assert cost.parameters == parameters(pm.model) - parameters(smaller)
        assert cost.flops == counted(pm.model) - counted(smaller)
        assert cost.flops == forward_flops(pm, LENGTH, {}).total - forward_flops(pm, LENGTH, mask).total


def test_the_cost_of_a_weight_is_one_parameter_and_its_products(tiny_bert):
    pm = loaded(tiny_bert, prune_pooler=True)
    dense = forward_flops(pm, LENGTH, {}).skipping_zeros
    for name, cost in group_costs(pm, "weight", LENGTH).items():
        mask = {name: torch.ones_like(pm.model.get_parameter(name), dtype=torch.bool)}
        mask[name][0, 1] = False
        assert cost == (1, dense - forward_flops(pm, LENGTH, mask).skipping_zeros)
        assert cost.flops == 2 * (1 if "pooler" in name else LENGTH)


def test_an_unknown_group_is_an_error(tiny_bert):
    with pytest.raises(PrunebenchError, match=r"unknown group 'layer\.9\.heads'"):
        forward_flops(loaded(tiny_bert), LENGTH, {"layer.9.heads": torch.ones(4, dtype=torch.bool)})
