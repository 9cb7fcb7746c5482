"""A calibration from the plan to the protocol file, and its trials as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prunebench.execution.display import Console
from prunebench.execution.runner import RunOptions, execute, preview, raise_failures
from prunebench.hooks.registry import Registry
from prunebench.planning.calibrate import KIND, plan_calibration, to_file
from prunebench.planning.protocol_file import RULE, Grid, ProtocolFile, TaskProtocol, Trial
from prunebench.planning.suite import Suite
from prunebench.reports.render.blocks import Block, Bold, Caution, Paragraph, Subtitle, Table
from prunebench.reports.render.formatting import points
from prunebench.reports.render.terminal import render


def answer(suite: Suite, grid: Grid, registry: Registry, options: RunOptions, console: Console) -> ProtocolFile:
    """Train what the store lacks of the grid, and select the protocol of each task.

    Raises PrunebenchError if a training failed.
    """
    calibration = plan_calibration(suite, grid, registry)
    result = execute(calibration.plan, suite, registry, options, console, KIND)
    raise_failures(result, console)
    records = result.store.fetch([cell.leaf.key for cell in calibration.plan.cells])
    return to_file(calibration, records, registry, options.command)


def dry_run(suite: Suite, grid: Grid, registry: Registry, options: RunOptions, console: Console) -> None:
    """Say what `answer` would train."""
    preview(plan_calibration(suite, grid, registry).plan, suite, registry, options, console)


def terminal(file: ProtocolFile, *, colour: bool = False) -> str:
    """The trials of every task; the selected one is marked."""
    return render(_blocks(file), colour=colour)


def _blocks(file: ProtocolFile) -> Iterator[Block]:
    for name, task in file.tasks.items():
        yield Subtitle(
            f"{name}: {task.metric} × 100 on {task.carved} examples carved from train, after training on {task.train} "
            f"others, {len(file.seeds)} seeds; majority class {points(task.majority)}"
        )
        yield Table("", ("", "epochs", "lr", "warm-up", "steps", "mean", "standard error"), "lrrrrrr", _rows(task))
        yield from map(Caution, _warnings(name, task, file.grid))
    yield Paragraph(f"* selected. {RULE}")


def _rows(task: TaskProtocol) -> tuple[tuple[str, ...], ...]:
    return tuple(_row(trial, trial == task.selected) for trial in task.trials)


def _row(trial: Trial, is_selected: bool) -> tuple[str, ...]:
    numbers = f"{trial.epochs}", f"{trial.lr:g}", f"{trial.warmup:g}", f"{trial.steps}"
    texts = ("*" if is_selected else "", *numbers, points(trial.mean), points(trial.error))
    return tuple(map(Bold, texts)) if is_selected else texts


def _warnings(name: str, task: TaskProtocol, grid: Grid) -> Iterator[str]:
    """What a user should know before using the protocol: nothing was learnt, or the grid may be too narrow."""
    if not task.is_above_majority:
        yield (
            f"no dense model to prune on {name}: the selected setting is not one standard error above the majority "
            "class"
        )
        return
    for key in ("lr", "epochs"):
        values = sorted(getattr(grid, key))
        if len(values) > 1 and math.isclose(getattr(task, key), values[-1]):
            yield f"the selected {key} of {name} is the largest of the grid; a larger one may be better: --{key}"
