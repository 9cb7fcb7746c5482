"""Finding a model, loading it bit for bit, and naming what of it can be pruned."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from prunebench import Architecture, PrunebenchError
from prunebench.models.checkpoint import Checkpoint
from prunebench.models.encoder import describe, load, load_tokenizer, permute_layers, reinitialise
from prunebench.models.fast import first_token
from prunebench.models.plugin import prunebench_models
from prunebench.models.sources import resolve

FAMILIES = {family.name: family for family in prunebench_models()}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
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
families = pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])


def source_of(folder):
    return resolve(str(folder), FAMILIES.values())


def loaded(folder, seed=0, num_labels=2, regression=False, **options):
    source = source_of(folder)
    family = FAMILIES[source.family]
    return load(source, family, num_labels=num_labels, regression=regression, seed=seed, **options)


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def head_of(model):
    return {
        name: tensor for name, tensor in weights(model).items() if not name.startswith(f"{model.base_model_prefix}.")
    }


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def variant(folder, target, change=None, **config):
    """A copy of a checkpoint with changed tensors and another configuration."""
    shutil.copytree(folder, target)
    if config:
        settings = json.loads((target / "config.json").read_text()) | config
        (target / "config.json").write_text(json.dumps(settings))
    if change:
        tensors = {name: tensor.clone() for name, tensor in load_file(target / "model.safetensors").items()}
        change(tensors)
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def hub_cache(root, folder, name="some-org/tiny-bert", weights_file="model.safetensors"):
    """A cache as huggingface_hub lays it out: blobs by digest, a branch, and a snapshot of links."""
    repo = root / f"models--{name.replace('/', '--')}"
    for part in ("blobs", "refs", f"snapshots/{COMMIT}"):
        (repo / part).mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    for file in folder.iterdir():
        blob = hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copy(file, repo / "blobs" / blob)
        (repo / "snapshots" / COMMIT / file.name).symlink_to(f"../../blobs/{blob}")
    return root


@pytest.fixture
def hub(tmp_path, tiny_bert, monkeypatch):
    from huggingface_hub import constants

    cache = hub_cache(tmp_path / "cache", tiny_bert)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache


# Families


def test_the_hook_gives_the_four_families_without_torch():
    code = "import sys, prunebench.models.plugin as m, prunebench.models.sources, prunebench.pruning.structures\n"
    code += "print([f.name for f in m.prunebench_models()], {'torch', 'transformers', 'datasets'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "['bert', 'roberta', 'distilbert', 'electra'] set()"


def test_no_model_type_has_two_families():
    kinds = [kind for family in FAMILIES.values() for kind in family.model_types]
    assert len(kinds) == len(set(kinds))
    assert {"bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra"} == set(kinds)


@families
def test_every_prunable_matrix_is_found_and_no_other(tiny_models, family):
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
def test_the_kin_of_roberta_are_understood(kind):
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


def test_the_pooler_is_pruned_where_asked_for_and_refused_where_there_is_none(tiny_models):
    pm = loaded(tiny_models["bert"], prune_pooler=True)
    assert pm.prunable[-1] == "bert.pooler.dense.weight"
    assert len(pm.prunable) == 13
    for family in ("roberta", "distilbert", "electra"):
        with pytest.raises(PrunebenchError, match=f"family '{family}' has no pooler"):
            loaded(tiny_models[family], prune_pooler=True)


# What is not understood


def test_albert_is_refused(tmp_path):
    from transformers import AlbertConfig, AlbertModel

    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 8}
    model = AlbertModel(AlbertConfig(vocab_size=9, embedding_size=4, **sizes))
    model.save_pretrained(tmp_path)
    with pytest.raises(PrunebenchError, match="'albert' are not understood") as caught:
        source_of(tmp_path)
    assert "did you mean 'bert'? understood: bert, roberta, xlm-roberta, camembert, distilbert" in caught.value.hint


def test_albert_is_refused_also_under_a_familys_name():
    from transformers import AlbertConfig, AlbertForSequenceClassification

    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 8}
    with torch.device("meta"):
        model = AlbertForSequenceClassification(AlbertConfig(vocab_size=9, embedding_size=4, **sizes))
    with pytest.raises(PrunebenchError, match=r"not understood: it has no 'albert\.encoder\.layer'"):
        describe(model, FAMILIES["bert"])


def test_a_layer_with_further_matrices_is_refused(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "decoder", is_decoder=True, add_cross_attention=True)
    with pytest.raises(PrunebenchError, match=r"layer 0 has further matrices: crossattention\.output\.dense\.weight"):
        loaded(folder)


def test_a_layer_that_lacks_a_matrix_is_refused(tiny_bert):
    pm = loaded(tiny_bert)
    with pytest.raises(PrunebenchError, match=r"layer 0 has no 'ffn\.lin1'"):
        describe(pm.model, replace(FAMILIES["bert"], intermediate="ffn.lin1"))
    del pm.model.bert.encoder.layer[1].output.dense
    with pytest.raises(PrunebenchError, match=r"layer 1 has no 'output\.dense'"):
        describe(pm.model, FAMILIES["bert"])


def test_a_part_that_is_no_linear_is_refused(tiny_bert):
    pm = loaded(tiny_bert)
    with pytest.raises(PrunebenchError, match=r"'bert\.encoder\.layer\.0\.output\.LayerNorm' is no Linear"):
        describe(pm.model, replace(FAMILIES["bert"], output="output.LayerNorm"))


def test_layers_that_differ_in_width_are_refused(tiny_bert):
    pm = loaded(tiny_bert)
    pm.model.bert.encoder.layer[1].attention.self.key = torch.nn.Linear(32, 16)
    with pytest.raises(PrunebenchError, match="query, key and value of layer 1 differ in width"):
        describe(pm.model, FAMILIES["bert"])


def test_a_model_type_of_a_plugin_is_understood(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "other", model_type="bertt")
    other = Architecture(**{**vars(FAMILIES["bert"]), "name": "mine", "model_types": ("bertt",)})
    assert resolve(str(folder), [*FAMILIES.values(), other]).family == "mine"
    with pytest.raises(PrunebenchError, match=r"'bertt' are not understood .did you mean 'bert'"):
        source_of(folder)


# Sources


@families
def test_a_folder_is_resolved(tiny_models, family):
    source = source_of(tiny_models[family])
    assert (source.name, source.folder, source.revision) == (f"tiny-{family}", tiny_models[family], "")
    assert source.family == family
    assert len(source.fingerprint) == 16
    assert int(source.fingerprint, 16) >= 0


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("somewhere/tiny", "tiny"),
        ("somewhere/minilm/model", "minilm"),
        ("run-7/checkpoint-500", "run-7/checkpoint-500"),
        ("run-7/best", "run-7/best"),
        (f"hub/models--some-org--tiny/snapshots/{COMMIT}", "some-org/tiny"),
    ],
)
def test_the_name_of_a_folder_tells_what_it_is_and_not_where(tiny_bert, tmp_path, monkeypatch, path, name):
    (tmp_path / path).parent.mkdir(parents=True)
    shutil.copytree(tiny_bert, tmp_path / path)
    assert source_of(tmp_path / path).name == name
    monkeypatch.chdir(tmp_path / path)
    assert source_of(".").name == name


def test_a_checkpoint_is_found_by_its_name_and_a_folder_of_that_name_by_its_path(tiny_models, tmp_path, monkeypatch):
    shutil.copytree(tiny_models["bert"], tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    brought = Checkpoint("mine", "An encoder.", tiny_models["distilbert"])
    found = resolve("mine", FAMILIES.values(), [brought])
    assert (found.name, found.folder, found.family) == ("mine", tiny_models["distilbert"], "distilbert")
    assert resolve("./mine", FAMILIES.values(), [brought]).family == "bert"
    assert resolve("mine", FAMILIES.values()).family == "bert"


def test_a_misspelt_checkpoint_is_named(hub, tiny_bert):
    with pytest.raises(PrunebenchError, match="did you mean 'my-bert'"):
        resolve("mi-bert", FAMILIES.values(), [Checkpoint("my-bert", "An encoder.", tiny_bert)])


def test_the_hubs_cache_serves_without_a_network(hub, tiny_bert):
    source = source_of("some-org/tiny-bert")
    assert source.name == "some-org/tiny-bert"
    assert source.revision == COMMIT
    assert source.folder == hub / "models--some-org--tiny-bert" / "snapshots" / COMMIT
    assert source.fingerprint == source_of(tiny_bert).fingerprint
    assert source_of("some-org/tiny-bert@main") == source
    assert source_of(f"some-org/tiny-bert@{COMMIT}") == source
    assert same(weights(loaded("some-org/tiny-bert").model), weights(loaded(tiny_bert).model))


def test_the_hubs_cache_is_found_by_the_environment(tmp_path, tiny_bert):
    cache = hub_cache(tmp_path / "cache", tiny_bert, name="tiny-bert")
    code = "import sys; from prunebench.models import sources; from prunebench.models.families import FAMILIES\n"
    code += (
        "source = sources.resolve('tiny-bert', FAMILIES); print(source.name, source.revision, 'torch' in sys.modules)"
    )
    environment = os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    assert done.stdout.split() == ["tiny-bert", COMMIT, "False"]
    assert done.stderr == ""


def test_pickled_weights_are_asked_for_only_where_there_are_no_others(tiny_bert, tmp_path, monkeypatch):
    import huggingface_hub

    def download(name, *, revision, allow_patterns):
        asked.append((revision, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    folder = variant(tiny_bert, tmp_path / COMMIT)
    asked: list[tuple[str | None, list[str]]] = []
    source_of("some-org/tiny-bert")
    source_of("some-org/tiny-bert@v2")
    assert [revision for revision, _ in asked] == [None, "v2"]
    assert not any(pattern.endswith(".bin") for _, patterns in asked for pattern in patterns)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    source_of("some-org/tiny-bert@v2")
    # Of the commit that was just found: the branch may have moved on meanwhile.
    assert [revision for revision, _ in asked[2:]] == ["v2", COMMIT]
    assert "pytorch_model.bin" in asked[3][1]


def test_an_unknown_hub_id_names_the_near_one(hub):
    with pytest.raises(PrunebenchError, match="not in the hub's cache, and the hub cannot be reached") as caught:
        source_of("google-bert/bert-base-uncasd")
    assert "did you mean 'google-bert/bert-base-uncased'?" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_what_the_hub_answers_becomes_one_line(monkeypatch):
    import huggingface_hub
    from huggingface_hub import errors

    answers = {
        errors.RepositoryNotFoundError: "no such model on the hub",
        errors.RevisionNotFoundError: "has no revision 'v9'",
        errors.GatedRepoError: "owner's permission",
        errors.LocalEntryNotFoundError: "the hub cannot be reached",
        errors.HTTPError: "the hub cannot be reached",
    }
    for kind, text in answers.items():

        def download(*args, _kind=kind, **kwargs):
            error = _kind.__new__(_kind)
            Exception.__init__(error, "long\nstory")
            raise error

        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        with pytest.raises(PrunebenchError) as caught:
            source_of("some-org/tiny-bert@v9")
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)


def test_no_valid_hub_id(hub):
    with pytest.raises(PrunebenchError, match="unknown model 'not a model!'"):
        source_of("not a model!")


def test_a_folder_that_is_not_there_names_its_sibling(tiny_bert):
    with pytest.raises(PrunebenchError, match=r"no model folder .*did you mean '.*tiny-bert'") as caught:
        source_of(tiny_bert.parent / "tiny-brt")
    assert "\n" not in str(caught.value)
    with pytest.raises(PrunebenchError, match=r"no model folder '\./nowhere/at-all' .expected a folder"):
        source_of("./nowhere/at-all")


def test_a_file_and_nothing_are_no_models(tiny_bert):
    with pytest.raises(PrunebenchError, match=r"is a file .expected the folder"):
        source_of(tiny_bert / "model.safetensors")
    with pytest.raises(PrunebenchError, match="no model is named"):
        source_of(" ")


@pytest.mark.parametrize(
    ("breaks", "text"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json in"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "be'), "config.json' is not JSON"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "does not hold a JSON object"),
        (lambda folder: (folder / "config.json").write_text("{}"), "config.json names no model_type"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights in"),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "model.safetensors.index.json"),
            "index.json' is not JSON",
        ),
    ],
)
def test_a_broken_folder_is_one_clear_line(tiny_bert, tmp_path, breaks, text):
    folder = variant(tiny_bert, tmp_path / "broken")
    breaks(folder)
    with pytest.raises(PrunebenchError) as caught:
        source_of(folder)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_fingerprint_is_of_what_is_used(tiny_bert, tmp_path):
    copy = variant(tiny_bert, tmp_path / "copy")
    (copy / "README.md").write_text("a copy")
    (copy / "pytorch_model.bin").write_bytes(b"not read where there are safetensors")
    assert source_of(copy).fingerprint == source_of(tiny_bert).fingerprint
    found = {source_of(tiny_bert).fingerprint}
    (copy / "tokenizer_config.json").write_text((copy / "tokenizer_config.json").read_text() + " ")
    found.add(source_of(copy).fingerprint)
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    found.add(source_of(copy).fingerprint)
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    found.add(source_of(copy).fingerprint)
    assert len(found) == 4


def test_weights_in_several_files(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "sharded")
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    files = {"model-00001-of-00002.safetensors": names[:9], "model-00002-of-00002.safetensors": names[9:]}
    for file, part in files.items():
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in files.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    assert same(weights(loaded(folder).model), weights(loaded(tiny_bert).model))
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(PrunebenchError, match=r"names model-00002-of-00002\.safetensors, which is not there"):
        source_of(folder)


# Loading


@families
def test_the_encoder_is_that_of_the_file_bit_for_bit(tiny_models, family):
    pm = loaded(tiny_models[family])
    file = load_file(tiny_models[family] / "model.safetensors")
    prefix = f"{pm.model.base_model_prefix}."
    encoder = {name: p for name, p in pm.model.named_parameters() if name.startswith(prefix)}
    assert len(encoder) > 30
    for name, parameter in encoder.items():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, file[name.removeprefix(prefix)]), name
    assert pm.model.config._attn_implementation == "sdpa"
    assert not pm.model.training


@families
def test_the_same_seed_gives_the_same_head_and_another_seed_another(tiny_models, family):
    first, again, other = (loaded(tiny_models[family], seed=seed) for seed in (3, 3, 4))
    assert same(weights(first.model), weights(again.model))
    for name, tensor in head_of(first.model).items():
        if name.endswith("bias"):
            assert not tensor.any()
        else:
            assert not torch.equal(tensor, head_of(other.model)[name])
            # Drawn with the configuration's standard deviation of 0.02: five standard errors of its estimate.
            assert abs(tensor.std().item() / 0.02 - 1) < 5 / (2 * tensor.numel()) ** 0.5
    encoder = first.model.base_model_prefix
    assert same(weights(getattr(first.model, encoder)), weights(getattr(other.model, encoder)))


@families
def test_a_head_in_the_checkpoint_does_not_make_seeds_alike(tiny_models, tmp_path, family):
    loaded(tiny_models[family], seed=1).model.save_pretrained(tmp_path)
    assert same(head_of(loaded(tmp_path, seed=2).model), head_of(loaded(tiny_models[family], seed=2).model))
    three = loaded(tmp_path, seed=2, num_labels=3)
    assert three.model(**three.model.dummy_inputs).logits.shape[-1] == 3


def test_the_global_random_state_is_left_alone(tiny_bert):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    pm = loaded(tiny_bert, seed=9)
    reinitialise(pm, 1)
    permute_layers(pm, 1)
    assert torch.equal(torch.rand(3), expected)


def test_the_head_owes_nothing_to_the_global_random_state(tiny_bert):
    heads = []
    for state in (1, 2):
        torch.manual_seed(state)
        heads.append(head_of(loaded(tiny_bert, seed=0).model))
    assert same(*heads)


def test_regression_has_one_output_and_its_loss(tiny_bert):
    pm = loaded(tiny_bert, num_labels=1, regression=True)
    assert pm.model.config.problem_type == "regression"
    assert pm.model.config.num_labels == 1
    assert loaded(tiny_bert, num_labels=3).model.config.problem_type == "single_label_classification"


def test_a_pooler_that_the_checkpoint_lacks_is_drawn_by_seed(tiny_bert, tmp_path):
    def drop(tensors):
        del tensors["pooler.dense.weight"], tensors["pooler.dense.bias"]

    folder = variant(tiny_bert, tmp_path / "poolerless", drop)
    poolers = [loaded(folder, seed=seed).model.bert.pooler.dense.weight for seed in (1, 1, 2)]
    assert torch.equal(poolers[0], poolers[1])
    assert not torch.equal(poolers[0], poolers[2])


@pytest.mark.parametrize("lost", ["encoder.layer.1.output.dense.bias", "embeddings.word_embeddings.weight"])
def test_a_checkpoint_that_lacks_weights_of_the_encoder_is_refused(tiny_bert, tmp_path, lost):
    folder = variant(tiny_bert, tmp_path / "partial", lambda tensors: tensors.pop(lost))
    with pytest.raises(PrunebenchError, match=f"checkpoint 'partial' lacks bert.{lost} "):
        loaded(folder)


def test_a_checkpoint_of_another_shape_is_refused(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "wider", intermediate_size=80)
    with pytest.raises(
        PrunebenchError, match=r"has bert\.encoder\.layer\.0\.intermediate\.dense\.bias in shape \[64\]"
    ):
        loaded(folder)


def test_layers_that_the_configuration_does_not_know_are_refused(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "shallow", num_hidden_layers=1)
    with pytest.raises(PrunebenchError, match=r"holds .*encoder\.layer\.1.* and 15 more, for which its config\.json"):
        loaded(folder)


def test_old_names_of_layer_norms_are_read(tiny_bert, tmp_path):
    def age(tensors):
        for name in [name for name in tensors if "LayerNorm" in name]:
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[f"bert.{old}"] = tensors.pop(name)
        for name in [name for name in tensors if not name.startswith("bert.")]:
            tensors[f"bert.{name}"] = tensors.pop(name)
        tensors["cls.predictions.bias"] = torch.zeros(3)
        tensors["bert.embeddings.position_ids"] = torch.arange(64)[None]

    folder = variant(tiny_bert, tmp_path / "old", age)
    assert same(weights(loaded(folder).model), weights(loaded(tiny_bert).model))


def test_half_precision_is_read_into_float32(tiny_bert, tmp_path):
    def halve(tensors):
        tensors.update({name: tensor.half() for name, tensor in tensors.items()})

    pm = loaded(variant(tiny_bert, tmp_path / "half", halve, dtype="float16"))
    assert {p.dtype for p in pm.model.parameters()} == {torch.float32}
    whole = loaded(tiny_bert).model.bert.embeddings.word_embeddings.weight
    assert torch.equal(pm.model.bert.embeddings.word_embeddings.weight, whole.half().float())


def test_pickled_weights_are_read(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert same(weights(loaded(folder).model), weights(loaded(tiny_bert).model))
    (folder / "pytorch_model.bin").write_bytes((folder / "pytorch_model.bin").read_bytes()[:5000])
    with pytest.raises(PrunebenchError, match=r"pytorch_model\.bin' is truncated or damaged"):
        loaded(folder)


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_truncated_checkpoint_is_one_clear_line(tiny_bert, tmp_path, size):
    folder = variant(tiny_bert, tmp_path / "cut")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:size])
    with pytest.raises(PrunebenchError, match=r"model\.safetensors' is truncated or damaged") as caught:
        loaded(folder)
    assert "\n" not in str(caught.value)


def test_loading_is_silent_and_leaves_the_settings_alone(tiny_bert, capfd):
    from transformers.utils import logging

    was = logging.get_verbosity()
    source = source_of(tiny_bert)
    try:
        for verbosity in (logging.INFO, logging.WARNING):
            logging.set_verbosity(verbosity)
            load(source, FAMILIES["bert"], num_labels=2, regression=False, seed=0)
            load_tokenizer(source)
            assert capfd.readouterr() == ("", "")
            assert logging.get_verbosity() == verbosity
            assert logging.is_progress_bar_enabled()
    finally:
        logging.set_verbosity(was)


@families
def test_the_tokenizer_fits_the_model(tiny_models, family):
    pm = loaded(tiny_models[family])
    tokenizer = load_tokenizer(source_of(tiny_models[family]))
    assert tokenizer.unk_token_id not in tokenizer("the old dog sees a zebra.")["input_ids"]
    longest = tokenizer(["the old dog sees a zebra", "dog " * 90], padding=True, truncation=True, return_tensors="pt")
    assert longest["input_ids"].shape == (2, 64)
    assert torch.isfinite(pm.model(**longest).logits).all()


def test_a_folder_without_a_tokenizer_is_refused(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "mute")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(PrunebenchError, match=r"no tokenizer in .*expected tokenizer\.json"):
        load_tokenizer(source_of(folder))


# θ0′ and θ0″


@families
def test_reinitialise_draws_everything_anew(tiny_models, family):
    pm, again, other = (loaded(tiny_models[family], seed=0) for _ in range(3))
    before = weights(pm.model)
    identities = {name: id(parameter) for name, parameter in pm.model.named_parameters()}
    reinitialise(pm, 7)
    reinitialise(again, 7)
    reinitialise(other, 8)
    assert same(weights(pm.model), weights(again.model))
    assert {name: id(parameter) for name, parameter in pm.model.named_parameters()} == identities
    for name, parameter in pm.model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name.lower():
            assert (parameter == 1).all(), name
        else:
            assert not torch.equal(parameter, before[name]), name
            assert not torch.equal(parameter, other.model.get_parameter(name)), name
            assert abs(parameter.std().item() / 0.02 - 1) < 5 / (2 * parameter.numel()) ** 0.5 + 0.01, name
    assert same(head_of(pm.model), head_of(loaded(tiny_models[family], seed=7).model))


def test_what_a_module_draws_for_its_children_is_not_drawn_over(tiny_models, tmp_path):
    """DistilBERT's sinusoidal positions are set by the module above their embedding (Vaswani et al. 2017, 3.5)."""
    pm = loaded(variant(tiny_models["distilbert"], tmp_path / "waves", sinusoidal_pos_embds=True))
    reinitialise(pm, 0)
    positions = pm.model.distilbert.embeddings.position_embeddings.weight
    angles = torch.arange(64.0)[:, None] / 10000 ** (torch.arange(0, 32, 2) / 32)
    assert torch.allclose(positions[:, 0::2], angles.sin(), atol=1e-5)
    assert torch.allclose(positions[:, 1::2], angles.cos(), atol=1e-5)


def test_no_two_parameters_are_drawn_alike(tiny_bert):
    pm = loaded(tiny_bert)
    reinitialise(pm, 0)
    firsts = [tuple(p.flatten()[:4].tolist()) for name, p in pm.model.named_parameters() if p.std() > 0]
    assert len(set(firsts)) == len(firsts)


@families
def test_permute_layers_keeps_the_tensors_of_a_layer_together(tiny_models, family):
    pm = loaded(tiny_models[family])
    before = weights(pm.model)
    base = pm.layers[0].query.split(".0.")[0]
    permutation = permute_layers(pm, 0)
    assert permutation == [1, 0]
    moved = 0
    for name, parameter in pm.model.named_parameters():
        origin = name
        if name.startswith(f"{base}."):
            index, rest = name.removeprefix(f"{base}.").split(".", 1)
            origin = f"{base}.{permutation[int(index)]}.{rest}"
            moved += not torch.equal(parameter, before[name])
        assert torch.equal(parameter, before[origin]), name
    assert moved == 2 * 16


def test_permutations_are_seeded_and_never_the_identity():
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"num_attention_heads": 1, "hidden_size": 4, "intermediate_size": 4, "vocab_size": 5}
    pm = describe(BertForSequenceClassification(BertConfig(num_hidden_layers=3, **sizes)), FAMILIES["bert"])
    drawn = [permute_layers(pm, seed) for seed in range(40)]
    assert drawn == [permute_layers(pm, seed) for seed in range(40)]
    assert {tuple(permutation) for permutation in drawn} == {(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)}
    one = describe(BertForSequenceClassification(BertConfig(num_hidden_layers=1, **sizes)), FAMILIES["bert"])
    with pytest.raises(PrunebenchError, match="one layer"):
        permute_layers(one, 0)


# The fixtures that other tests stand on


def test_the_tiny_glue_has_the_layout_of_the_official_files(tiny_glue):
    columns = {"RTE": 4, "MRPC": 5, "STS-B": 10, "CoLA": 4, "SST-2": 2}
    for task, width in columns.items():
        for split, count in (("train", 48), ("dev", 24)):
            with (tiny_glue / task / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
            assert {len(row) for row in rows} == {width}
            assert len(rows) == count + (task != "CoLA")


@pytest.mark.parametrize("task", ["RTE", "MRPC", "STS-B", "CoLA", "SST-2"])
def test_the_tiny_glue_has_the_headers_of_the_official_files(tiny_glue, task):
    official = Path(__file__).parents[3] / "shared" / "glue" / task
    if not official.is_dir():
        pytest.skip("the official files are not beside the project")
    for split in ("train", "dev", "test"):
        if task == "CoLA" and split != "test":
            continue
        first, second = ((root / f"{split}.tsv").read_bytes().splitlines()[0] for root in (official, tiny_glue / task))
        assert first == second


# What is computed


def batch_of(model, length=9):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, model.config.vocab_size, (3, length), generator=generator)
    mask = (torch.arange(length) < torch.tensor([length, 5, 2])[:, None]).long()
    return {"input_ids": ids, "attention_mask": mask}


def gradients(model):
    model.zero_grad()
    model(**batch_of(model), labels=torch.tensor([0, 1, 1])).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@families
def test_training_with_the_first_token_alone_gives_the_gradients_of_all(tiny_models, family):
    pm = loaded(tiny_models[family])
    for module in pm.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    seen = []
    for layer in pm.layers:
        pm.model.get_submodule(layer.output).register_forward_pre_hook(lambda _, tensors: seen.append(tensors[0].shape))
    whole = gradients(pm.model.eval())
    assert [shape[1] for shape in seen] == [9, 9]
    alone = gradients(pm.model.train())
    assert [shape[1] for shape in seen[2:]] == [9, 1]
    assert whole.keys() == alone.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(alone[name], gradient, rtol=1e-4, atol=1e-7)


@families
def test_logits_are_the_same_from_the_first_token_alone(tiny_models, family):
    pm = loaded(tiny_models[family])
    pm.model.eval()
    seen = []
    pm.model.get_submodule(pm.layers[-1].output).register_forward_pre_hook(
        lambda _, tensors: seen.append(tensors[0].shape[1])
    )
    with torch.no_grad():
        whole = pm.model(**batch_of(pm.model)).logits
        with first_token.alone():
            alone = pm.model(**batch_of(pm.model)).logits
        assert torch.equal(pm.model(**batch_of(pm.model)).logits, whole)
    assert seen == [9, 1, 9]
    torch.testing.assert_close(alone, whole, rtol=1e-5, atol=1e-6)


def test_a_family_that_says_nothing_of_its_tokens_is_trained_on_all(tiny_bert):
    source = source_of(tiny_bert)
    pm = load(source, replace(FAMILIES["bert"], after_attention=""), num_labels=2, regression=False, seed=0)
    assert pm.model.bert.train()(**batch_of(pm.model)).last_hidden_state.shape[1] == 9
