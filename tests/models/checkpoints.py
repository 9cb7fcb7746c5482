"""Helpers for tests of models: load checkpoints, vary them, and compare models."""

import hashlib
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from prunebench.models.encoder import load
from prunebench.models.plugin import prunebench_models
from prunebench.models.sources import resolve

FAMILIES = {family.name: family for family in prunebench_models()}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
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
    """A copy of a checkpoint whose tensors went through `change`, and whose configuration has other values."""
    shutil.copytree(folder, target)
    if config:
        settings = json.loads((target / "config.json").read_text()) | config
        (target / "config.json").write_text(json.dumps(settings))
    if change:
        tensors = {name: tensor.clone() for name, tensor in load_file(target / "model.safetensors").items()}
        change(tensors)
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def hub_cache(root, folder, name="some-org/tiny-bert"):
    """A cache in the layout of huggingface_hub: blobs by digest, a branch, and a snapshot of links."""
    repo = root / f"models--{name.replace('/', '--')}"
    for part in ("blobs", "refs", f"snapshots/{COMMIT}"):
        (repo / part).mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    for file in folder.iterdir():
        blob = hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copy(file, repo / "blobs" / blob)
        (repo / "snapshots" / COMMIT / file.name).symlink_to(f"../../blobs/{blob}")
    return root
