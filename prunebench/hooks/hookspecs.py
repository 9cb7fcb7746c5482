"""Every hook of prunebench, one sentence each. A plugin is a module with functions of these names, marked `hookimpl`.

Imports nothing of the project at run time.
"""

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
    from prunebench.recipes.strategy import Strategy
    from prunebench.tasks.metrics import MetricSpec
    from prunebench.tasks.task import Task

PROJECT = "prunebench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def prunebench_strategies() -> Iterable[type[Strategy]]:  # type: ignore[empty-body]
    """Give strategy classes: frozen dataclasses with a name, a unit, a recipe and, where they prune, a score."""


@hookspec
def prunebench_tasks() -> Iterable[Task]:  # type: ignore[empty-body]
    """Give tasks: where the data comes from, what is measured on it, and the protocol it is trained by."""


@hookspec
def prunebench_models() -> Iterable[Architecture]:  # type: ignore[empty-body]
    """Give families of encoders: which modules of a layer are its attention and feed-forward matrices."""


@hookspec
def prunebench_checkpoints() -> Iterable[Checkpoint]:  # type: ignore[empty-body]
    """Give pre-trained encoders that come with the plugin: a name for `--model`, and the folder that it stands for."""


@hookspec
def prunebench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Give metrics: a name and a function that makes the `evaluate.Metric` for one of its configurations."""


@hookspec
def prunebench_executors() -> Iterable[ExecutorSpec]:  # type: ignore[empty-body]
    """Give ways to run jobs: a name and a function that makes a `concurrent.futures.Executor`."""


@hookspec
def prunebench_suites() -> Iterable[Path]:  # type: ignore[empty-body]
    """Give suites: paths of TOML files whose names are those of the options of `prunebench run`."""


@hookspec
def prunebench_commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Give commands for the `prunebench` command line."""
