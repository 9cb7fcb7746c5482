"""From the text of `--model` to a folder, its fingerprint and its family."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from models.checkpoints import COMMIT, FAMILIES, families, hub_cache, loaded, same, source_of, variant, weights
from safetensors.torch import load_file, save_file

from prunebench import PrunebenchError
from prunebench.models.checkpoint import Checkpoint
from prunebench.models.sources import resolve


@pytest.fixture
def hub(tmp_path, tiny_bert, monkeypatch):
    from huggingface_hub import constants

    cache = hub_cache(tmp_path / "cache", tiny_bert)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return cache


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
def test_the_name_of_a_folder_identifies_the_model_and_not_its_location(tiny_bert, tmp_path, monkeypatch, path, name):
    (tmp_path / path).parent.mkdir(parents=True)
    shutil.copytree(tiny_bert, tmp_path / path)
    assert source_of(tmp_path / path).name == name
    monkeypatch.chdir(tmp_path / path)
    assert source_of(".").name == name


def test_a_checkpoint_is_found_by_its_name_and_a_folder_of_that_name_by_its_path(tiny_models, tmp_path, monkeypatch):
    shutil.copytree(tiny_models["bert"], tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    checkpoint = Checkpoint("mine", "An encoder.", tiny_models["distilbert"])
    source = resolve("mine", FAMILIES.values(), [checkpoint])
    assert (source.name, source.folder, source.family) == ("mine", tiny_models["distilbert"], "distilbert")
    assert resolve("./mine", FAMILIES.values(), [checkpoint]).family == "bert"
    assert resolve("mine", FAMILIES.values()).family == "bert"


def test_a_misspelt_checkpoint_gets_a_suggestion(hub, tiny_bert):
    with pytest.raises(PrunebenchError, match="did you mean 'my-bert'"):
        resolve("mi-bert", FAMILIES.values(), [Checkpoint("my-bert", "An encoder.", tiny_bert)])


def test_a_cached_hub_model_needs_no_network(hub, tiny_bert):
    source = source_of("some-org/tiny-bert")
    assert source.name == "some-org/tiny-bert"
    assert source.revision == COMMIT
    assert source.folder == hub / "models--some-org--tiny-bert" / "snapshots" / COMMIT
    assert source.fingerprint == source_of(tiny_bert).fingerprint
    assert source_of("some-org/tiny-bert@main") == source
    assert source_of(f"some-org/tiny-bert@{COMMIT}") == source
    assert same(weights(loaded("some-org/tiny-bert").model), weights(loaded(tiny_bert).model))


def test_the_cache_of_the_environment_is_used(tmp_path, tiny_bert):
    cache = hub_cache(tmp_path / "cache", tiny_bert, name="tiny-bert")
    code = "import sys; from prunebench.models import sources; from prunebench.models.families import FAMILIES\n"
    code += (
        "source = sources.resolve('tiny-bert', FAMILIES); print(source.name, source.revision, 'torch' in sys.modules)"
    )
    environment = os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    assert process.stdout.split() == ["tiny-bert", COMMIT, "False"]
    assert process.stderr == ""


def test_pickled_weights_are_downloaded_only_if_there_are_no_others(tiny_bert, tmp_path, monkeypatch):
    import huggingface_hub

    def download(name, *, revision, allow_patterns):
        requests.append((revision, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    folder = variant(tiny_bert, tmp_path / COMMIT)
    requests: list[tuple[str | None, list[str]]] = []
    source_of("some-org/tiny-bert")
    source_of("some-org/tiny-bert@v2")
    assert [revision for revision, _ in requests] == [None, "v2"]
    assert not any(pattern.endswith(".bin") for _, patterns in requests for pattern in patterns)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    source_of("some-org/tiny-bert@v2")
    # By commit, because the branch may have moved on.
    assert [revision for revision, _ in requests[2:]] == ["v2", COMMIT]
    assert "pytorch_model.bin" in requests[3][1]


def test_a_misspelt_hub_id_gets_a_suggestion(hub):
    with pytest.raises(PrunebenchError, match="nor in the hub's cache, and the hub cannot be reached") as caught:
        source_of("google-bert/bert-base-uncasd")
    assert "did you mean 'google-bert/bert-base-uncased'?" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_errors_of_the_hub_become_one_line(monkeypatch):
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


def test_an_invalid_hub_id(hub):
    with pytest.raises(PrunebenchError, match="unknown model 'not a model!'"):
        source_of("not a model!")


def test_a_misspelt_folder_gets_its_sibling_as_a_suggestion(tiny_bert):
    with pytest.raises(PrunebenchError, match=r"no model folder .*did you mean '.*tiny-bert'") as caught:
        source_of(tiny_bert.parent / "tiny-brt")
    assert "\n" not in str(caught.value)
    with pytest.raises(PrunebenchError, match=r"no model folder '\./nowhere/at-all' .expected a folder"):
        source_of("./nowhere/at-all")


def test_a_file_or_an_empty_name_is_refused(tiny_bert):
    with pytest.raises(PrunebenchError, match=r"is a file .expected the folder that contains it"):
        source_of(tiny_bert / "model.safetensors")
    with pytest.raises(PrunebenchError, match="no model is named"):
        source_of(" ")


@pytest.mark.parametrize(
    ("breaks", "text"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json in"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "be'), "config.json' is not JSON"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "does not contain a JSON object"),
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


def test_the_fingerprint_covers_the_files_that_are_used(tiny_bert, tmp_path):
    copy = variant(tiny_bert, tmp_path / "copy")
    (copy / "README.md").write_text("a copy")
    (copy / "pytorch_model.bin").write_bytes(b"ignored beside safetensors")
    assert source_of(copy).fingerprint == source_of(tiny_bert).fingerprint
    fingerprints = {source_of(tiny_bert).fingerprint}
    (copy / "tokenizer_config.json").write_text((copy / "tokenizer_config.json").read_text() + " ")
    fingerprints.add(source_of(copy).fingerprint)
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    fingerprints.add(source_of(copy).fingerprint)
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    fingerprints.add(source_of(copy).fingerprint)
    assert len(fingerprints) == 4


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
    with pytest.raises(PrunebenchError, match=r"lists missing files: model-00002-of-00002\.safetensors"):
        source_of(folder)
