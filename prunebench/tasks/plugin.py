"""The plugin with the tasks of GLUE and their metric."""

from __future__ import annotations

from prunebench.hooks.hookspecs import hookimpl
from prunebench.tasks.glue.definitions import glue_tasks
from prunebench.tasks.glue.metrics import GLUE_METRIC
from prunebench.tasks.metrics import MetricSpec
from prunebench.tasks.task import Task


@hookimpl
def prunebench_tasks() -> list[Task]:
    return glue_tasks()


@hookimpl
def prunebench_metrics() -> list[MetricSpec]:
    return [GLUE_METRIC]
