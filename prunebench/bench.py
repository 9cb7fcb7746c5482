"""Walk a plan with an executor and a store: every job once, after those that it needs."""

from __future__ import annotations

import statistics
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from prunebench import progress, worker
from prunebench.errors import PrunebenchError
from prunebench.jobs import Job, describe
from prunebench.store import Store, StoreError


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


def run(jobs: list[Job], executor: Executor, store: Store, plugins: tuple[str, ...], display: Display) -> Report:
    """Run `jobs`; a job that fails costs itself and those that need it.

    Raises StoreError where the store cannot be written, since then no job can go on.
    """
    report = Report()
    clock = Clock(jobs, expected_seconds(store))
    readers = Counter(job.reads for job in jobs if job.reads)
    waiting = list(jobs)
    finished: set[Job] = set()
    running: dict[Future[Any], tuple[Job, float]] = {}
    with progress.listening(display.moment):
        while waiting or running:
            ready = next((job for job in waiting if job.needs <= finished), None)
            if ready is not None:
                waiting.remove(ready)
                display.started(ready)
                started = time.perf_counter()
                running[executor.submit(worker.run, ready.to_json(plugins), str(store.folder))] = ready, started
            # One at a time is handed in, so that an executor that runs it at once is heard of at once.
            for future in wait(running, timeout=None if ready is None else 0, return_when=FIRST_COMPLETED).done:
                job, started = running.pop(future)
                reason = _outcome(future, job, store, report)
                finished.add(job)
                if reason:
                    report.skipped += _skip(job, waiting, store)
                readers[job.reads] -= 1
                if job.reads and not readers[job.reads]:
                    store.discard_weights(job.reads)
                seconds = time.perf_counter() - started
                display.finished(job, seconds, clock.left(job, seconds), reason)
    return report


def _skip(failed: Job, waiting: list[Job], store: Store) -> int:
    """Take every job out of `waiting` that needs `failed`, directly or not; jobs stand after those that they need."""
    gone = {failed}
    for job in list(waiting):
        if job.needs & gone:
            gone.add(job)
            waiting.remove(job)
            _fail(store, job, "a training that it starts from has failed", "")
    return len(gone) - 1


def _outcome(future: Future[Any], job: Job, store: Store, report: Report) -> str:
    """Book a job that is over; the reason if it failed."""
    error = future.exception()
    if error is None:
        report.done += 1
        return ""
    if isinstance(error, StoreError):
        raise error
    known = isinstance(error, PrunebenchError)
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    if not known and isinstance(error, Exception):
        report.unexpected = report.unexpected or error
    _fail(store, job, reason, "".join(traceback.format_exception(error)))
    report.failures[describe(job.anchor)] = reason
    return reason


def _fail(store: Store, job: Job, reason: str, details: str) -> None:
    for key in job.records:
        if not store.has("records", key):
            store.add_failure(key, reason, details)


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

    def __init__(self, jobs: list[Job], earlier: Mapping[str, float]) -> None:
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
                total += number * each
        return total
