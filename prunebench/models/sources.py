"""From the text of `--model` to a folder of files, with a digest of what is in it. Imports no torch.

A model is a checkpoint that a plugin brings along, a folder in transformers' layout, or a model of the hub
(`org/name`, `name`, `org/name@revision`), which is read through the hub's cache and so needs no network once it is
there.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, unknown
from prunebench.models.architecture import Architecture
from prunebench.models.checkpoint import Checkpoint

CONFIG = "config.json"
TOKENIZER = (
    "added_tokens.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
# In the order in which transformers looks for them: the first that exists is what is loaded.
SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class ModelSource:
    """Where a checkpoint lies and what it is.

    `name` is for pages: a hub id, or the telling end of a folder's path. `revision` is the commit of the hub, "" for
    a folder. `fingerprint` is 16 hexadecimal digits over names and contents of configuration, weights and tokenizer:
    the same for the hub's copy and any other. `family` names an `Architecture`.
    """

    name: str
    folder: Path
    revision: str
    fingerprint: str
    family: str


def resolve(
    model: str, registry_architectures: Iterable[Architecture], checkpoints: Iterable[Checkpoint] = ()
) -> ModelSource:
    """Find the model, downloading it if it must be, and name the family that it belongs to.

    The name of a checkpoint stands for it even where a folder here has that name too: `./name` is the folder.
    """
    architectures = list(registry_architectures)
    brought = {checkpoint.name: checkpoint.folder for checkpoint in checkpoints}
    name = model.strip()
    if name in brought:
        folder, revision = brought[name], ""
    else:
        known = {*brought, *(example for architecture in architectures for example in architecture.examples)}
        name, folder, revision = _locate(name, known)
    family = family_of(read_config(folder), architectures)
    return ModelSource(name, folder, revision, _fingerprint(folder), family.name)


def family_of(config: dict[str, Any], architectures: Sequence[Architecture]) -> Architecture:
    """The family that a `config.json` belongs to, by its `model_type`."""
    kind = config.get("model_type")
    families = {kind: architecture for architecture in architectures for kind in architecture.model_types}
    if kind in families:
        return families[kind]
    near = difflib.get_close_matches(str(kind).lower(), families, n=1, cutoff=0.5)
    understood = f"understood: {', '.join(families)}"
    hint = f"did you mean {near[0]!r}? {understood}" if kind and near else understood
    raise PrunebenchError(
        f"encoders of type {kind!r} are not understood" if kind else f"{CONFIG} names no model_type", hint
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint."""
    if not (folder / CONFIG).is_file():
        raise PrunebenchError(f"no {CONFIG} in {str(folder)!r}", "expected a folder in the layout of transformers")
    return _read_json(folder / CONFIG)


def weight_files(folder: Path) -> list[Path]:
    """The files that the weights are read from, an index first where there is one."""
    for name in (*SAFETENSORS, *PICKLED):
        path = folder / name
        if not path.is_file():
            continue
        if path.suffix != ".json":
            return [path]
        shards = [folder / shard for shard in sorted(set(_read_json(path).get("weight_map", {}).values()))]
        lost = [shard.name for shard in shards if not shard.is_file()]
        if lost or not shards:
            raise PrunebenchError(f"{name} in {str(folder)!r} names {', '.join(lost) or 'no file'}, which is not there")
        return [path, *shards]
    raise PrunebenchError(f"no weights in {str(folder)!r}", f"expected {SAFETENSORS[0]} or {PICKLED[0]}")


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of the tokenizer that are there."""
    return [folder / name for name in TOKENIZER if (folder / name).is_file()]


def _locate(model: str, known: Collection[str]) -> tuple[str, Path, str]:
    if not model:
        raise PrunebenchError(
            "no model is named", "expected a folder or a hub id such as google-bert/bert-base-uncased"
        )
    path = Path(model).expanduser()
    if path.is_dir():
        return _shown(path), path, ""
    if path.is_file():
        raise PrunebenchError(f"model {model!r} is a file", "expected the folder that it lies in")
    if model.startswith((".", "~", "/")) or "\\" in model or model.partition("@")[0].count("/") > 1:
        near = difflib.get_close_matches(str(path), _siblings(path), n=1, cutoff=0.5)
        expected = "expected a folder in the layout of transformers, or a hub id such as google-bert/bert-base-uncased"
        raise PrunebenchError(f"no model folder {model!r}", f"did you mean {near[0]!r}?" if near else expected)
    folder = _from_hub(model, known)
    return model.partition("@")[0], folder, folder.name


def _siblings(path: Path) -> list[str]:
    parent = path.parent
    return [str(entry) for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []


def _shown(path: Path) -> str:
    """A name for a folder that tells one model from another and nothing about the machine."""
    parts = [part for part in Path(os.path.abspath(path)).parts if part != os.sep]
    if len(parts) > 2 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return parts[-3].removeprefix("models--").replace("--", "/")
    while len(parts) > 1 and parts[-1].lower() in ("model", "models", "files"):
        parts.pop()
    if len(parts) > 1 and re.fullmatch(r"checkpoint([-_].*)?|best|final|last|main|\d+", parts[-1].lower()):
        return "/".join(parts[-2:])
    return parts[-1] if parts else "model"


def _from_hub(model: str, known: Collection[str]) -> Path:
    """The folder in the hub's cache; pickled weights are fetched only where there are no others."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        GatedRepoError,
        HFValidationError,
        HTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, _, revision = model.partition("@")
    try:
        wanted = [CONFIG, *TOKENIZER, *SAFETENSORS, "model-*.safetensors"]
        folder = Path(snapshot_download(name, revision=revision or None, allow_patterns=wanted))
        if not any((folder / file).is_file() for file in SAFETENSORS):
            wanted = [*PICKLED, "pytorch_model-*.bin"]
            folder = Path(snapshot_download(name, revision=folder.name, allow_patterns=wanted))
    except GatedRepoError as error:
        raise PrunebenchError(
            f"model {name!r} needs its owner's permission", "ask for it on the hub, log in"
        ) from error
    except RevisionNotFoundError as error:
        raise PrunebenchError(
            f"model {name!r} has no revision {revision!r}", "expected a branch, tag or commit"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise unknown("model", name, known, "no such folder here, and no such model on the hub") from error
    except (LocalEntryNotFoundError, HTTPError) as error:
        near = difflib.get_close_matches(name, {*known, *_siblings(Path(name))}, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near and near[0] != name else "connect, or give --model a local folder"
        raise PrunebenchError(
            f"model {model!r} is no folder here and not in the hub's cache, and the hub cannot be reached", hint
        ) from error
    return folder


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PrunebenchError(f"{str(path)!r} is not JSON", " ".join(str(error).split())) from error
    if not isinstance(data, dict):
        raise PrunebenchError(f"{str(path)!r} does not hold a JSON object")
    return data


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    files = {folder / CONFIG, *weight_files(folder), *tokenizer_files(folder)}
    for path in sorted(files, key=lambda file: file.name):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
