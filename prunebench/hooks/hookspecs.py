"""Every hook of prunebench. A plugin is a module with functions of these names, marked with `@hookimpl`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from prunebench.execution.executors.base import ExecutorSpec
    from prunebench.models.architecture import Architecture
    from prunebench.models.checkpoint import Checkpoint
    from prunebench.pruning.groups import Structure
    from prunebench.recipes.phase import Phase
    from prunebench.recipes.strategy import Strategy
    from prunebench.tasks.metrics import MetricSpec
    from prunebench.tasks.task import Task

PROJECT = "prunebench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def prunebench_strategies() -> Iterable[type[Strategy]]:  # type: ignore[empty-body]
    """Return strategy classes: frozen dataclasses with a name, a unit, a recipe and, if they prune, a score."""


@hookspec
def prunebench_phases() -> Iterable[type[Phase]]:  # type: ignore[empty-body]
    """Return phases: frozen dataclasses below `Phase` that declare what they change, with an `apply(ctx)`."""


@hookspec
def prunebench_structures() -> Iterable[Structure]:  # type: ignore[empty-body]
    """Return structures: objects below `Structure` that say which slices of which parameters a unit has."""


@hookspec
def prunebench_tasks() -> Iterable[Task]:  # type: ignore[empty-body]
    """Return tasks: how to load their data, their metrics, and the protocol that trains them."""


@hookspec
def prunebench_models() -> Iterable[Architecture]:  # type: ignore[empty-body]
    """Return families of encoders: which modules of a layer are its attention and feed-forward matrices."""


@hookspec
def prunebench_checkpoints() -> Iterable[Checkpoint]:  # type: ignore[empty-body]
    """Return pre-trained encoders that come with the plugin: a name for `--model`, and the folder of its files."""


@hookspec
def prunebench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Return metrics: a name and a function that loads the `evaluate.Metric` of a configuration."""


@hookspec
def prunebench_executors() -> Iterable[ExecutorSpec]:  # type: ignore[empty-body]
    """Return ways to run jobs: a name and a function that creates a `concurrent.futures.Executor`."""


@hookspec
def prunebench_suites() -> Iterable[Path]:  # type: ignore[empty-body]
    """Return suites: paths of TOML files whose keys are the options of `prunebench run`."""


@hookspec
def prunebench_commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Return commands for the `prunebench` command line."""
