"""Models by the names of a registry: its families and the checkpoints of its plugins.

Planning needs no more of a model than this, so nothing here loads weights.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models import sources
from prunebench.models.architecture import Architecture
from prunebench.models.validation import check_readable, check_tokenizer


@functools.lru_cache(maxsize=8)
def model_source(model: str, registry: Registry) -> sources.ModelSource:
    """Resolve `model` with the registry's families and checkpoints. Cached, since the digest reads all weights."""
    checkpoints = [registry.get("checkpoints", name) for name in registry.entries("checkpoints")]
    source = sources.resolve(model, architectures(registry), checkpoints)
    check_readable(source.folder)
    check_tokenizer(source.folder)
    return source


def model_of_id(name: str, revision: str, registry: Registry, *, download: bool = False) -> sources.ModelSource:
    """The model that a stranger names; see `sources.resolve_id`."""
    checkpoints = [registry.get("checkpoints", each) for each in registry.entries("checkpoints")]
    source = sources.resolve_id(name, revision, architectures(registry), checkpoints, download=download)
    check_readable(source.folder)
    check_tokenizer(source.folder)
    return source


def architectures(registry: Registry) -> list[Architecture]:
    """All families of the registry.

    Raises:
        PrunebenchError: if two families claim one model type.
    """
    families: list[Architecture] = [registry.get("models", name) for name in registry.entries("models")]
    owners: dict[str, str] = {}
    for family in families:
        for model_type in family.model_types:
            if owners.setdefault(model_type, family.name) != family.name:
                names = f"{owners[model_type]!r} and {family.name!r}"
                raise PrunebenchError(f"model type {model_type!r} is claimed by the families {names}")
    return families


def positions(config: Mapping[str, Any], family: Architecture) -> int:
    """The maximum length of a text for a model with this config.json, in tokens."""
    unused = config.get("pad_token_id", 1) + 1 if family.positions_after_padding else 0
    return int(config.get("max_position_embeddings", 512)) - unused


def encoder_weights(config: dict[str, Any]) -> int:
    """The number of weights in the matrices of all layers, by a model's config.json: 4·h² + 2·h·f a layer."""
    layers = int(config.get("num_hidden_layers", config.get("n_layers", 0)))
    hidden = int(config.get("hidden_size", config.get("dim", 0)))
    feed_forward = int(config.get("intermediate_size", config.get("hidden_dim", 0)))
    return layers * (4 * hidden**2 + 2 * hidden * feed_forward)
