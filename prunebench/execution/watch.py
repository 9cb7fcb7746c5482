"""Which running jobs show no sign of life: a job that hangs is named, and how many others wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prunebench.planning.jobs import Job, describe
from prunebench.runtime.progress import Progress, duration, plural, temporary_listener

# Seconds without a sign of life until a job is named for the first time, and between two looks.
FIRST_REPORT, LOOK = 300.0, 1.0


@dataclass
class _Sign:
    """The last sign of life of a job: what it was at, since when, and the seconds until it is named."""

    job: Job
    stage: str
    since: float
    report_at: float


class Watch:
    """The jobs that run, or that another run holds. Each is named after 5, 10, 20, … minutes without a sign of life."""

    def __init__(self, waiting: Callable[[], Collection[Job]]) -> None:
        self._waiting = waiting
        self._signs: dict[str, _Sign] = {}

    def start(self, job: Job, stage: str = "its start") -> None:
        sign = self._signs.get(job.nodes[0].key)
        if sign is None or sign.stage != stage:
            self._signs[job.nodes[0].key] = _Sign(job, stage, time.monotonic(), FIRST_REPORT)

    def update(self, report: Progress) -> None:
        sign = self._signs.get(report.job)
        if sign is not None and not report.text:
            sign.since, sign.report_at = time.monotonic(), FIRST_REPORT
            if report.stage:
                sign.stage = report.stage
            elif report.steps and not report.score:
                sign.stage = f"{sign.stage.partition(', step ')[0]}, step {report.step} of {report.steps}"

    def finish(self, job: Job) -> None:
        self._signs.pop(job.nodes[0].key, None)

    def lines(self) -> Iterator[str]:
        """A line for each job that is due to be named."""
        for sign in list(self._signs.values()):
            seconds = time.monotonic() - sign.since
            if seconds >= sign.report_at:
                sign.report_at *= 2
                number = len(dependents(sign.job, self._waiting()))
                wait = f"; {plural(number, 'job')} {'waits' if number == 1 else 'wait'} for it" if number else ""
                yield f"{describe(sign.job.nodes[0])}: still at {sign.stage} for {duration(seconds)}{wait}"


def dependents(job: Job, waiting: Collection[Job]) -> set[Job]:
    """The jobs among those waiting that need `job`, directly or through each other."""
    reached = {job}
    while new := {other for other in waiting if other not in reached and not reached.isdisjoint(other.needs)}:
        reached |= new
    return reached - {job}


@contextmanager
def watched(say: Callable[[Progress], None], waiting: Callable[[], Collection[Job]]) -> Iterator[Watch]:
    """A watch whose lines are reported until the block ends, from a thread of its own."""
    watch, over = Watch(waiting), threading.Event()

    def look() -> None:
        while not over.wait(LOOK):
            for line in watch.lines():
                say(Progress(0, 0, 0.0, text=line))

    threading.Thread(target=look, name="prunebench watch", daemon=True).start()
    try:
        with temporary_listener(watch.update):
            yield watch
    finally:
        over.set()
