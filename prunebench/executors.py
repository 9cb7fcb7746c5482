"""Where jobs run. An executor has the interface of `concurrent.futures.Executor`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from prunebench import progress
from prunebench.hookspecs import hookimpl
from prunebench.machine import cores


@dataclass(frozen=True)
class ExecutorSpec:
    """A way to run jobs: `make(jobs)` gives an executor that runs so many at a time."""

    name: str
    doc: str
    make: Callable[[int], Executor]


class Here(Executor):
    """Runs each job at once, in this process and thread; an interrupt is never caught."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Processes(ProcessPoolExecutor):
    """Spawned worker processes that share the cores evenly and end with this process, however it ends.

    What they report of their progress is told to the listeners here.
    """

    def __init__(self, jobs: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._moments: Any = context.SimpleQueue()
        super().__init__(jobs, context, _start_worker, (max(1, cores() // jobs), self._moments))
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self._teller.start()

    def _tell(self) -> None:
        for moment in iter(self._moments.get, None):
            progress.emit(moment)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        # Workers are started here, and are deaf to Ctrl-C from their first moment on: they inherit the mask.
        old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            for process in list((self._processes or {}).values()):
                process.terminate()
        self.shutdown(wait=kind is None, cancel_futures=True)
        if kind is None:
            self._moments.put(None)
            self._teller.join()


def _start_worker(threads: int, moments: Any) -> None:
    import torch

    progress.listen(moments.put)

    torch.set_num_threads(threads)
    # Ctrl-C reaches the whole group of processes; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@hookimpl
def prunebench_executors() -> Iterable[ExecutorSpec]:
    return [
        ExecutorSpec("here", "One job after the other, in this process.", lambda jobs: Here()),
        ExecutorSpec("processes", "So many worker processes on this machine, each with its share of cores.", Processes),
    ]
