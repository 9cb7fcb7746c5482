"""Compositions of structures: their names, their groups, and models without the units of random masks."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models import families, layer_skips
from prunebench.models.encoder import describe
from prunebench.pruning import structures
from prunebench.pruning.compaction import compact
from prunebench.recipes.strategy import plural, split_unit

KINDS = ("head", "neuron", "layer")
compositions = st.sets(st.sampled_from(KINDS), min_size=1).map(lambda kinds: "+".join(k for k in KINDS if k in kinds))


@functools.cache
def small(family):
    """3 layers with 2 heads of size 3 and 5 neurons, and its weights, which tests set anew."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    sizes = {"num_hidden_layers": 3, "num_attention_heads": 2, "hidden_size": 6, "vocab_size": 9}
    config = AutoConfig.for_model(family.model_types[0], **sizes, num_labels=2, max_position_embeddings=20)
    setattr(config, "hidden_dim" if family is families.DISTILBERT else "intermediate_size", 5)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = AutoModelForSequenceClassification.from_config(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    pm = describe(model.eval(), family)
    layer_skips.install(pm)
    return pm, {name: tensor.clone() for name, tensor in model.state_dict().items()}


@torch.no_grad()
def logits(model):
    tokens = torch.tensor([[3, 4, 5, 6, 2], [8, 7, 2, 2, 2]])
    return model(input_ids=tokens, attention_mask=torch.tensor([[1] * 5, [1, 1, 1, 0, 0]])).logits


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(families.FAMILIES), compositions)
def test_compacted_and_masked_models_agree(data, family, unit):
    pm, weights = small(family)
    pm.model.load_state_dict(weights)
    groups = structures.groups(pm, unit)
    mask = {
        name: torch.tensor(data.draw(st.lists(st.booleans(), min_size=group.shape[0], max_size=group.shape[0])))
        for name, group in groups.items()
    }
    keep = structures.expand(mask, groups, pm)
    structures.apply(pm.model, keep)
    compacted = compact(pm, mask, unit)
    assert (logits(compacted) - logits(pm.model)).abs().max() <= 1e-5
    left = sum(parameter.numel() for parameter in pm.model.parameters()) - sum(int((~k).sum()) for k in keep.values())
    assert sum(parameter.numel() for parameter in compacted.parameters()) == left
    assert all(not pm.model.get_parameter(name)[~stays].any() for name, stays in keep.items())


def test_groups_are_those_of_the_parts_in_their_order():
    pm, _ = small(families.BERT)
    both = structures.groups(pm, "head+neuron")
    assert list(both) == [f"layer.{i}.heads" for i in range(3)] + [f"layer.{i}.neurons" for i in range(3)]
    assert both == structures.groups(pm, "head") | structures.groups(pm, "neuron")
    assert structures.gate_points(pm, "head+neuron") == (
        structures.gate_points(pm, "head") | structures.gate_points(pm, "neuron")
    )


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("neuron+head", r"another order .write 'head\+neuron'"),
        ("head+weight", "combines single weights with others"),
        ("head+head", "cannot read unit 'head.head'"),
        ("head+", "cannot read unit"),
        ("", "cannot read unit"),
        ("head+neurone", r"unknown structure 'neurone' .did you mean 'neuron'"),
    ],
)
def test_impossible_units_are_errors(unit, message):
    with pytest.raises(PrunebenchError, match=message):
        structures.look_up(unit, Registry())
    with pytest.raises(PrunebenchError, match=message.replace("structure", "unit")):
        structures.structure_of(unit)


def test_units_in_sentences():
    assert split_unit("head+neuron") == ["head", "neuron"]
    assert [plural(unit) for unit in ("head", "head+neuron", "head+neuron+layer")] == [
        *("heads", "heads and neurons", "heads, neurons and layers")
    ]


PLUGIN = """
from dataclasses import dataclass
from prunebench import Compact, Group, Prune, Slice, Structure, Train, hookimpl

class Pairs(Structure):
    '''Two neurons at a time.'''
    name = "pair"

    def groups(self, pm):
        groups = {}
        for layer in pm.layers:
            size = len(pm.model.get_parameter(f"{layer.intermediate}.weight")) // 2
            slices = (
                Slice(f"{layer.intermediate}.weight", 0, 2),
                Slice(f"{layer.intermediate}.bias", 0, 2),
                Slice(f"{layer.output}.weight", 1, 2),
            )
            groups[f"layer.{layer.index}.pairs"] = Group((size,), slices)
        return groups

@dataclass(frozen=True)
class Mine:
    name = "mine"
    unit = "head+pair"

    def recipe(self, sparsity):
        return [Train(), Prune(sparsity, budget="parameters"), Train(), Compact()]

    def score(self, ctx):
        return {name: cost + ctx.mask[name].to(cost) for name, cost in ctx.costs.items()}

@hookimpl
def prunebench_structures():
    return [Pairs()]

@hookimpl
def prunebench_strategies():
    return [Mine]
"""


def test_the_source_of_a_structure_is_in_the_keys_of_those_who_prune_it(tmp_path):
    """Also if structure and strategy are in different files."""
    structure, strategy = (part.strip() for part in PLUGIN.split("@dataclass(frozen=True)"))
    head = "from dataclasses import dataclass\nfrom prunebench import *\n"
    mine = "@dataclass(frozen=True)\n" + strategy.replace(
        "@hookimpl\ndef prunebench_structures():\n    return [Pairs()]", ""
    )
    hook = "\n@hookimpl\ndef prunebench_structures():\n    return [Pairs()]\n"
    (tmp_path / "mine.py").write_text(head + mine)
    digests = []
    for size in ("size", "number"):
        (tmp_path / "pairs.py").write_text(f"{structure}\n{hook}".replace("size", size))
        registry = Registry([tmp_path / "mine.py", tmp_path / "pairs.py"])
        digests.append(registry.strategy_key("mine")["source"])
        assert structures.look_up("head+pair", registry).name == "head+pair"
        assert registry.strategy_key("heads") == Registry().strategy_key("heads")
    assert digests[0] != digests[1]
