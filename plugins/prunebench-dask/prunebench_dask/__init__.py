"""Runs the jobs of prunebench on a Dask cluster: `--executor dask`."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor

from prunebench import ExecutorSpec, Request, hookimpl


def make(request: Request) -> Executor:
    from prunebench_dask.cluster import DaskExecutor

    return DaskExecutor(request)


def room(request: Request) -> int:
    from prunebench_dask.cluster import room

    return room(request)


@hookimpl
def prunebench_executors() -> Iterable[ExecutorSpec]:
    return [ExecutorSpec("dask", "Tasks of a Dask cluster: --address, or one of its own here.", make, room, True)]
