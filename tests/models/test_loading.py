"""Loading encoders bit for bit, and refusing checkpoints that are damaged or incomplete."""

import pytest
import torch
from models.checkpoints import FAMILIES, families, head_of, loaded, same, source_of, variant, weights
from safetensors.torch import load_file

from prunebench import PrunebenchError
from prunebench.models.encoder import load, load_tokenizer
from prunebench.models.initialisation import permute_layers, reinitialise


@families
def test_the_encoder_equals_the_file_bit_for_bit(tiny_models, family):
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
def test_the_head_depends_on_the_seed(tiny_models, family):
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
def test_a_head_in_the_checkpoint_is_ignored(tiny_models, tmp_path, family):
    loaded(tiny_models[family], seed=1).model.save_pretrained(tmp_path)
    assert same(head_of(loaded(tmp_path, seed=2).model), head_of(loaded(tiny_models[family], seed=2).model))
    three = loaded(tmp_path, seed=2, num_labels=3)
    assert three.model(**three.model.dummy_inputs).logits.shape[-1] == 3


def test_the_global_random_state_is_unchanged(tiny_bert):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    pm = loaded(tiny_bert, seed=9)
    reinitialise(pm, 1)
    permute_layers(pm, 1)
    assert torch.equal(torch.rand(3), expected)


def test_the_head_does_not_depend_on_the_global_random_state(tiny_bert):
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


def test_a_missing_pooler_is_drawn_from_the_seed(tiny_bert, tmp_path):
    def drop(tensors):
        del tensors["pooler.dense.weight"], tensors["pooler.dense.bias"]

    folder = variant(tiny_bert, tmp_path / "poolerless", drop)
    poolers = [loaded(folder, seed=seed).model.bert.pooler.dense.weight for seed in (1, 1, 2)]
    assert torch.equal(poolers[0], poolers[1])
    assert not torch.equal(poolers[0], poolers[2])


@pytest.mark.parametrize("missing", ["encoder.layer.1.output.dense.bias", "embeddings.word_embeddings.weight"])
def test_a_checkpoint_without_some_weights_of_the_encoder_is_refused(tiny_bert, tmp_path, missing):
    folder = variant(tiny_bert, tmp_path / "partial", lambda tensors: tensors.pop(missing))
    with pytest.raises(PrunebenchError, match=f"checkpoint 'partial' lacks bert.{missing} "):
        loaded(folder)


def test_a_checkpoint_with_other_shapes_than_its_configuration_is_refused(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "wider", intermediate_size=80)
    with pytest.raises(
        PrunebenchError, match=r"has bert\.encoder\.layer\.0\.intermediate\.dense\.bias in shape \[64\]"
    ):
        loaded(folder)


def test_layers_beyond_the_configuration_are_refused(tiny_bert, tmp_path):
    folder = variant(tiny_bert, tmp_path / "shallow", num_hidden_layers=1)
    with pytest.raises(PrunebenchError, match=r"has .*encoder\.layer\.1.* and 15 more, unknown to its config\.json"):
        loaded(folder)


def test_former_names_of_layer_norms_are_read(tiny_bert, tmp_path):
    def rename(tensors):
        for name in [name for name in tensors if "LayerNorm" in name]:
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[f"bert.{old}"] = tensors.pop(name)
        for name in [name for name in tensors if not name.startswith("bert.")]:
            tensors[f"bert.{name}"] = tensors.pop(name)
        tensors["cls.predictions.bias"] = torch.zeros(3)
        tensors["bert.embeddings.position_ids"] = torch.arange(64)[None]

    folder = variant(tiny_bert, tmp_path / "old", rename)
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


def test_loading_is_silent_and_restores_the_settings(tiny_bert, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity()
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
        logging.set_verbosity(before)


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
