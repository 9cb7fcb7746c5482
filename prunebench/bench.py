"""Walk a plan with an executor and a store: every job once, after those that it needs."""

from __future__ import annotations

import statistics
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from prunebench import progress, worker
from prunebench.errors import PrunebenchError
from prunebench.jobs import Job, describe
from prunebench.store import Store, StoreError
from prunebench.worker import Failure


class Display(Protocol):
    """Whoever shows how far a run is."""

    def started(self, job: Job) -> None: ...
    def moment(self, moment: progress.Progress) -> None: ...
    def finished(self, job: Job, seconds: float, left: float | None, failure: str) -> None: ...


@dataclass
class Report:
    """What a run did."""

    done: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    skipped: int = 0
    unexpected: Exception | None = None


def run(
    jobs: list[Job], executor: Executor, store: Store, plugins: tuple[str, ...], display: Display, slots: int = 1
) -> Report:
    """Run `jobs`, at most `slots` at a time; a job that fails costs itself and those that need it.

    Raises StoreError where the store cannot be written, since then no job can go on.
    """
    report = Report()
    clock = Clock(jobs, expected_seconds(store), slots)
    readers = Counter(job.reads for job in jobs if job.reads)
    waiting = list(jobs)
    finished: set[Job] = set()
    running: dict[Future[Any], tuple[Job, float]] = {}
    with progress.listening(display.moment):
        while waiting or running:
            while len(running) < slots and (ready := next((job for job in waiting if job.needs <= finished), None)):
                waiting.remove(ready)
                display.started(ready)
                started = time.perf_counter()
                running[executor.submit(worker.run, ready.to_json(plugins), str(store.folder))] = ready, started
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, started = running.pop(future)
                failures = _outcome(future, job, report)
                finished.add(job)
                for failure in failures:
                    report.failures[_where(job, failure)] = failure.reason
                    report.skipped += _give_up(job, failure, waiting, store)
                readers[job.reads] -= 1
                if job.reads and not readers[job.reads]:
                    store.discard_weights(job.reads)
                seconds = time.perf_counter() - started
                reason = "; ".join(failure.reason for failure in failures)
                display.finished(job, seconds, clock.left(job, seconds), reason)
    return report


def _give_up(job: Job, failure: Failure, waiting: list[Job], store: Store) -> int:
    """Book the failure of a branch, and take every job that hangs on it out of `waiting`; the number of those."""
    for node in job.nodes:
        if failure.key in {step.key for step in node.path()}:
            _book(store, node.key, failure.reason, failure.details)
    lost = [other for other in waiting if failure.key in {node.key for node in other.anchor.path()}]
    for other in lost:
        waiting.remove(other)
        for key in other.records:
            _book(store, key, "a training that it starts from has failed", "")
    return len(lost)


def _book(store: Store, key: str, reason: str, details: str) -> None:
    if not store.has("records", key):
        store.add_failure(key, reason, details)


def _where(job: Job, failure: Failure) -> str:
    return describe(next(node for node in job.nodes if node.key == failure.key))


def _outcome(future: Future[Any], job: Job, report: Report) -> list[Failure]:
    """What failed of a job that is over: nothing, branches of it, or all."""
    error = future.exception()
    if error is None:
        report.done += 1
        failures: list[Failure] = future.result()
        return failures
    if isinstance(error, BrokenExecutor):
        raise PrunebenchError(
            "a worker process has died: killed, or out of memory", "the same command goes on; fewer --jobs need less"
        ) from error
    if isinstance(error, StoreError):
        raise error
    known = isinstance(error, PrunebenchError)
    if not known and isinstance(error, Exception):
        report.unexpected = report.unexpected or error
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    return [Failure(job.anchor.key, reason, "".join(traceback.format_exception(error)))]


def expected_seconds(store: Store) -> dict[str, float]:
    """The median seconds of one training with its evaluation, by task and protocol, from the store's records."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for record in store.records():
        if record["steps"]:
            seconds[_pace(record["root"])].append(sum(record["seconds"].values()))
    return {pace: statistics.median(values) for pace, values in seconds.items()}


def _pace(root: Mapping[str, Any]) -> str:
    return " ".join(str(root[name]) for name in ("task", "protocol_label", "precision", "device"))


def pace(job: Job) -> str:
    root = job.anchor.root
    return _pace({name: getattr(root, name) for name in ("task", "protocol_label", "precision", "device")})


class Clock:
    """How long the rest will take, from the trainings of this run and of earlier ones."""

    def __init__(self, jobs: list[Job], earlier: Mapping[str, float], slots: int = 1) -> None:
        self.slots = slots
        self.seen: dict[str, list[float]] = defaultdict(list)
        self.earlier = earlier
        self.todo = Counter(pace(job) for job in jobs if job.trains)

    def left(self, job: Job, seconds: float) -> float | None:
        """Seconds left after `job`, or None while some task has never been trained."""
        if job.trains:
            self.seen[pace(job)].append(seconds)
            self.todo[pace(job)] -= 1
        return self.total()

    def total(self) -> float | None:
        total = 0.0
        for name, number in self.todo.items():
            if number and not self.seen[name] and name not in self.earlier:
                return None
            if number:
                each = statistics.median(self.seen[name]) if self.seen[name] else self.earlier[name]
                total += number * each / self.slots
        return total
