"""Trained models that were kept in a store: taken out, and held against what their records say of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.torch

from prunebench.execution import measurements
from prunebench.execution.workspace import Subject, subject
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import Cell, mask_of, root_json
from prunebench.pruning import compaction, masks
from prunebench.recipes.phases import Compact
from prunebench.store.serialization import arrays
from prunebench.store.store import Store


def take_out(cell: Cell, store: Store, registry: Registry) -> Subject:
    """The cell's subject with its trained weights; the next one of this process with the same head takes its place."""
    found = subject(root_json(cell.leaf.root), registry)
    found.load(store.load("models", cell.leaf.key, safetensors.torch.load))
    return found


def network(cell: Cell, model: Subject, store: Store) -> Any:
    """The model that the cell's record is of: without its pruned heads or neurons where the recipe takes them out."""
    if isinstance(cell.leaf.phase, Compact) and mask_of(cell.leaf):
        mask = store.load("masks", mask_of(cell.leaf), masks.unpack)
        return compaction.compact(model.prunable, mask, cell.method["unit"])
    return model.model


def compared(cell: Cell, model: Subject, store: Store) -> tuple[dict[str, float], str]:
    """The model's scores, and in words whether it says bit for bit what the cell's record holds."""
    evaluations, data, _ = measurements.evaluate(model, network(cell, model, store), root_json(cell.leaf.root))
    score = _scores(evaluations)
    recorded = _scores((store.record(cell.leaf.key) or {"evaluations": {}})["evaluations"])
    now = arrays(data)
    then = store.logits(cell.leaf.key)
    if score == recorded and then and all(np.array_equal(now[name], then[name]) for name in then):
        return score, "as recorded, bit for bit"
    apart = [float(np.abs(now[name] - then[name]).max()) for name in then if then[name].shape == now[name].shape]
    said = f"logits up to {max(apart):.3g} apart" if apart else "no logits are kept"
    scores = ", ".join(f"{name} {value:.4f} instead of {recorded.get(name, float('nan')):.4f}"
                       for name, value in score.items() if value != recorded.get(name))  # fmt: skip
    return score, f"not as recorded: {said}; {scores or 'the same scores'}"


def _scores(evaluations: Mapping[str, Any]) -> dict[str, float]:
    several = len(evaluations) > 1
    return {
        f"{metric} {name.removeprefix('validation_')}" if several else metric: value
        for name, found in evaluations.items()
        for metric, value in found["metrics"].items()
    }
