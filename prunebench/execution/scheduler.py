"""Walk a plan with an executor and a store: every job once, after those that it needs. Imports no torch by itself."""

from __future__ import annotations

import contextlib
import statistics
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from prunebench.errors import PrunebenchError
from prunebench.execution.executors.base import ATTEMPTS, WorkersDied
from prunebench.planning.graph import Node
from prunebench.planning.jobs import RESULTS, Failure, Job, begun_elsewhere, describe, pieces
from prunebench.runtime import progress
from prunebench.runtime.memory import without_collection
from prunebench.store.claims import POLL, Presence
from prunebench.store.serialization import SECONDS
from prunebench.store.store import InputMissing, Store, StoreError


class Display(Protocol):
    """Whoever shows how far a run is."""

    def started(self, job: Job) -> None: ...
    def moment(self, moment: progress.Progress) -> None: ...
    def finished(self, job: Job, seconds: float, left: float | None, failure: str) -> None: ...
    def died(self, job: Job, reason: str) -> None: ...
    def held_up(self, job: Job) -> None: ...


@dataclass
class Report:
    """What a run did. `again` says that something which a job starts from was gone, and has to be planned anew."""

    done: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    skipped: int = 0
    again: bool = False
    unexpected: Exception | None = None

    def after(self, earlier: Report) -> Report:
        """The report of both runs, of which this one went on where the earlier one had to be planned anew."""
        return Report(
            earlier.done + self.done,
            earlier.failures | self.failures,
            earlier.skipped + self.skipped,
            self.again,
            earlier.unexpected or self.unexpected,
        )


def work(job: dict[str, Any], store: str) -> list[Failure]:
    """What an executor calls. Whoever only hands out jobs never loads what they compute with."""
    with without_collection():
        from prunebench.execution import worker

    return worker.run(job, store)


def run(
    jobs: list[Job],
    executor: Executor,
    store: Store,
    plugins: tuple[str, ...],
    display: Display,
    slots: int = 1,
    checkpoint_minutes: float | None = None,
) -> Report:
    """Run `jobs`, at most `slots` at a time; a job that fails costs itself and those that start from it.

    A job whose worker dies is run again, up to ATTEMPTS times, the last time in pieces. One that another run on the
    store is at is left to it. Raises StoreError where the store cannot be written, since then no job can go on.
    """
    files = [(path, Path(path).read_text(encoding="utf-8")) for path in plugins]
    running: dict[Future[Any], tuple[Job, float]] = {}
    with progress.listening(display.moment), store.announced() as here:
        at_work = _Run(begun_elsewhere(jobs, here.before, here.runs), store, display, slots, here)
        while at_work.waiting or running:
            while len(running) < slots and (job := at_work.next_ready(keys(running))):
                display.started(job)
                future = _submit(executor, job.to_json(files, checkpoint_minutes), store.name)
                running[future] = job, time.perf_counter()
            here.claims(keys(running))
            if not running and at_work.waiting:
                here.pause(POLL)
            for future in wait(running, POLL if at_work.held_up else None, FIRST_COMPLETED).done:
                job, started = running.pop(future)
                if not at_work.again(job, future):
                    at_work.settle(job, future, time.perf_counter() - started)
                if at_work.fatal is not None:
                    raise at_work.fatal
    return at_work.report


def keys(running: Mapping[Future[Any], tuple[Job, float]]) -> set[str]:
    """The keys of the jobs that run, by which other runs know them."""
    return {job.anchor.key for job, _ in running.values()}


def _submit(executor: Executor, job: dict[str, Any], store: str) -> Future[Any]:
    try:
        return executor.submit(work, job, store)
    except BrokenExecutor as error:
        raise PrunebenchError(f"the executor takes no more jobs: {error}", "the same command goes on") from error


class _Run:
    """Which jobs wait, which are over, and who still reads which stored weights."""

    def __init__(self, jobs: list[Job], store: Store, display: Display, slots: int, here: Presence) -> None:
        self.here = here
        self.held_up = False
        self.elsewhere: set[str] = set()
        self.waiting = list(jobs)
        self.finished: set[Job] = set()
        self.store = store
        self.display = display
        self.clock = Clock(jobs, expected_seconds(store), slots)
        self.readers = Counter(job.reads for job in jobs if job.reads)
        self.deaths: Counter[Job] = Counter()
        self.fatal: StoreError | None = None
        self.report = Report()

    def next_ready(self, at_hand: set[str]) -> Job | None:
        """Take a job whose needs are met out of those that wait, and drop what another run has done meanwhile.

        What another run is at waits on: `held_up` says that there is such a job, and the display is told of the first.
        """
        taken = set(self.here.taken())
        while free := next((job for job in self.ready if job.anchor.key not in taken), None):
            if not self.is_wanted(free):
                self.waiting.remove(free)
                self.finished.add(free)
                self.leave(free, None, "already done")
            elif free.anchor.key in self.elsewhere and (failure := self.store.failure(free.anchor.key)):
                self.waiting.remove(free)
                self.settle(free, failed(PrunebenchError(failure["reason"])), 0.0)
            elif self.here.claim(free.anchor.key, at_hand):
                # Another run may have been at it, and done, since `taken` was read.
                if self.is_wanted(free):
                    self.waiting.remove(free)
                    return free
            else:
                taken.add(free.anchor.key)
        first = next(self.ready, None)
        if first and not self.held_up:
            self.display.held_up(first)
        self.held_up = first is not None
        self.elsewhere |= taken
        return None

    @property
    def ready(self) -> Iterator[Job]:
        return (job for job in self.waiting if job.needs <= self.finished)

    def is_wanted(self, job: Job) -> bool:
        """Whether the store lacks a result of `job`, or weights of it for one that is wanted."""
        return job.missing(self.store, RESULTS) or (
            job.missing(self.store, ("weights",))
            and any(self.is_wanted(other) for other in self.waiting if other.reads in job.weights)
        )

    def again(self, job: Job, future: Future[Any]) -> bool:
        """Put a job back whose worker has died, unless that has happened too often: in pieces for its last time.

        What kills the worker may be one strategy's scores, and the training before them is everybody's.
        """
        error = future.exception()
        if not isinstance(error, BrokenExecutor):
            return False
        in_vain = isinstance(error, WorkersDied)
        self.deaths[job] = max(self.deaths[job] + 1, ATTEMPTS - 1 if in_vain else 0)
        if self.deaths[job] == ATTEMPTS or (in_vain and len(job.nodes) == 1):
            return False
        self.waiting[:0] = self.in_pieces(job) if self.deaths[job] == ATTEMPTS - 1 else [job]
        self.display.died(job, str(error))
        return True

    def in_pieces(self, job: Job) -> list[Job]:
        """The pieces of a job, in its place for those that need it and for the weights that it reads."""
        found = pieces(job)
        for other in self.waiting:
            if job in other.needs:
                other.needs = other.needs - {job} | set(found)
        self.readers.update(piece.reads for piece in found if piece.reads)
        self.readers[job.reads] -= 1
        self.deaths.update(dict.fromkeys(found, self.deaths[job]))
        return found

    def settle(self, job: Job, future: Future[Any], seconds: float) -> None:
        """Book a job that is over, and give up what cannot be run any more because of what failed in it."""
        failures = self.outcome(future, job)
        self.finished.add(job)
        self.leave(job, seconds, "; ".join(f"{describe(_at(job, failure))}: {failure.reason}" for failure in failures))
        for failure in failures:
            nodes = [node for node in job.nodes if failure.key in (job.anchor.key, *(step.key for step in node.path()))]
            gone = {node.key for node in nodes}
            lost = [other for other in self.waiting if not gone.isdisjoint(step.key for step in other.anchor.lineage())]
            self.waiting = [other for other in self.waiting if other not in lost]
            for other in lost:
                self.leave(other, None, f"not run: {failure.reason}")
            if self.report.again:
                continue
            self.report.skipped += len(lost)
            self.report.failures[describe(_at(job, failure))] = failure.reason
            made = [node.key for node in nodes if node.phase is not None or node.scored]
            made += [key for other in lost for key in other.records]
            told = self.store.failures(made)
            for key in made:
                if key not in told and not self.store.has("records", key):
                    with contextlib.suppress(StoreError):  # it is full: the job that told of it ends the run
                        self.store.add_failure(key, failure.reason, failure.details)

    def leave(self, job: Job, seconds: float | None, reason: str) -> None:
        """Throw away the weights that `job` was the last to read, and tell the display."""
        self.readers[job.reads] -= 1
        if job.reads and not self.readers[job.reads]:
            self.store.discard_weights(job.reads)
        # A run that was killed may have left its weights for pieces of it. Of what another run has done they are that
        # run's affair.
        if job.trains and seconds is not None and not self.readers[job.anchor.key]:
            self.store.discard_weights(job.anchor.key)
        self.display.finished(job, seconds or 0.0, self.clock.left(job, seconds), reason)

    def outcome(self, future: Future[Any], job: Job) -> list[Failure]:
        """What failed of a job that is over: nothing, branches of it, or all."""
        error = future.exception()
        if error is None:
            self.report.done += 1
            failures: list[Failure] = future.result()
            return failures
        if isinstance(error, BrokenExecutor):
            error = PrunebenchError(f"its worker died {ATTEMPTS} times: {error}", "fewer --jobs need less memory")
        known = isinstance(error, PrunebenchError)
        if not known and isinstance(error, Exception):
            self.report.unexpected = self.report.unexpected or error
        if isinstance(error, StoreError):
            self.fatal = error
        self.report.again |= isinstance(error, InputMissing)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        details = "".join(traceback.format_exception(error))
        return [Failure(node.key, reason, details) for node in job.first]


def failed(error: Exception) -> Future[Any]:
    """A future that raises `error`."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _at(job: Job, failure: Failure) -> Node:
    return next(node for node in job.nodes if node.key == failure.key)


def expected_seconds(store: Store) -> dict[str, float]:
    """The median seconds of one training with its evaluation, by task and protocol, from the store's records."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for record in store.records():
        if record["steps"]:
            spent = record["seconds"]
            seconds[_pace(record["root"])].append(sum(spent.get(part, 0.0) for part in SECONDS))
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

    def left(self, job: Job, seconds: float | None) -> float | None:
        """Seconds left after `job`, which took `seconds` or was given up (None).

        None while some task has never been trained.
        """
        if job.trains:
            self.todo[pace(job)] -= 1
            if seconds is not None:
                self.seen[pace(job)].append(seconds)
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
