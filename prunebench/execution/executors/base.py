"""What an executor is: it has the interface of `concurrent.futures.Executor`.

A job whose worker died is a future that raises a BrokenExecutor; whoever submitted it may submit it again. Where the
executor has done so itself it raises a WorkersDied.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass

from prunebench.execution.executors.deaths import LESS_MEMORY

# A job whose worker dies is run again; one that kills its worker so many times in a row is a failure.
ATTEMPTS = 3


@dataclass(frozen=True)
class Request:
    """What a run asks of its executor.

    - `jobs`: the number of jobs at a time
    - `cpus`, `gpus`: the cores and the GPUs (also a fraction of one) of each job; None: the executor decides
    - `address`: the address of a cluster; "": the executor starts one on this machine
    """

    jobs: int
    cpus: int | None = None
    gpus: float | None = None
    address: str = ""


@dataclass(frozen=True)
class ExecutorSpec:
    """A way to run jobs: `make(request)` gives an executor for them.

    `capacity(request)` is how many it has room for at a time; without it, that is what this machine has room for.
    `elsewhere` says that jobs may run on other machines, which may have a GPU where this one has none.
    """

    name: str
    doc: str
    make: Callable[[Request], Executor]
    capacity: Callable[[Request], int] | None = None
    elsewhere: bool = False


class WorkerDied(BrokenExecutor):
    """A worker ended in the middle of a job; `out_of_memory` says that the system killed it for want of memory.

    `hint` is advice, on what may have happened and what helps.
    """

    def __init__(self, reason: str, *, out_of_memory: bool = False, hint: str = "") -> None:
        super().__init__(reason)
        self.out_of_memory = out_of_memory
        self.hint = hint or (LESS_MEMORY if out_of_memory else "")


class WorkersDied(WorkerDied):
    """One worker after the other ended in the middle of a job, which the executor itself had run again and again."""


class RemoteTraceback(Exception):
    """Stands as the cause of an error from another process: the traceback as it was there."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"
