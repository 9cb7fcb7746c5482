"""What a run starts from: the files of a model, and the data of a task. Imports no torch: to plan takes no more."""

from __future__ import annotations

import functools
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models import sources
from prunebench.models.architecture import Architecture
from prunebench.models.encoder import check_readable


@functools.lru_cache(maxsize=2)
def model_source(model: str, registry: Registry) -> sources.ModelSource:
    """Where a model lies, found and digested once in a process."""
    checkpoints = [registry.get("checkpoints", name) for name in registry.entries("checkpoints")]
    source = sources.resolve(model, architectures(registry), checkpoints)
    check_readable(source.folder)
    return source


def architectures(registry: Registry) -> list[Architecture]:
    """All families; two that claim one model type are an error."""
    found: list[Architecture] = [registry.get("models", name) for name in registry.entries("models")]
    claims = [(kind, family.name) for family in found for kind in family.model_types]
    for kind, name in claims:
        others = [other for other_kind, other in claims if other_kind == kind and other != name]
        if others:
            raise PrunebenchError(f"model type {kind!r} is claimed by the families {name!r} and {others[0]!r}")
    return found


def positions(source: sources.ModelSource, registry: Registry) -> int:
    """The longest text that the model has positions for, in tokens."""
    config = sources.read_config(source.folder)
    unused = config.get("pad_token_id", 1) + 1 if registry.get("models", source.family).positions_after_padding else 0
    return int(config.get("max_position_embeddings", 512)) - unused


def encoder_weights(config: dict[str, Any]) -> int:
    """The number of weights in the matrices of all layers, by a model's config.json: 4·h² + 2·h·f a layer."""
    layers = int(config.get("num_hidden_layers", config.get("n_layers", 0)))
    hidden = int(config.get("hidden_size", config.get("dim", 0)))
    feed_forward = int(config.get("intermediate_size", config.get("hidden_dim", 0)))
    return layers * (4 * hidden**2 + 2 * hidden * feed_forward)
