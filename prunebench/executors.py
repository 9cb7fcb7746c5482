"""Where jobs run. An executor has the interface of `concurrent.futures.Executor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from prunebench.hookspecs import hookimpl


@dataclass(frozen=True)
class ExecutorSpec:
    """A way to run jobs: `make()` gives the executor."""

    name: str
    doc: str
    make: Callable[[], Executor]


class Here(Executor):
    """Runs each job at once, in this process and thread; an interrupt is never caught."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@hookimpl
def prunebench_executors() -> Iterable[ExecutorSpec]:
    return [ExecutorSpec("here", "One job after the other, in this process.", Here)]
