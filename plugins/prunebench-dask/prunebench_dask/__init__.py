"""An executor that runs jobs on a Dask cluster: `--executor dask`."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor

from prunebench import ExecutorSpec, Request, hookimpl


def make(request: Request) -> Executor:
    from prunebench_dask.cluster import DaskExecutor

    return DaskExecutor(request)


def capacity(request: Request) -> int:
    from prunebench_dask.cluster import capacity

    return capacity(request)


@hookimpl
def prunebench_executors() -> Iterable[ExecutorSpec]:
    doc = "Tasks on a Dask cluster: at --address, or a new one on this machine."
    return [ExecutorSpec("dask", doc, make, capacity=capacity, elsewhere=True)]
