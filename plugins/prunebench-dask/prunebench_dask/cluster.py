"""Run jobs as tasks on a Dask cluster.

The package imports this module only when the executor is used, because importing Dask takes a quarter of a second.
"""

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
from prunebench.runtime.devices import select_gpu

# A worker with several threads would otherwise run several jobs at a time. They would share one model and its random
# generators, which belong to the process.
_LOCK = threading.Lock()
# The resource that a worker with a GPU has, by Dask's convention.
GPU = "GPU"


def connect(request: Request) -> Client:
    """A client of the cluster at `request.address`, or of a new cluster on this machine if it is empty.

    Raises PrunebenchError if no scheduler answers at the address.
    """
    if not request.address:
        resources = {GPU: request.gpus} if request.gpus else {}
        workers = {"n_workers": request.jobs or None, "threads_per_worker": 1, "resources": resources}
        # Ctrl-C is sent to the whole process group, but only the main process should react to it. The thread that
        # starts the workers, and with it the workers, inherits the signal mask of this thread. The resource tracker
        # must run before, because multiprocessing unblocks SIGINT when it starts it.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            # A free port for the dashboard: by default Dask takes 8787, and warns if another run uses it.
            return Client(LocalCluster(dashboard_address=":0", **workers))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        return Client(request.address, timeout=30)
    except (OSError, ValueError) as error:
        raise PrunebenchError(
            f"cannot reach a Dask scheduler at {request.address!r}: {error}",
            "expected an address such as tcp://HOST:8786",
        ) from error


def capacity(request: Request) -> int:
    """The number of jobs that the cluster runs at a time: one per worker that has the GPUs of a job.

    Raises PrunebenchError if there is no such worker.
    """
    with connect(request) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        raise PrunebenchError(f"the Dask cluster at {request.address!r} has no workers", "start some, or set --jobs")
    count = sum(worker["resources"].get(GPU, 0) >= (request.gpus or 0) for worker in workers)
    if not count:
        raise PrunebenchError(
            f"no worker of the Dask cluster at {request.address!r} has {request.gpus:g} GPUs",
            'start workers with `dask worker --resources "GPU=1"`',
        )
    return count


class DaskExecutor(ClientExecutor):  # type: ignore[misc]
    """Dask's own executor.

    The scheduler repeats the job of a lost worker on another one, three times by default, and then gives up with a
    KilledWorker. The executor raises that as WorkersDied.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(connect(request), pure=False, resources={GPU: request.gpus} if request.gpus else None)
        self._threads = request.cpus or 1

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def settle(dask_future: Future[Any]) -> None:
            if dask_future.cancelled():
                future.cancel()
                return
            error = dask_future.exception()
            if isinstance(error, KilledWorker):
                error = WorkersDied(str(error))
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(dask_future.result())

        super().submit(_run, self._threads, fn, args, kwargs).add_done_callback(settle)
        return future

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown(wait=kind is None)
        cluster = self._client.cluster
        self._client.close()
        if cluster is not None:
            cluster.close()


def _run(threads: int, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Run a job on a worker, one at a time."""
    import torch

    with _LOCK:
        torch.set_num_threads(threads)
        name = get_worker().name
        if isinstance(name, int):  # a worker of a local cluster; other workers are started with a GPU
            select_gpu(name)
        return fn(*args, **kwargs)
