"""Run jobs as tasks of a Ray cluster. Ray retries the jobs of a lost worker or node. All nodes must reach the store.

Ray comes with `pip install 'prunebench[ray]'`; it is imported where it is used.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.execution.executors.base import ATTEMPTS, RemoteTraceback, Request, WorkersDied
from prunebench.planning.job_spec import JobSpec
from prunebench.runtime.devices import cores, is_fatal_gpu_error
from prunebench.store.schema import WeightsRef


def connect(request: Request) -> Any:
    """The package ray, connected to the cluster at `request.address`, or to a new one on this machine."""
    # Ray reads this when it is imported. By default it retries tasks without end if its memory monitor kills them.
    os.environ.setdefault("RAY_task_oom_retries", str(ATTEMPTS - 1))
    try:
        import ray
    except ImportError as error:
        raise PrunebenchError("--executor ray needs Ray", "pip install 'prunebench[ray]'") from error
    if ray.is_initialized():
        return ray
    own = {"num_cpus": max(cores(), (request.cpus or 1) * request.jobs), "include_dashboard": False}
    options: dict[str, Any] = {"address": request.address} if request.address else {"address": "local", **own}
    try:
        if ":" in request.address and "://" not in request.address:
            # Ray itself keeps trying for a minute or two.
            host, _, port = request.address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        # Ray installs its own handler of SIGTERM, which would end the command without a message.
        handler = signal.getsignal(signal.SIGTERM)
        ray.init(**options, log_to_driver=False, logging_level="error")
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise PrunebenchError(
            f"cannot reach a Ray cluster at {request.address or 'this machine'!r}: {reason}",
            "`ray start --head` makes one; its address is HOST:6379, or auto on one of its nodes",
        ) from error
    return ray


def capacity(request: Request) -> int:
    """How many jobs all nodes together have room for."""
    total = connect(request).cluster_resources()
    number = int(total.get("CPU", 0) // (request.cpus or 1))
    if request.gpus:
        number = min(number, int(total.get("GPU", 0) / request.gpus))
    if not number:
        has = ", ".join(f"{total.get(name, 0):g} {name}s" for name in ("CPU", "GPU"))
        raise PrunebenchError("the Ray cluster has no room for a job", f"it has {has}; see --cpus-per-job")
    return number


class RayExecutor(Executor):
    """Submits calls as Ray tasks of so many CPUs and GPUs each.

    A job that reads weights which another has stored goes to the node of that one, where its files still lie,
    as long as that has room.
    """

    def __init__(self, request: Request) -> None:
        self._ray = connect(request)
        cpus = request.cpus or 1
        self._threads = cpus
        share = {"num_cpus": cpus, "num_gpus": request.gpus or 0}
        # max_calls: or else Ray starts a new process for each job that has a GPU.
        retries = {"max_retries": ATTEMPTS - 1, "retry_exceptions": False, "max_calls": 0}
        self._task = self._ray.remote(**share, **retries)(_call)
        self._running: set[Any] = set()
        self._nodes: dict[WeightsRef, str] = {}
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        job = JobSpec.model_validate(args[0]) if args and isinstance(args[0], dict) else None
        task = self._near(self._nodes.get(job.reads[0]) if job and job.reads else None)
        reference = task.remote(self._threads, fn, args, kwargs)
        future: Future[Any] = Future()
        with self._lock:
            self._running.add(reference)

        def finish(result: Future[Any]) -> None:
            with self._lock:
                self._running.discard(reference)
            error = result.exception()
            if error is not None:
                future.set_exception(_plain(error))
                return
            node, value = result.result()
            self._nodes.update(dict.fromkeys(job.weights if job else (), node))
            future.set_result(value)

        reference.future().add_done_callback(finish)
        return future

    def _near(self, node: str | None) -> Any:
        """The task, placed on that node if it has room."""
        if node is None:
            return self._task
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as At

        return self._task.options(scheduling_strategy=At(node, soft=True, _spill_on_unavailable=True))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            with self._lock:
                running = list(self._running)
            for reference in running:
                self._ray.cancel(reference, force=True)
        self.shutdown()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._ray.shutdown()


def _call(threads: int, fn: Callable[..., Any], args: Any, kwargs: Any) -> tuple[str, Any]:
    """What runs on a node: which one it is, and what `fn` gives."""
    import ray
    import torch

    torch.set_num_threads(threads)
    try:
        return ray.get_runtime_context().get_node_id(), fn(*args, **kwargs)
    except Exception as error:
        if is_fatal_gpu_error(error):
            # Ray would give this process the next job, and it would fail as well.
            traceback.print_exc()
            os._exit(1)
        raise


def _plain(error: BaseException) -> BaseException:
    """The error that a task raised, as it was there; else that Ray has given up on it."""
    from ray.exceptions import RayError, RayTaskError

    if isinstance(error, RayTaskError):
        cause: BaseException = error.cause
        if isinstance(cause, BaseException):
            cause.__cause__ = RemoteTraceback(str(error))
            return cause
    if isinstance(error, RayError):
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return WorkersDied(reason)
    return error
