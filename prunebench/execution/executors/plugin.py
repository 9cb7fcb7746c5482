"""Register the built-in executors through the same hook as any plugin."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor

from prunebench.execution.executors.base import ExecutorSpec, Request
from prunebench.execution.executors.local import ProcessExecutor, SerialExecutor
from prunebench.execution.executors.ray import RayExecutor, capacity
from prunebench.hooks.hookspecs import hookimpl


@hookimpl
def prunebench_executors() -> Iterable[ExecutorSpec]:
    return [
        ExecutorSpec("here", "One job after the other, in this process.", _serial, lambda request: 1),
        ExecutorSpec(
            "processes", "So many worker processes on this machine, each with its share of cores.", ProcessExecutor
        ),
        ExecutorSpec("ray", "Tasks of a Ray cluster: --address, or one of its own here.", RayExecutor, capacity, True),
    ]


def _serial(request: Request) -> Executor:
    return SerialExecutor(request.cpus)
