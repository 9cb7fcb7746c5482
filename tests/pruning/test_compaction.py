"""Models without their pruned heads and neurons: the same logits as with zeros, and the exact number of parameters."""

import json

import pytest
import torch

from prunebench import Group, PrunebenchError, Slice, Structure
from prunebench.models.encoder import load, load_tokenizer
from prunebench.models.initialisation import reinitialise
from prunebench.models.plugin import prunebench_models
from prunebench.models.sources import resolve
from prunebench.pruning import structures
from prunebench.pruning.compaction import NoHeads, compact, load_compacted, save_compacted

FAMILIES = {family.name: family for family in prunebench_models()}
families = pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
attentions = pytest.mark.parametrize("attention", ["sdpa", "eager"])

# By unit and name: the units that stay in each of the two layers.
MASKS = {
    "head": {
        "some": [[1, 0, 1, 1], [0, 1, 0, 0]],
        "a layer without heads": [[0, 0, 0, 0], [1, 1, 0, 1]],
        "no heads at all": [[0, 0, 0, 0], [0, 0, 0, 0]],
        "all": [[1, 1, 1, 1], [1, 1, 1, 1]],
    },
    "neuron": {
        "some": [[i % 3 > 0 for i in range(64)], [i % 7 == 0 for i in range(64)]],
        "a layer without neurons": [[i < 10 for i in range(64)], [0] * 64],
        "all": [[1] * 64, [1] * 64],
    },
}
CASES = [(unit, name) for unit, masks in MASKS.items() for name in masks]
cases = pytest.mark.parametrize(("unit", "name"), CASES, ids=[f"{unit}-{name}" for unit, name in CASES])


def mask_of(unit, name):
    rows = zip(("layer.0", "layer.1"), MASKS[unit][name], strict=True)
    return {f"{layer}.{unit}s": torch.tensor(row, dtype=torch.bool) for layer, row in rows}


def loaded(folder, attention="sdpa"):
    source = resolve(str(folder), FAMILIES.values())
    pm = load(source, FAMILIES[source.family], num_labels=3, regression=False, seed=0)
    pm.model.set_attn_implementation(attention)
    return pm


def batch(folder):
    """Three texts of different lengths, so that the attention mask has an effect."""
    tokenizer = load_tokenizer(resolve(str(folder), FAMILIES.values()))
    texts = ["the old dog sees a zebra in the garden", "a film", "very good story"]
    return tokenizer(texts, ["the dog sees it", "it was not bad at all", "."], padding=True, return_tensors="pt")


@torch.no_grad()
def logits(model, inputs):
    return model(**inputs).logits


def zero_out(pm, mask, unit):
    structures.apply(pm.model, structures.expand(mask, structures.groups(pm, unit), pm))


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def pruned(mask):
    return sum(int((~stays).sum()) for stays in mask.values())


@families
@cases
@attentions
def test_compacted_and_masked_models_agree(tiny_models, tmp_path, family, unit, name, attention):
    pm, inputs, mask = loaded(tiny_models[family], attention), batch(tiny_models[family]), mask_of(unit, name)
    full = logits(pm.model, inputs)
    compacted = compact(pm, mask, unit)
    assert torch.equal(logits(pm.model, inputs), full)
    zero_out(pm, mask, unit)
    masked = logits(pm.model, inputs)
    assert not compacted.training
    assert (logits(compacted, inputs) - masked).abs().max() <= 1e-5
    assert (logits(compact(pm, mask, unit), inputs) - masked).abs().max() <= 1e-5
    if name != "all":
        assert (full - masked).abs().max() > 1e-4
    save_compacted(compacted, tmp_path / "saved", pm)
    again = load_compacted(tmp_path / "saved")
    again.set_attn_implementation(attention)
    assert torch.equal(logits(again, inputs), logits(compacted, inputs))
    assert (logits(again, inputs) - masked).abs().max() <= 1e-5


@families
@cases
def test_the_compacted_model_has_exactly_the_remaining_parameters(tiny_models, family, unit, name):
    pm, mask = loaded(tiny_models[family]), mask_of(unit, name)
    # Hidden size 32, head size 8: a head has rows of three matrices and biases, and columns of a fourth matrix.
    each = {"head": 3 * (8 * 32 + 8) + 32 * 8, "neuron": 32 + 1 + 32}[unit]
    compacted = compact(pm, mask, unit)
    assert parameters(compacted) == parameters(pm.model) - pruned(mask) * each
    assert all(parameter.requires_grad for parameter in compacted.parameters())


@families
def test_the_shapes_of_the_compacted_linears(tiny_models, family):
    pm, mask = loaded(tiny_models[family]), mask_of("head", "a layer without heads")
    compacted = compact(pm, mask, "head")
    first, second = pm.layers
    assert isinstance(compacted.get_submodule(first.attention), NoHeads)
    assert compacted.get_submodule(first.attention_output).weight.shape == (32, 0)
    query, output = (compacted.get_submodule(path) for path in (second.query, second.attention_output))
    assert (query.in_features, query.out_features, *query.bias.shape) == (32, 24, 24)
    assert (output.in_features, output.out_features) == (24, 32)
    attention = compacted.get_submodule(second.attention)
    assert (attention.n_heads if family == "distilbert" else attention.num_attention_heads) == 3
    stays = [*range(16), *range(24, 32)]
    original = pm.model.get_parameter(f"{second.attention_output}.weight")
    assert torch.equal(output.weight, original[:, stays])
    assert torch.equal(query.weight, pm.model.get_parameter(f"{second.query}.weight")[stays])


@families
@cases
@attentions
def test_the_compacted_model_trains(tiny_models, family, unit, name, attention):
    pm, inputs, mask = loaded(tiny_models[family], attention), batch(tiny_models[family]), mask_of(unit, name)
    compacted = compact(pm, mask, unit).train()
    optimizer = torch.optim.AdamW(compacted.parameters(), lr=1e-2)
    losses = []
    for _ in range(6):
        torch.manual_seed(0)
        loss = compacted(**inputs, labels=torch.tensor([0, 1, 2])).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for layer in pm.layers:
        bias = compacted.get_submodule(layer.attention_output).bias
        assert bias.grad is not None and bias.grad.abs().sum() > 0


@families
def test_compacted_and_masked_models_have_the_same_gradients(tiny_models, family):
    pm, inputs, mask = loaded(tiny_models[family]), batch(tiny_models[family]), mask_of("head", "some")
    compacted = compact(pm, mask, "head")
    zero_out(pm, mask, "head")
    labels = torch.tensor([0, 1, 2])
    for model in (compacted, pm.model):
        model(**inputs, labels=labels).loss.backward()
    stays = mask["layer.0.heads"].repeat_interleave(8)
    for path in (pm.layers[0].query, pm.layers[0].value):
        small, large = (model.get_parameter(f"{path}.weight").grad for model in (compacted, pm.model))
        assert torch.allclose(small, large[stays], atol=1e-6)


@families
def test_heads_and_neurons_can_both_be_removed(tiny_models, tmp_path, family):
    """The file has the numbers of both."""
    pm, inputs = loaded(tiny_models[family]), batch(tiny_models[family])
    heads, neurons = mask_of("head", "a layer without heads"), mask_of("neuron", "some")
    once = compact(pm, neurons, "neuron")
    pm_once = type(pm)(once, pm.architecture, pm.layers, pm.heads, pm.head_size, pm.prunable)
    twice = compact(pm_once, heads, "head")
    zero_out(pm, heads, "head")
    zero_out(pm, neurons, "neuron")
    save_compacted(twice, tmp_path, pm)
    assert (logits(load_compacted(tmp_path), inputs) - logits(pm.model, inputs)).abs().max() <= 1e-5
    units = json.loads((tmp_path / "compaction.json").read_text())["units"]
    assert units == {"head": [0, 3], "neuron": [42, 10]}


@families
def test_loading_restores_the_saved_model(tiny_models, tmp_path, family):
    pm = loaded(tiny_models[family])
    compacted = compact(pm, mask_of("head", "a layer without heads"), "head")
    save_compacted(compacted, tmp_path / "deep" / "folder", pm)
    state = torch.get_rng_state()
    again = load_compacted(tmp_path / "deep" / "folder")
    assert torch.equal(torch.get_rng_state(), state)
    assert not again.training
    first, second = compacted.state_dict(), again.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert again.config.num_labels == 3
    names = sorted(path.name for path in (tmp_path / "deep" / "folder").iterdir())
    assert names == ["compaction.json", "config.json", "model.safetensors"]


def test_the_copy_shares_nothing_with_the_model(tiny_bert):
    pm = loaded(tiny_bert)
    before = {name: parameter.detach().clone() for name, parameter in pm.model.named_parameters()}
    compacted = compact(pm, mask_of("head", "some"), "head")
    with torch.no_grad():
        for parameter in compacted.parameters():
            parameter.fill_(7)
    assert all(torch.equal(parameter, before[name]) for name, parameter in pm.model.named_parameters())


def test_single_weights_cannot_be_removed(tiny_bert):
    pm = loaded(tiny_bert)
    mask = {name: torch.ones(group.shape, dtype=torch.bool) for name, group in structures.groups(pm, "weight").items()}
    with pytest.raises(PrunebenchError, match="single weights cannot be removed"):
        compact(pm, mask, "weight")


def test_a_layer_without_heads_has_no_attention_maps(tiny_bert):
    pm, inputs = loaded(tiny_bert, "eager"), batch(tiny_bert)
    compacted = compact(pm, mask_of("head", "a layer without heads"), "head")
    with torch.no_grad():
        maps = compacted(**inputs, output_attentions=True).attentions
    assert [tuple(map_.shape[:2]) for map_ in maps] == [(3, 3)]


class PoolerNeurons(Structure):
    """The outputs of BERT's pooler, which the classifier reads: no unit that the core knows."""

    name = "pooled"

    def groups(self, pm):
        pooler = [Slice(f"bert.pooler.dense.{name}", 0, 1) for name in ("weight", "bias")]
        return {"pooled": Group((32,), (*pooler, Slice("classifier.weight", 1, 1)))}


def test_a_model_without_units_of_a_plugin_is_loaded_again(tiny_bert, tmp_path):
    pm, inputs, structure = loaded(tiny_bert), batch(tiny_bert), PoolerNeurons()
    mask = {"pooled": torch.arange(32) % 3 > 0}
    compacted = compact(pm, mask, structure)
    save_compacted(compacted, tmp_path, pm)
    again = load_compacted(tmp_path)
    assert tuple(again.classifier.weight.shape) == (3, 21) and again.classifier.in_features == 21
    assert torch.equal(logits(again, inputs), logits(compacted, inputs))
    zero_out(pm, mask, structure)
    assert (logits(again, inputs) - logits(pm.model, inputs)).abs().max() <= 1e-5


@pytest.mark.parametrize(
    ("breaks", "text"),
    [
        (lambda folder: (folder / "compaction.json").unlink(), "no compacted model in"),
        (lambda folder: (folder / "compaction.json").write_text("{"), "no compacted model in"),
        (lambda folder: (folder / "compaction.json").write_text('{"format": 2}'), "has format 2, expected 1"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"1234567890"), "cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be read"),
    ],
)
def test_a_broken_folder_is_one_clear_line(tiny_bert, tmp_path, breaks, text):
    pm = loaded(tiny_bert)
    save_compacted(compact(pm, mask_of("neuron", "some"), "neuron"), tmp_path, pm)
    breaks(tmp_path)
    with pytest.raises(PrunebenchError) as caught:
        load_compacted(tmp_path)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@families
def test_drawing_and_compacting_on_a_gpu_equals_the_cpu(tiny_models, family):
    cpu, gpu = loaded(tiny_models[family]), loaded(tiny_models[family])
    gpu.model.cuda()
    for pm in (cpu, gpu):
        reinitialise(pm, 3)
    assert {parameter.device.type for parameter in gpu.model.parameters()} == {"cuda"}
    assert all(torch.equal(p.cpu(), cpu.model.get_parameter(name)) for name, p in gpu.model.named_parameters())
    mask, inputs = mask_of("head", "a layer without heads"), batch(tiny_models[family])
    compacted = compact(gpu, mask, "head")
    on_device = {name: tensor.cuda() for name, tensor in inputs.items()}
    assert compacted(**on_device).logits.isfinite().all()
    zero_out(gpu, mask, "head")
    assert (logits(compacted, on_device) - logits(gpu.model, on_device)).abs().max() <= 1e-5
