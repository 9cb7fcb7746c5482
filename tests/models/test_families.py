"""Families of encoders: all prunable matrices are named, and models that do not match are refused."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from models.checkpoints import FAMILIES, families, loaded, source_of, variant

from prunebench import Architecture, PrunebenchError
from prunebench.models.encoder import describe
from prunebench.models.sources import resolve

LINEARS_OF_BERT = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
LINEARS = dict.fromkeys(("bert", "roberta", "electra"), LINEARS_OF_BERT) | {
    "distilbert": ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2")
}


def test_the_hook_gives_the_four_families_without_torch():
    code = "import sys, prunebench.models.plugin as m, prunebench.models.sources, prunebench.pruning.structures\n"
    code += "print([f.name for f in m.prunebench_models()], {'torch', 'transformers', 'datasets'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "['bert', 'roberta', 'distilbert', 'electra'] set()"


def test_no_model_type_belongs_to_two_families():
    kinds = [kind for family in FAMILIES.values() for kind in family.model_types]
    assert len(kinds) == len(set(kinds))
    assert {"bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra"} == set(kinds)


@families
def test_exactly_the_matrices_of_the_layers_are_prunable(tiny_models, family):
    pm = loaded(tiny_models[family])
    base = {"distilbert": "distilbert.transformer.layer"}.get(family, f"{family}.encoder.layer")
    expected = [f"{base}.{i}.{linear}.weight" for i in range(2) for linear in LINEARS[family]]
    assert pm.prunable == expected
    assert sum(pm.model.get_parameter(name).numel() for name in pm.prunable) == 2 * (4 * 32 * 32 + 2 * 32 * 64)
    in_layers = {name for name, p in pm.model.named_parameters() if f"{base}." in name and p.dim() == 2}
    assert set(pm.prunable) == in_layers
    assert (pm.heads, pm.head_size, len(pm.layers)) == (4, 8, 2)
    for layer in pm.layers:
        assert [f"{linear}.weight" for linear in layer.linears] == expected[6 * layer.index : 6 * layer.index + 6]
        assert pm.model.get_submodule(layer.query) in list(pm.model.get_submodule(layer.attention).children())


@pytest.mark.parametrize("kind", ["xlm-roberta", "camembert"])
def test_relatives_of_roberta_have_its_layout(kind):
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.for_model(
        kind, num_hidden_layers=1, num_attention_heads=2, hidden_size=8, intermediate_size=12, vocab_size=9
    )
    with torch.device("meta"):
        pm = describe(AutoModelForSequenceClassification.from_config(config), FAMILIES["roberta"])
    assert kind in FAMILIES["roberta"].model_types
    assert [pm.model.get_parameter(name).numel() for name in pm.prunable] == [64, 64, 64, 64, 96, 96]


def test_bert_base_has_the_published_number_of_prunable_weights():
    from transformers import BertConfig, BertForSequenceClassification

    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig())
    counts = [
        sum(
            model.get_parameter(name).numel()
            for name in describe(model, FAMILIES["bert"], prune_pooler=pooler).prunable
        )
        for pooler in (False, True)
    ]
    assert counts == [84_934_656, 85_524_480]


def test_the_pooler_is_pruned_on_request_if_the_family_has_one(tiny_models):
    pm = loaded(tiny_models["bert"], prune_pooler=True)
    assert pm.prunable[-1] == "bert.pooler.dense.weight"
    assert len(pm.prunable) == 13
    for family in ("roberta", "distilbert", "electra"):
        with pytest.raises(PrunebenchError, match=f"family '{family}' has no pooler"):
            loaded(tiny_models[family], prune_pooler=True)


# Models that do not match


def test_albert_is_refused(tmp_path):
    from transformers import AlbertConfig, AlbertModel

    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 8}
    model = AlbertModel(AlbertConfig(vocab_size=9, embedding_size=4, **sizes))
    model.save_pretrained(tmp_path)
    with pytest.raises(PrunebenchError, match="model type 'albert' belongs to no known family") as caught:
        source_of(tmp_path)
    assert "known families: bert (bert); roberta (roberta, xlm-roberta, camembert); distilbert" in caught.value.hint


def test_albert_is_refused_as_a_member_of_another_family():
    from transformers import AlbertConfig, AlbertForSequenceClassification

    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 8}
    with torch.device("meta"):
        model = AlbertForSequenceClassification(AlbertConfig(vocab_size=9, embedding_size=4, **sizes))
    with pytest.raises(PrunebenchError, match=r"does not match the family 'bert': it has no 'albert\.encoder\.layer'"):
        describe(model, FAMILIES["bert"])


def test_a_layer_with_further_matrices_is_refused():
    from transformers import BertConfig, BertForSequenceClassification

    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(is_decoder=True, add_cross_attention=True))
    with pytest.raises(PrunebenchError, match=r"layer 0 has further matrices: crossattention\.output\.dense\.weight"):
        describe(model, FAMILIES["bert"])


def test_a_layer_without_one_of_its_matrices_is_refused(tiny_bert):
    pm = loaded(tiny_bert)
    with pytest.raises(PrunebenchError, match=r"layer 0 has no 'ffn\.lin1'"):
        describe(pm.model, replace(FAMILIES["bert"], intermediate="ffn.lin1"))
    del pm.model.bert.encoder.layer[1].output.dense
    with pytest.raises(PrunebenchError, match=r"layer 1 has no 'output\.dense'"):
        describe(pm.model, FAMILIES["bert"])


def test_a_part_other_than_a_linear_is_refused(tiny_bert):
    pm = loaded(tiny_bert)
    with pytest.raises(PrunebenchError, match=r"'bert\.encoder\.layer\.0\.output\.LayerNorm' is not a Linear"):
        describe(pm.model, replace(FAMILIES["bert"], output="output.LayerNorm"))


def test_a_layer_with_matrices_of_different_width_is_refused(tiny_bert):
    pm = loaded(tiny_bert)
    pm.model.bert.encoder.layer[1].attention.self.key = torch.nn.Linear(32, 16)
    with pytest.raises(PrunebenchError, match="query, key and value of layer 1 differ in width"):
        describe(pm.model, FAMILIES["bert"])


def test_a_plugin_can_add_a_model_type(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "other", model_type="bertt")
    other = Architecture(**{**vars(FAMILIES["bert"]), "name": "mine", "model_types": ("bertt",)})
    assert resolve(str(folder), [*FAMILIES.values(), other]).family == "mine"
    with pytest.raises(PrunebenchError, match="model type 'bertt' belongs to no known family"):
        source_of(folder)


def config_of(folder, **config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
        {"model_type": "gpt2"},
        {"model_type": "llama", "architectures": ["LlamaModel"]},
        {"model_type": "qwen3_moe"},
        {"model_type": "newest", "architectures": ["NewestForCausalLM"]},
        {"model_type": "bert", "is_decoder": True, "architectures": ["BertLMHeadModel"]},
    ],
)
def test_decoders_are_not_supported_yet(tmp_path, config):
    folder = config_of(tmp_path / "decoder", **config)
    with pytest.raises(PrunebenchError, match="is a decoder, and decoders are not supported yet") as caught:
        source_of(folder)
    assert repr(config["model_type"]) in caught.value.message
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("model_type", ["deberta", "deberta-v2", "mpnet", "modernbert", "t5"])
def test_a_model_type_of_no_family_names_the_known_families(tmp_path, model_type):
    folder = config_of(tmp_path / "other", model_type=model_type, architectures=["OtherForMaskedLM"])
    with pytest.raises(PrunebenchError, match=f"model type '{model_type}' belongs to no known family") as caught:
        source_of(folder)
    families = "bert (bert); roberta (roberta, xlm-roberta, camembert); distilbert (distilbert); electra (electra)"
    assert caught.value.hint == f"known families: {families}"


def test_a_family_of_a_plugin_may_have_the_type_of_a_decoder(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "falcon", model_type="falcon-encoder")
    family = replace(FAMILIES["bert"], name="falcon", model_types=("falcon-encoder",))
    assert resolve(str(folder), [family]).family == "falcon"
