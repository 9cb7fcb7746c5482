"""From the text of `--model` to a folder of files, its digest and its family.

A model is a checkpoint that a plugin ships, a folder in the layout of transformers, or a model of the Hugging Face hub
(`name`, `org/name`, `org/name@revision`). Hub models are read through the hub's cache, so a cached model needs no
network.
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

from prunebench.errors import PrunebenchError, unknown_name
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
# transformers loads the first of these that exists.
SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# The model types of well-known decoders start with these. Others are recognised by the class that was saved.
DECODERS = (
    *("bloom", "codegen", "cohere", "ctrl", "deepseek", "falcon", "gemma", "gpt", "granite", "llama"),
    *("mamba", "mistral", "mixtral", "mpt", "olmo", "openai-gpt", "opt", "phi", "qwen", "smollm"),
    *("stablelm", "starcoder", "xglm"),
)
# The classes of decoders in the field `architectures` of a `config.json` end with these.
DECODER_CLASSES = ("ForCausalLM", "LMHeadModel")
# The id of a model on the hub, which is never the path of a folder above or outside of this one.
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


@dataclass(frozen=True)
class ModelSource:
    """A checkpoint on this machine.

    Attributes:
        name: the name on pages: a hub id, or the last part of a folder's path that distinguishes it.
        folder: the folder with its files.
        revision: the commit on the hub, "" for a folder.
        fingerprint: 16 hexadecimal digits over the names and contents of configuration, weights and tokenizer. Copies
            of one model have the same fingerprint, wherever they come from.
        family: the name of its `Architecture`.
    """

    name: str
    folder: Path
    revision: str
    fingerprint: str
    family: str


def resolve(
    model: str, registry_architectures: Iterable[Architecture], checkpoints: Iterable[Checkpoint] = ()
) -> ModelSource:
    """Find the model, download it if necessary, and determine its family.

    A checkpoint of a plugin takes precedence over a folder of the same name; `./name` is always the folder.

    Raises:
        PrunebenchError: if there is no such model, its files are incomplete, or its type belongs to no family.
    """
    architectures = list(registry_architectures)
    shipped = {checkpoint.name: checkpoint.folder for checkpoint in checkpoints}
    name = model.strip()
    if name in shipped:
        folder, revision = shipped[name], ""
    else:
        known = {*shipped, *(example for architecture in architectures for example in architecture.examples)}
        name, folder, revision = _locate(name, known)
    family = family_of(read_config(folder), architectures)
    return ModelSource(name, folder, revision, _fingerprint(folder), family.name)


def resolve_id(
    name: str,
    revision: str,
    architectures: Sequence[Architecture],
    checkpoints: Iterable[Checkpoint],
    *,
    download: bool = False,
) -> ModelSource:
    """Find the model that a stranger names, for example in a bundle.

    It is a checkpoint of a plugin or a model in the hub's cache; `download` also asks the hub. No folder of that name
    is opened, and without `download` no network is used.

    Raises:
        PrunebenchError: if there is no such model, or its files are incomplete.
    """
    folder = {checkpoint.name: checkpoint.folder for checkpoint in checkpoints}.get(name)
    if folder is None:
        if not HUB_ID.fullmatch(name) or not re.fullmatch(r"(\w[\w.-]*)?", revision, re.ASCII):
            raise PrunebenchError(f"{name!r} is no id of a model on the hub")
        full_name = f"{name}@{revision}" if revision else name
        folder = _from_hub(full_name, ()) if download else _from_cache(name, revision)
    family = family_of(read_config(folder), architectures)
    return ModelSource(name, folder, revision, _fingerprint(folder), family.name)


def _from_cache(name: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision or None, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        raise PrunebenchError(f"model {name!r} is not in the hub's cache") from None


def family_of(config: dict[str, Any], architectures: Sequence[Architecture]) -> Architecture:
    """The family of a model, given its `config.json`.

    Raises:
        PrunebenchError: if the model is a decoder, or its `model_type` belongs to no family.
    """
    model_type = config.get("model_type")
    families = {kind: architecture for architecture in architectures for kind in architecture.model_types}
    types = [f"{family.name} ({', '.join(family.model_types)})" for family in architectures]
    known = f"known families: {'; '.join(types)}"
    if not model_type:
        raise PrunebenchError(f"{CONFIG} names no model_type", known)
    if config.get("is_decoder") or (model_type not in families and _is_decoder(config)):
        raise PrunebenchError(f"this {model_type!r} model is a decoder, and decoders are not supported yet", known)
    if model_type not in families:
        raise PrunebenchError(f"model type {model_type!r} belongs to no known family", known)
    return families[model_type]


def _is_decoder(config: dict[str, Any]) -> bool:
    """Whether the configuration is that of a GPT-like model, by its type or by the class that was saved."""
    classes = config.get("architectures") or []
    return config["model_type"].startswith(DECODERS) or any(name.endswith(DECODER_CLASSES) for name in classes)


def read_config(folder: Path) -> dict[str, Any]:
    """Read the `config.json` of a checkpoint."""
    if not (folder / CONFIG).is_file():
        raise PrunebenchError(f"no {CONFIG} in {str(folder)!r}", "expected a folder in the layout of transformers")
    return _read_json(folder / CONFIG)


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads the weights from; sharded weights have their index first.

    Raises:
        PrunebenchError: if there are no weights, or a shard is missing.
    """
    for name in (*SAFETENSORS, *PICKLED):
        path = folder / name
        if not path.is_file():
            continue
        if path.suffix != ".json":
            return [path]
        shards = [folder / shard for shard in sorted(set(_read_json(path).get("weight_map", {}).values()))]
        missing = [shard.name for shard in shards if not shard.is_file()]
        if missing:
            raise PrunebenchError(f"{name} in {str(folder)!r} lists missing files: {', '.join(missing)}")
        if not shards:
            raise PrunebenchError(f"{name} in {str(folder)!r} lists no files")
        return [path, *shards]
    raise PrunebenchError(f"no weights in {str(folder)!r}", f"expected {SAFETENSORS[0]} or {PICKLED[0]}")


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of the tokenizer that exist."""
    return [folder / name for name in TOKENIZER if (folder / name).is_file()]


def _locate(model: str, known: Collection[str]) -> tuple[str, Path, str]:
    """The name, folder and revision of a model that no plugin ships. `known` are names to suggest."""
    if not model:
        raise PrunebenchError(
            "no model is named", "expected a folder or a hub id such as google-bert/bert-base-uncased"
        )
    path = Path(model).expanduser()
    if path.is_dir():
        return _display_name(path), path, ""
    if path.is_file():
        raise PrunebenchError(f"model {model!r} is a file", "expected the folder that contains it")
    if model.startswith((".", "~", "/")) or "\\" in model or model.partition("@")[0].count("/") > 1:
        matches = difflib.get_close_matches(str(path), _siblings(path), n=1, cutoff=0.5)
        expected = "expected a folder in the layout of transformers, or a hub id such as google-bert/bert-base-uncased"
        raise PrunebenchError(f"no model folder {model!r}", f"did you mean {matches[0]!r}?" if matches else expected)
    folder = _from_hub(model, known)
    return model.partition("@")[0], folder, folder.name


def _siblings(path: Path) -> list[str]:
    parent = path.parent
    return [str(entry) for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []


def _display_name(path: Path) -> str:
    """A name that distinguishes a model from others and reveals nothing about the machine.

    `~/runs/minilm/model` becomes `minilm`, `runs/7/checkpoint-500` becomes `7/checkpoint-500`, and a snapshot in the
    hub's cache gets its hub id.
    """
    parts = [part for part in Path(os.path.abspath(path)).parts if part != os.sep]
    if len(parts) > 2 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return parts[-3].removeprefix("models--").replace("--", "/")
    while len(parts) > 1 and parts[-1].lower() in ("model", "models", "files"):
        parts.pop()
    if len(parts) > 1 and re.fullmatch(r"checkpoint([-_].*)?|best|final|last|main|\d+", parts[-1].lower()):
        return "/".join(parts[-2:])
    return parts[-1] if parts else "model"


def _from_hub(model: str, known: Collection[str]) -> Path:
    """Download a model into the hub's cache, unless it is there, and return its folder.

    Pickled weights are downloaded only if the model has no safetensors.
    """
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
        patterns = [CONFIG, *TOKENIZER, *SAFETENSORS, "model-*.safetensors"]
        folder = Path(snapshot_download(name, revision=revision or None, allow_patterns=patterns))
        if not any((folder / file).is_file() for file in SAFETENSORS):
            # By commit: the branch may have moved on since the first download.
            patterns = [*PICKLED, "pytorch_model-*.bin"]
            folder = Path(snapshot_download(name, revision=folder.name, allow_patterns=patterns))
    except GatedRepoError as error:
        raise PrunebenchError(
            f"model {name!r} requires its owner's permission", "request access on the hub and log in"
        ) from error
    except RevisionNotFoundError as error:
        raise PrunebenchError(
            f"model {name!r} has no revision {revision!r}", "expected a branch, tag or commit"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise unknown_name("model", name, known, "there is no such folder, and no such model on the hub") from error
    except (LocalEntryNotFoundError, HTTPError) as error:
        matches = difflib.get_close_matches(name, {*known, *_siblings(Path(name))}, n=1, cutoff=0.5)
        misspelt = matches and matches[0] != name
        hint = f"did you mean {matches[0]!r}?" if misspelt else "connect to the network, or pass a folder to --model"
        raise PrunebenchError(
            f"model {model!r} is neither a folder nor in the hub's cache, and the hub cannot be reached", hint
        ) from error
    return folder


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PrunebenchError(f"{str(path)!r} is not JSON", " ".join(str(error).split())) from error
    if not isinstance(data, dict):
        raise PrunebenchError(f"{str(path)!r} does not contain a JSON object")
    return data


def _fingerprint(folder: Path) -> str:
    """The digest of what is loaded: other files of the folder, such as a README, do not count."""
    digest = hashlib.sha256()
    files = {folder / CONFIG, *weight_files(folder), *tokenizer_files(folder)}
    for path in sorted(files, key=lambda file: file.name):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
