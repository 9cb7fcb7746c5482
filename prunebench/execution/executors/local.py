"""Run jobs on this machine: one after the other in this process, or side by side in worker processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import ModuleType, TracebackType
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.execution.executors.base import RemoteTraceback, Request, WorkerDied
from prunebench.execution.executors.deaths import Death, describe_death
from prunebench.hooks.plugins import error_line
from prunebench.runtime import progress
from prunebench.runtime.debugging import is_debugging
from prunebench.runtime.devices import cores, is_fatal_gpu_error, select_gpu
from prunebench.runtime.limits import set_process_end
from prunebench.runtime.memory import oom_kills, without_collection


class SerialExecutor(Executor):
    """Runs each job at once, in this process and thread; an interrupt is never caught. `cpus` are threads to use."""

    def __init__(self, cpus: int | None = None) -> None:
        self._cpus = cpus

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self._cpus:
            import torch

            torch.set_num_threads(self._cpus)
        if is_debugging():  # the first error ends the run, with its traceback
            future.set_result(fn(*args, **kwargs))
            return future
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class ProcessExecutor(ThreadPoolExecutor):
    """Spawned worker processes that share the cores of this machine and end with this process, however it ends.

    Each worker has a thread here, which sends it jobs and forwards its progress reports to the listeners. If a worker
    dies, only its current job fails, and the next job starts a new worker. (A ProcessPoolExecutor would lose all jobs.)
    """

    def __init__(self, request: Request) -> None:
        jobs = request.jobs
        # The threads block SIGINT, and the workers that they start inherit that, so Ctrl-C never reaches a worker. The
        # resource tracker must run before, because multiprocessing unblocks SIGINT when it starts it.
        resource_tracker.ensure_running()
        super().__init__(jobs, initializer=signal.pthread_sigmask, initargs=(signal.SIG_BLOCK, {signal.SIGINT}))
        self._all = [_Worker(number, request.cpus or max(1, cores() // jobs)) for number in range(jobs)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._all:
            self._idle.put(worker)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(self._hand_over, fn, args, kwargs)

    def _hand_over(self, *call: Any) -> Any:
        worker = self._idle.get()
        try:
            return worker.call(*call)
        finally:
            self._idle.put(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            for worker in self._all:
                worker.dismiss()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            for worker in self._all:
                worker.kill()
        self.shutdown(cancel_futures=kind is not None)


_main_lock = threading.Lock()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """A context in which a process starts without running the user's script again, as spawned processes otherwise do.

    A worker needs nothing of the script, and a script that calls `prunebench.run` would start workers of its own.
    """
    with _main_lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@dataclass(frozen=True)
class _Answer:
    """What a call gave. `last` says that the worker cannot go on and ends."""

    value: Any = None
    error: Exception | None = None
    details: str = ""
    last: bool = False


class _Worker:
    """A process that does one call after the other; it is started for its first one, and again once it has died."""

    def __init__(self, number: int, threads: int) -> None:
        self.number = number
        self.threads = threads
        self.process: Any = None
        self.connection: Connection | None = None
        self.lock = threading.Lock()
        self.closed = False
        self.oom_kills = 0

    def call(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What `fn` gives or raises there. Raises WorkerDied where the process ends before it has answered."""
        connection = self._connect()
        self.oom_kills = oom_kills()
        answer = None
        try:
            self._communicate(connection.send, (fn, args, kwargs))
            while not isinstance(answer := self._communicate(connection.recv), _Answer):
                progress.emit(answer)
        except WorkerDied:
            raise
        except BaseException:
            # Whatever it still says would be taken for the answer to the next call.
            self.process.kill()
            self._describe_death()
            raise
        if answer.last:
            self.process.kill()
            self._describe_death()
        if answer.error is not None:
            raise answer.error from RemoteTraceback(answer.details)
        return answer.value

    def _communicate(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Send to the process or receive from it. Raises WorkerDied where it has ended."""
        try:
            return method(*arguments)
        except (EOFError, OSError):
            death = self._describe_death()
            raise WorkerDied(death.reason, out_of_memory=death.out_of_memory, hint=death.hint) from None

    def _connect(self) -> Connection:
        """The connection to the process, which is started where there is none."""
        with self.lock:
            if self.closed:
                raise WorkerDied("it was told to end")
            if self.connection is None:
                context = _context()
                self.connection, worker_end = context.Pipe()
                arguments = worker_end, self.number, self.threads, dict(os.environ)
                self.process = context.Process(target=_serve, args=arguments)
                with _without_main():
                    self.process.start()
                worker_end.close()
            return self.connection

    def _describe_death(self) -> Death:
        """Forget the process that has ended, and say how it did."""
        with self.lock:
            self.process.join()
            code = self.process.exitcode
            if self.connection is not None:
                self.connection.close()
                self.connection = None
        return describe_death(code, oom_kills() > self.oom_kills)

    def kill(self) -> None:
        with self.lock:
            self.closed = True
            if self.process is not None:
                self.process.kill()

    def dismiss(self) -> None:
        """Let the process end once it has no more to do."""
        with self.lock:
            self.closed = True
            if self.connection is not None:
                self.connection.close()
        if self.process is not None:
            self.process.join()


def _context() -> Any:
    """How worker processes start: as copies of one process that has imported what they need, where that is safe.

    An import of torch and transformers takes 2.5 s and 300 MB, which the copies share. The process that is copied has
    never computed anything: no thread of it and no GPU is in use.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["prunebench.execution.preload"])
    return context


def _serve(connection: Connection, number: int, threads: int, environment: Mapping[str, str]) -> None:
    """What a worker process does: listen, call, answer, until the other end is closed."""
    # The process that it is a copy of may have started when the environment was another one.
    os.environ.clear()
    os.environ.update(environment)
    # Ctrl-C reaches the whole group of processes; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with without_collection():
        import torch

    torch.set_num_threads(threads)
    select_gpu(number)
    sending = threading.Lock()

    def send(message: progress.Progress | _Answer) -> None:
        # Reports come from several threads.
        with sending:
            connection.send(message)

    def end(error: PrunebenchError, is_final: bool) -> None:
        # A call that ends its worker costs the job another attempt, in parts; a job at its limit has had its time.
        send(_Answer(error=error if is_final else WorkerDied(str(error)), last=True))
        os._exit(1)

    progress.add_listener(send)
    set_process_end(end)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            fn, args, kwargs = connection.recv()
            send(_answer(fn, args, kwargs))
    # An ordinary exit takes a second to unload torch and other libraries, and the run would wait for it.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError):  # None where it is closed; its disk may be full
            stream.flush()
    os._exit(0)


def _answer(fn: Callable[..., Any], args: Any, kwargs: Any) -> _Answer:
    try:
        return _Answer(fn(*args, **kwargs))
    except Exception as error:
        details = "".join(traceback.format_exception(error))
        lost = is_fatal_gpu_error(error)
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(error_line(error))
        return _Answer(error=error, details=details, last=lost)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
