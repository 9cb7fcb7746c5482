"""Weights, heads and neurons as slices of parameters, against masks and sums written by hand."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import PrunebenchError
from prunebench.models.encoder import describe, load, load_tokenizer
from prunebench.models.plugin import prunebench_models
from prunebench.models.sources import resolve
from prunebench.pruning import structures
from prunebench.pruning.structures import Group, Slice

FAMILIES = {family.name: family for family in prunebench_models()}
families = pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])


def loaded(folder):
    source = resolve(str(folder), FAMILIES.values())
    return load(source, FAMILIES[source.family], num_labels=2, regression=False, seed=0)


def everything(pm, unit):
    return {name: torch.ones(group.shape, dtype=torch.bool) for name, group in structures.groups(pm, unit).items()}


def batch(folder):
    tokenizer = load_tokenizer(resolve(str(folder), FAMILIES.values()))
    return tokenizer(["the old dog sees a cat", "a film", "very good"], padding=True, return_tensors="pt")


@pytest.fixture
def small():
    """One layer with 2 heads of size 2 and 3 neurons, small enough to count by eye."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(num_hidden_layers=1, num_attention_heads=2, hidden_size=4, intermediate_size=3, vocab_size=5)
    return describe(BertForSequenceClassification(config), FAMILIES["bert"])


LAYER = "bert.encoder.layer.0"


@functools.cache
def two_layers():
    """2 layers with 2 heads of size 3 and 5 neurons. Not a fixture, because hypothesis refuses those."""
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"num_attention_heads": 2, "hidden_size": 6, "intermediate_size": 5, "vocab_size": 5}
    return describe(BertForSequenceClassification(BertConfig(num_hidden_layers=2, **sizes)), FAMILIES["bert"])


def test_weights_are_groups_by_parameter(small):
    groups = structures.groups(small, "weight")
    assert list(groups) == small.prunable
    assert [group.shape for group in groups.values()] == [(4, 4)] * 4 + [(3, 4), (4, 3)]
    assert all(group.slices == (Slice(name, 0, 1),) for name, group in groups.items())


def test_heads_are_rows_of_query_key_and_value_and_columns_of_the_output(small):
    rows = [
        f"{LAYER}.attention.self.{part}.{kind}" for part in ("query", "key", "value") for kind in ("weight", "bias")
    ]
    slices = (*(Slice(name, 0, 2) for name in rows), Slice(f"{LAYER}.attention.output.dense.weight", 1, 2))
    assert structures.groups(small, "head") == {"layer.0.heads": Group((2,), slices)}


def test_neurons_are_rows_of_the_intermediate_and_columns_of_the_output(small):
    slices = (
        Slice(f"{LAYER}.intermediate.dense.weight", 0, 1),
        Slice(f"{LAYER}.intermediate.dense.bias", 0, 1),
        Slice(f"{LAYER}.output.dense.weight", 1, 1),
    )
    assert structures.groups(small, "neuron") == {"layer.0.neurons": Group((3,), slices)}


@families
def test_groups_follow_the_layers(tiny_models, family):
    pm = loaded(tiny_models[family])
    assert list(structures.groups(pm, "head")) == ["layer.0.heads", "layer.1.heads"]
    assert [group.shape for group in structures.groups(pm, "neuron").values()] == [(64,), (64,)]
    covered = [
        part.parameter for unit in ("head", "neuron") for g in structures.groups(pm, unit).values() for part in g.slices
    ]
    assert len(covered) == len(set(covered)) == 2 * (7 + 3)
    assert set(pm.prunable) <= set(covered)


def test_an_unknown_unit_is_an_error(small):
    with pytest.raises(PrunebenchError, match=r"unknown unit 'heads' .did you mean 'head'"):
        structures.groups(small, "heads")
    with pytest.raises(PrunebenchError, match="'weight' have no gate"):
        structures.gate_points(small, "weight")


def test_expanding_a_mask_of_heads(small):
    keep = structures.expand({"layer.0.heads": torch.tensor([True, False])}, structures.groups(small, "head"), small)
    rows = torch.tensor([[1] * 4, [1] * 4, [0] * 4, [0] * 4], dtype=torch.bool)
    for part in ("query", "key", "value"):
        assert torch.equal(keep.pop(f"{LAYER}.attention.self.{part}.weight"), rows)
        assert keep.pop(f"{LAYER}.attention.self.{part}.bias").tolist() == [True, True, False, False]
    assert torch.equal(keep.pop(f"{LAYER}.attention.output.dense.weight"), rows.T)
    assert keep == {}


def test_expanding_a_mask_of_neurons(small):
    keep = structures.expand(
        {"layer.0.neurons": torch.tensor([False, True, True])}, structures.groups(small, "neuron"), small
    )
    assert keep.pop(f"{LAYER}.intermediate.dense.weight").tolist() == [[False] * 4, [True] * 4, [True] * 4]
    assert keep.pop(f"{LAYER}.intermediate.dense.bias").tolist() == [False, True, True]
    assert keep.pop(f"{LAYER}.output.dense.weight").tolist() == [[False, True, True]] * 4
    assert keep == {}


def test_expanding_a_mask_of_weights_copies_it(small):
    mask = {name: torch.rand(group.shape) < 0.5 for name, group in structures.groups(small, "weight").items()}
    keep = structures.expand(mask, structures.groups(small, "weight"), small)
    assert keep.keys() == mask.keys()
    assert all(torch.equal(keep[name], mask[name]) for name in mask)
    assert all(keep[name].data_ptr() != mask[name].data_ptr() for name in mask)


def test_an_entry_in_two_slices_stays_if_both_keep_it(small):
    name = f"{LAYER}.output.dense.weight"
    both = {"rows": Group((4,), (Slice(name, 0, 1),)), "columns": Group((3,), (Slice(name, 1, 1),))}
    mask = {"rows": torch.tensor([True, True, True, False]), "columns": torch.tensor([False, True, True])}
    assert structures.expand(mask, both, small)[name].tolist() == [[False, True, True]] * 3 + [[False] * 3]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_sum_of_a_unit_is_over_the_entries_of_its_expanded_mask(data):
    pm = two_layers()
    unit = data.draw(st.sampled_from(["weight", "head", "neuron"]))
    groups = structures.groups(pm, unit)
    seed = data.draw(st.integers(0, 1000))
    generator = torch.Generator().manual_seed(seed)
    values = {
        name: torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        for name, parameter in pm.model.named_parameters()
    }
    sums = structures.unit_sums(values, groups)
    group = data.draw(st.sampled_from(list(groups)))
    index = tuple(data.draw(st.integers(0, size - 1)) for size in groups[group].shape)
    one = {name: torch.zeros(g.shape, dtype=torch.bool) for name, g in groups.items()}
    one[group][index] = True
    expected = sum(float(values[name][keep].sum()) for name, keep in structures.expand(one, groups, pm).items())
    assert {name: tuple(total.shape) for name, total in sums.items()} == {n: g.shape for n, g in groups.items()}
    assert sums[group][index].item() == pytest.approx(expected, abs=1e-12)


def test_unit_sums_by_hand(small):
    values = {f"{LAYER}.attention.self.query.weight": torch.arange(16.0).reshape(4, 4)}
    values[f"{LAYER}.attention.output.dense.weight"] = torch.ones(4, 4)
    assert structures.unit_sums(values, structures.groups(small, "head"))["layer.0.heads"].tolist() == [28 + 8, 92 + 8]


def test_parameters_without_values_count_as_zero(small):
    assert structures.unit_sums({}, structures.groups(small, "neuron"))["layer.0.neurons"].tolist() == [0, 0, 0]
    only = {f"{LAYER}.intermediate.dense.bias": torch.tensor([1.0, 2, 3])}
    assert structures.unit_sums(only, structures.groups(small, "neuron"))["layer.0.neurons"].tolist() == [1, 2, 3]


def test_apply_zeroes_exactly_the_pruned_entries(small):
    name = f"{LAYER}.attention.self.query.weight"
    parameter = small.model.get_parameter(name)
    before = {key: tensor.detach().clone() for key, tensor in small.model.named_parameters()}
    with torch.no_grad():
        parameter[0, 1] = float("inf")
    keep = torch.ones(4, 4, dtype=torch.bool)
    keep[0, 1] = keep[2, 3] = False
    structures.apply(small.model, {name: keep})
    assert small.model.get_parameter(name) is parameter
    assert parameter[0, 1] == 0 == parameter[2, 3]
    before[name][0, 1] = before[name][2, 3] = 0
    assert all(torch.equal(p, before[key]) for key, p in small.model.named_parameters())
    assert parameter.requires_grad


def test_apply_zeroes_any_value_and_keeps_every_bit_of_the_rest(small):
    """Also if the weights are not contiguous, as after a transposition."""
    layer = "bert.encoder.layer.0.output.dense"
    odd = torch.tensor([[-1.0, float("nan"), -0.0], [float("inf"), -float("inf"), 1e-45], [2.0, 3.0, 0.1], [4, 5, 6]])
    small.model.get_submodule(layer).weight = torch.nn.Parameter(odd.t().contiguous().t())
    keep = torch.tensor([[False, False, False], [False, False, True], [True, False, True], [False, True, True]])
    structures.apply(small.model, {f"{layer}.weight": keep})
    now = small.model.get_parameter(f"{layer}.weight").detach()
    expected = odd.masked_fill(~keep, 0.0)
    assert torch.equal(now.contiguous().view(torch.int32), expected.view(torch.int32))


def test_encoder_sparsity_counts_the_prunable_matrices_only(small):
    with torch.no_grad():
        for parameter in small.model.parameters():
            parameter.fill_(1)
        small.model.bert.embeddings.word_embeddings.weight.zero_()
        small.model.get_parameter(small.prunable[0])[0] = 0
        small.model.get_parameter(small.prunable[0])[1, 0] = -0.0
    assert structures.encoder_sparsity(small) == pytest.approx(5 / (4 * 16 + 2 * 12))


def test_half_the_heads_are_a_sixth_of_the_encoder():
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(num_hidden_layers=1, num_attention_heads=12, hidden_size=24, intermediate_size=96, vocab_size=5)
    pm = describe(BertForSequenceClassification(config), FAMILIES["bert"])
    groups = structures.groups(pm, "head")
    structures.apply(pm.model, structures.expand({"layer.0.heads": torch.arange(12) < 6}, groups, pm))
    assert structures.encoder_sparsity(pm) == pytest.approx(1 / 6)


@families
@pytest.mark.parametrize("unit", ["head", "neuron"])
@torch.no_grad()
def test_a_gate_at_zero_is_the_unit_at_zero(tiny_models, family, unit):
    pm = loaded(tiny_models[family])
    inputs = batch(tiny_models[family])
    full = pm.model(**inputs).logits
    points = structures.gate_points(pm, unit)
    assert list(points) == list(structures.groups(pm, unit))
    mask = everything(pm, unit)
    for name, index in (("layer.0.%ss", 2), ("layer.1.%ss", 0)):
        mask[name % unit][index] = False

    def gate(name):
        def hook(module, args):
            (values,) = args
            viewed = values.view(*values.shape[:-1], mask[name].numel(), -1)
            return ((viewed * mask[name][:, None]).view(values.shape),)

        return hook

    handles = [pm.model.get_submodule(path).register_forward_pre_hook(gate(name)) for name, path in points.items()]
    gated = pm.model(**inputs).logits
    for handle in handles:
        handle.remove()
    structures.apply(pm.model, structures.expand(mask, structures.groups(pm, unit), pm))
    masked = pm.model(**inputs).logits
    assert (gated - masked).abs().max() < 1e-6
    assert (gated - full).abs().max() > 1e-5
