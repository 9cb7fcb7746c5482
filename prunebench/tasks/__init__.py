"""The built-in tasks and metrics: GLUE, and a generated language.

Imports neither torch nor `datasets` nor `evaluate` nor scipy.
"""

from __future__ import annotations

from prunebench.hookspecs import hookimpl
from prunebench.tasks.glue import glue_tasks
from prunebench.tasks.metrics import GLUE_METRIC, MetricSpec
from prunebench.tasks.quick import quick_tasks
from prunebench.tasks.task import Task


@hookimpl
def prunebench_tasks() -> list[Task]:
    return [*glue_tasks(), *quick_tasks()]


@hookimpl
def prunebench_metrics() -> list[MetricSpec]:
    return [GLUE_METRIC]
