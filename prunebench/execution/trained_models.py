"""Trained models in a store: load them, and compare them with their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.torch

from prunebench.execution import measurements
from prunebench.execution.phase_context import PhaseContext
from prunebench.execution.session import State
from prunebench.execution.workspace import Workspace, workspace
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import PlannedCell, mask_key, phases_of
from prunebench.pruning import masks
from prunebench.pruning.structures import look_up
from prunebench.store.schema import Evaluation, Location
from prunebench.store.serialization import parse_arrays
from prunebench.store.store import Store


def load_model(cell: PlannedCell, where: Location, store: Store, registry: Registry) -> Workspace:
    """The cell's workspace with its trained weights; loading another model of the same task overwrites them."""
    result = workspace(cell.leaf.experiment, where, registry)
    result.load(store.load("models", cell.leaf.key, safetensors.torch.load))
    return result


def scored_network(cell: PlannedCell, model: Workspace, store: Store, registry: Registry) -> Any:
    """The model that the cell's record is of: without its pruned units if the recipe removes them."""
    key, phases = mask_key(cell.leaf), [phase for phase in phases_of(cell.leaf.path()) if phase.ends_recipe]
    if not phases:
        return model.model
    mask = store.load("masks", key, masks.unpack) if key else None
    context = PhaseContext(model, cell.leaf.experiment.seed, State(mask, look_up(cell.method.unit, registry)))
    for phase in phases:
        phase.apply(context)
    return context.network


def compare_with_record(
    cell: PlannedCell, model: Workspace, store: Store, registry: Registry
) -> tuple[dict[str, float], str]:
    """The model's scores, and in words whether its logits are those of the cell's record, bit for bit."""
    network = scored_network(cell, model, store, registry)
    evaluations, data, _ = measurements.evaluate(model, network, cell.leaf.experiment)
    scores = _scores(evaluations)
    record = store.record(cell.leaf.key)
    recorded = _scores(record.evaluations) if record else {}
    now, then = parse_arrays(data), store.logits(cell.leaf.key)
    if scores == recorded and then and all(np.array_equal(now[name], then[name]) for name in then):
        return scores, "as recorded, bit for bit"
    apart = [float(np.abs(now[name] - then[name]).max()) for name in then if then[name].shape == now[name].shape]
    logits = f"logits up to {max(apart):.3g} apart" if apart else "no logits are stored"
    changed = ", ".join(
        f"{name} {value:.4f} instead of {recorded.get(name, float('nan')):.4f}"
        for name, value in scores.items()
        if value != recorded.get(name)
    )
    return scores, f"not as recorded: {logits}; {changed or 'the same scores'}"


def _scores(evaluations: Mapping[str, Evaluation]) -> dict[str, float]:
    several = len(evaluations) > 1
    return {
        f"{metric} {name}" if several else metric: value
        for name, evaluation in evaluations.items()
        for metric, value in evaluation.metrics.items()
    }
