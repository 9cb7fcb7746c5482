"""Jobs as tasks of a Dask cluster. Imported where one is used: Dask takes a quarter of a second to load."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import resource_tracker
from types import TracebackType
from typing import Any

from distributed import Client, KilledWorker, LocalCluster, get_worker
from distributed.cfexecutor import ClientExecutor

from prunebench import PrunebenchError, Request, WorkersDied
from prunebench.runtime.devices import take_gpu

# A job sets the one model and the generators of its process: two at a time in one would mix them up.
_ONE_AT_A_TIME = threading.Lock()
# What workers with a GPU say that they have, by Dask's own convention.
GPU = "GPU"


def connect(request: Request) -> Client:
    """A client of the cluster at `request.address`, or of a new one on this machine."""
    if not request.address:
        has = {GPU: request.gpus} if request.gpus else {}
        workers = {"n_workers": request.jobs or None, "threads_per_worker": 1, "resources": has}
        # Ctrl-C reaches the whole group of processes; the command alone decides what it means. Workers are started from
        # a thread that begins here, and inherit its deafness, which what they need first of multiprocessing would end.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            # A port of its own: with None Dask takes 8787, and warns where another run has it.
            return Client(LocalCluster(dashboard_address=":0", **workers))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        return Client(request.address, timeout=30)
    except (OSError, ValueError) as error:
        raise PrunebenchError(
            f"cannot reach a Dask scheduler at {request.address!r}: {error}", "expected tcp://HOST:8786 or the like"
        ) from error


def room(request: Request) -> int:
    """As many jobs as the cluster has workers, of those that have as much of a GPU as a job asks for."""
    with connect(request) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        raise PrunebenchError(f"the Dask cluster at {request.address!r} has no workers", "start some, or give --jobs")
    able = sum(worker["resources"].get(GPU, 0) >= (request.gpus or 0) for worker in workers)
    if not able:
        raise PrunebenchError(
            f"no worker of the Dask cluster at {request.address!r} says that it has {request.gpus:g} GPUs",
            'expected `dask worker --resources "GPU=1"`',
        )
    return able


class DaskExecutor(ClientExecutor):  # type: ignore[misc]
    """Dask's own executor; the scheduler runs the job of a lost worker again, up to three times by its own setting."""

    def __init__(self, request: Request) -> None:
        super().__init__(connect(request), pure=False, resources={GPU: request.gpus} if request.gpus else None)
        self._threads = request.cpus or 1

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        found: Future[Any] = Future()

        def settle(done: Future[Any]) -> None:
            if done.cancelled():
                found.cancel()
                return
            error = done.exception()
            if isinstance(error, KilledWorker):
                error = WorkersDied(str(error))
            if error is not None:
                found.set_exception(error)
            else:
                found.set_result(done.result())

        super().submit(_alone, self._threads, fn, args, kwargs).add_done_callback(settle)
        return found

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown(wait=kind is None)
        cluster = self._client.cluster
        self._client.close()
        if cluster is not None:
            cluster.close()


def _alone(threads: int, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    import torch

    with _ONE_AT_A_TIME:
        torch.set_num_threads(threads)
        number = get_worker().name
        if isinstance(number, int):  # one of our own; whoever starts others gives each its card
            take_gpu(number)
        return fn(*args, **kwargs)
