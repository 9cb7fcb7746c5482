"""Run the jobs of a plan on an executor: each once, after those that it needs.

Failures are isolated. A branch that fails takes along only what starts from it; a job whose worker dies runs again, and
at its last attempt in parts, so that one strategy's scores cannot cost others the training that they share. Concurrent
runs on one store skip each other's active jobs.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from prunebench.errors import PrunebenchError
from prunebench.execution.clock import Clock, Estimate, Pace
from prunebench.execution.executors.base import ATTEMPTS, WorkersDied
from prunebench.execution.same_store import confirm_store, same_store
from prunebench.execution.watch import watched
from prunebench.hooks.files import sibling_texts
from prunebench.planning.failures import Failure
from prunebench.planning.graph import Node
from prunebench.planning.job_spec import JobSpec, PluginFile
from prunebench.planning.jobs import RESULTS, Job, describe, split, stagger
from prunebench.runtime import progress
from prunebench.runtime.memory import without_collection
from prunebench.store.claims import POLL, RunClaims
from prunebench.store.schema import Experiment, Location
from prunebench.store.store import InputMissing, Store, StoreError


class Display(Protocol):
    """Shows how far a run is."""

    def started(self, job: Job) -> None: ...
    def update(self, progress: progress.Progress) -> None: ...
    def finished(self, job: Job, seconds: float, left: Estimate | None, failure: str) -> None: ...
    def died(self, job: Job, reason: str) -> None: ...
    def waiting(self, job: Job) -> None: ...


@dataclass
class Report:
    """What a run did. `replan`: something that a job starts from was gone, so that the rest must be planned anew."""

    done: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    skipped: int = 0
    replan: bool = False
    unexpected: Exception | None = None

    def after(self, earlier: Report) -> Report:
        """The report of both runs, where this one went on with what had to be planned anew."""
        return Report(
            earlier.done + self.done,
            earlier.failures | self.failures,
            earlier.skipped + self.skipped,
            self.replan,
            earlier.unexpected or self.unexpected,
        )


def work(job: dict[str, Any], store: str) -> list[Failure]:
    """What an executor calls. A process that only hands out jobs never imports what they compute with."""
    with without_collection():
        from prunebench.execution import worker

    return worker.run(job, store)


@dataclass(frozen=True)
class Dispatch:
    """How jobs are handed out: where model and data lie, plugin files, jobs at a time, minutes between checkpoints.

    `locate` says where the model and the data of an experiment lie.
    `strategy_timeout` is the limit of one call of a strategy in seconds, `job_minutes` that of a job, and `plan` the
    commitment of the plan.
    `recorded_seconds` are those of a training in earlier runs, by pace, and `guess` gives them where there are none.
    """

    locate: Callable[[Experiment], Location]
    plugins: tuple[str, ...] = ()
    slots: int = 1
    checkpoint_minutes: float | None = None
    strategy_timeout: float | None = None
    job_minutes: float | None = None
    plan: str = ""
    recorded_seconds: Mapping[Pace, float] = field(default_factory=dict)
    guess: Callable[[Experiment], float] | None = None

    def spec(self, job: Job, plugins: Sequence[PluginFile]) -> JobSpec:
        """All that a worker needs for the job."""
        limits = self.checkpoint_minutes, self.strategy_timeout, self.job_minutes
        return job.to_spec(self.locate(job.anchor.experiment), plugins, *limits, self.plan)


def run(jobs: list[Job], executor: Executor, store: Store, display: Display, dispatch: Dispatch) -> Report:
    """Run `jobs`; a job that fails costs itself and those that start from it.

    Raises StoreError where the store cannot be written, since then no job can go on.
    """
    plugins = [
        PluginFile(path=path, text=Path(path).read_text(encoding="utf-8"), siblings=sibling_texts(Path(path)))
        for path in dispatch.plugins
    ]
    running: dict[Future[Any], tuple[Job, float]] = {}
    store = same_store(store)
    with progress.temporary_listener(display.update), store.claims() as claims:
        clock = Clock(jobs, dispatch.recorded_seconds, dispatch.slots, dispatch.guess)
        queue = _Queue(stagger(jobs, claims.earlier_runs, claims.runs), store, display, clock, claims)
        with watched(display.update, lambda: queue.waiting) as watch:
            while queue.waiting or running:
                while len(running) < dispatch.slots and (job := queue.next_ready(_keys(running))):
                    display.started(job)
                    watch.start(job)
                    clock.start(job)
                    spec = dispatch.spec(job, plugins)
                    running[_submit(executor, spec.model_dump(mode="json"), store.name)] = job, time.perf_counter()
                claims.hold(_keys(running))
                if queue.held_elsewhere:
                    watch.start(queue.held_elsewhere, "another run on this store")
                if not running and queue.waiting:
                    claims.pause(POLL)
                # A store that goes away is noticed while jobs run, too.
                done = wait(running, POLL, FIRST_COMPLETED).done
                confirm_store(store, [describe(job.nodes[0]) for job, _ in running.values()])
                for future in done:
                    job, started = running.pop(future)
                    watch.finish(job)
                    if not queue.retry(job, future):
                        queue.finish_job(job, future, time.perf_counter() - started)
                    if queue.fatal is not None:
                        raise queue.fatal
    return queue.report


def _keys(running: Mapping[Future[Any], tuple[Job, float]]) -> set[str]:
    """The keys of the running jobs, by which other runs know them."""
    return {job.key for job, _ in running.values()}


def _submit(executor: Executor, job: dict[str, Any], store: str) -> Future[Any]:
    try:
        return executor.submit(work, job, store)
    except BrokenExecutor as error:
        raise PrunebenchError(f"the executor takes no more jobs: {error}", "the same command goes on") from error


class _Queue:
    """Which jobs wait, which are finished, and which stored weights are still to be read.

    `held_elsewhere` is the first waiting job that another run holds, if there is one.
    """

    def __init__(self, jobs: list[Job], store: Store, display: Display, clock: Clock, claims: RunClaims) -> None:
        self.claims = claims
        self.held_elsewhere: Job | None = None
        self.seen_elsewhere: set[str] = set()
        self.waiting = list(jobs)
        self.finished: set[Job] = set()
        self.store = store
        self.display = display
        self.clock = clock
        self.readers = Counter(weights for job in jobs for weights in job.reads)
        self.deaths: Counter[Job] = Counter()
        self.fatal: StoreError | None = None
        self.report = Report()

    def next_ready(self, running: set[str]) -> Job | None:
        """Take a job whose needs are met out of those that wait, and drop jobs that another run has done meanwhile.

        Jobs that other runs hold stay in the queue; the display is told of the first.
        """
        elsewhere = set(self.claims.elsewhere())
        while free := next((job for job in self.ready if job.key not in elsewhere), None):
            if not self.is_needed(free):
                self.waiting.remove(free)
                self.finished.add(free)
                self.close_job(free, None, "already done")
            elif free.key in self.seen_elsewhere and (failure := self.store.failure(free.key)):
                self.waiting.remove(free)
                self.finish_job(free, failed_future(PrunebenchError(failure.reason)), 0.0)
            elif self.claims.claim(free.key, running):
                # Another run may have held and finished it since `elsewhere` was read.
                if self.is_needed(free):
                    self.waiting.remove(free)
                    return free
            else:
                elsewhere.add(free.key)
        first = next(self.ready, None)
        if first and not self.held_elsewhere:
            self.display.waiting(first)
        self.held_elsewhere = first
        self.seen_elsewhere |= elsewhere
        return None

    @property
    def ready(self) -> Iterator[Job]:
        return (job for job in self.waiting if job.needs <= self.finished)

    def is_needed(self, job: Job) -> bool:
        """Whether the store lacks a result of `job`, or weights of it for a job that is needed."""
        return job.missing(self.store, RESULTS) or (
            job.missing(self.store, ("weights",))
            and any(self.is_needed(other) for other in self.waiting if other.reads & job.weights)
        )

    def retry(self, job: Job, future: Future[Any]) -> bool:
        """Put a job back whose worker has died; True if so.

        The last attempt runs in parts: what kills the worker may be one strategy's scores, while the training before
        them is shared by all.
        """
        error = future.exception()
        if not isinstance(error, BrokenExecutor):
            return False
        retried_by_executor = isinstance(error, WorkersDied)
        self.deaths[job] = max(self.deaths[job] + 1, ATTEMPTS - 1 if retried_by_executor else 0)
        if self.deaths[job] == ATTEMPTS or (retried_by_executor and len(job.nodes) == 1):
            return False
        parts = self.split(job) if self.deaths[job] == ATTEMPTS - 1 else [job]
        self.waiting[:0] = parts
        self.clock.requeue(job, parts)
        self.display.died(job, str(error))
        return True

    def split(self, job: Job) -> list[Job]:
        """The parts of a job, which replace it among the needs and the readers."""
        parts = split(job)
        for other in self.waiting:
            if job in other.needs:
                other.needs = other.needs - {job} | set(parts)
        self.readers.update(weights for part in parts for weights in part.reads)
        self.readers.subtract(job.reads)
        self.deaths.update(dict.fromkeys(parts, self.deaths[job]))
        return parts

    def finish_job(self, job: Job, future: Future[Any], seconds: float) -> None:
        """Record the outcome of a finished job, and give up the jobs that start from what failed in it."""
        failures = self.failures_of(future, job)
        self.finished.add(job)
        self.close_job(
            job, seconds, "; ".join(f"{describe(_at(job, failure))}: {failure.reason}" for failure in failures)
        )
        for failure in failures:
            nodes = [node for node in job.nodes if failure.key in (job.key, *(step.key for step in node.path()))]
            failed = {node.key for node in nodes}
            lost = [job for job in self.waiting if not failed.isdisjoint(node.key for node in job.anchor.lineage())]
            self.waiting = [other for other in self.waiting if other not in lost]
            for other in lost:
                self.close_job(other, None, f"not run: {failure.reason}")
            if self.report.replan:
                continue
            self.report.skipped += len(lost)
            self.report.failures[describe(_at(job, failure))] = failure.reason
            self.store_failures(failure, nodes, lost)

    def store_failures(self, failure: Failure, nodes: list[Node], lost: list[Job]) -> None:
        """Store the reason for each node that has no result because of it."""
        keys = [node.key for node in nodes if node.phase is not None or node.scored]
        keys += [key for other in lost for key in other.records]
        stored = self.store.failures(keys)
        for key in keys:
            if key not in stored and not self.store.has("records", key):
                with contextlib.suppress(StoreError):  # the disk is full: the job that reported it ends the run
                    self.store.add_failure(key, failure.reason, failure.details)

    def close_job(self, job: Job, seconds: float | None, reason: str) -> None:
        """Discard the weights that `job` was the last to read, and tell the clock and the display that it is over."""
        self.readers.subtract(job.reads)
        for weights in job.reads:
            if not self.readers[weights]:
                self.store.discard_weights(weights)
        # A run that was killed may have left weights for parts of the job. Those of another run are not ours to remove.
        own = job.after_training
        if job.trains and seconds is not None and not self.readers[own]:
            self.store.discard_weights(own)
        self.display.finished(job, seconds or 0.0, self.clock.finish(job, None if reason else seconds), reason)

    def failures_of(self, future: Future[Any], job: Job) -> list[Failure]:
        """What failed of a finished job: nothing, branches of it, or all."""
        error = future.exception()
        if error is None:
            self.report.done += 1
            failures: list[Failure] = future.result()
            return failures
        if isinstance(error, BrokenExecutor):
            error = PrunebenchError(f"its worker died {ATTEMPTS} times: {error}", getattr(error, "hint", ""))
        if not isinstance(error, PrunebenchError) and isinstance(error, Exception):
            self.report.unexpected = self.report.unexpected or error
        if isinstance(error, StoreError):
            self.fatal = error
        self.report.replan |= isinstance(error, InputMissing)
        return [Failure.of(node.key, error) for node in job.first]


def failed_future(error: Exception) -> Future[Any]:
    """A future that raises `error`."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _at(job: Job, failure: Failure) -> Node:
    return next(node for node in job.nodes if node.key == failure.key)
