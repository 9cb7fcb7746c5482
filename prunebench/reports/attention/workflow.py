"""Compare the attention of a dense and a pruned model: train the two once more from stored masks, and look at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.execution.display import Console
from prunebench.execution.runner import RunOptions, execute, preview, raise_failures, with_recorded_threads
from prunebench.hooks.registry import Registry
from prunebench.models.loading import model_source
from prunebench.models.sources import read_config
from prunebench.planning import experiment
from prunebench.planning.graph import Plan, restrict
from prunebench.planning.suite import Suite, resolve
from prunebench.recipes.schedules import check_sparsity
from prunebench.reports.attention.result import AttentionComparison

KIND = "attention"


def suite_of_cell(
    suite: str | None,
    options: Mapping[str, Any],
    registry: Registry,
    *,
    task: str | None,
    seed: int | None,
    strategy: str,
    sparsity: float,
) -> Suite:
    """The suite with only one cell and its dense run in it: by default of the first task and the first seed."""
    changes = dict(options)
    if suite is None and task is not None:
        changes["tasks"] = task
    resolved = resolve(suite, changes, registry)
    task = resolved.tasks[0] if task is None else task
    registry.get("tasks", task)
    check_sparsity(sparsity)
    seed = resolved.seeds[0] if seed is None else seed
    return replace(resolved, tasks=(task,), seeds=(seed,), strategies=(strategy,), sparsities={"": (sparsity,)})


def plan_two_cells(suite: Suite, registry: Registry) -> Plan:
    """The plan of the dense cell and the pruned one, without dense runs of equal training."""
    plan = experiment.plan(suite, registry)
    if len(plan.cells) < 2:
        raise PrunebenchError("the dense model alone has nothing to be compared with", "--strategy names a method")
    return restrict(plan, [plan.cells[0], plan.cells[-1]])


def check_heads(heads: Sequence[tuple[int, int]], suite: Suite, registry: Registry) -> None:
    """Raise PrunebenchError for a head that the model does not have, before anything is trained."""
    if not heads:
        return
    config = read_config(model_source(suite.model, registry).folder)
    layers = config.get("num_hidden_layers", config.get("n_layers", 0))
    width = config.get("num_attention_heads", config.get("n_heads", 0))
    for layer, head in heads:
        if layer >= layers or head >= width:
            raise PrunebenchError(
                f"the model has no head {layer}.{head}", f"it has {layers} layers of {width} heads, from 0.0 on"
            )


def dry_run(suite: Suite, registry: Registry, options: RunOptions, console: Console) -> None:
    """Say what `compare` would train again, and what that costs."""
    plan = plan_two_cells(suite, registry)
    cells = plan.cells
    preview(plan, suite, registry, with_recorded_threads(cells, options), console, {cell.leaf for cell in cells})


def compare(
    suite: Suite, registry: Registry, options: RunOptions, console: Console, texts: Sequence[tuple[str, ...]]
) -> AttentionComparison:
    """The attention of the two models on `texts`, or on some of dev, and in all of dev by head."""
    plan = plan_two_cells(suite, registry)
    cells = plan.cells
    options = with_recorded_threads(cells, options)
    result = execute(plan, suite, registry, options, console, KIND, {cell.leaf for cell in cells})
    if result.failed_before or result.report.failures:
        raise_failures(result, console)
    from prunebench.reports.attention.build import build

    return build(cells, plan.where, result.store, registry, texts)
