"""What is going on, told to whoever listens in this process. Imports nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """A moment in a training: `step` of `steps` is over and `loss` was the mean since the last report.

    `job` is the key of the job that trains. `score` is set when a model has been scored: `accuracy 93.2`.
    """

    step: int
    steps: int
    loss: float
    job: str = ""
    score: str = ""


_listeners: list[Callable[[Progress], None]] = []
_jobs: list[str] = []


def emit(progress: Progress) -> None:
    """Tell all listeners; what comes from the job at work here bears its key."""
    if _jobs and not progress.job:
        progress = replace(progress, job=_jobs[-1])
    for listener in _listeners:
        listener(progress)


def listen(listener: Callable[[Progress], None]) -> None:
    """Call `listener` with every report for as long as this process lives."""
    _listeners.append(listener)


@contextmanager
def listening(listener: Callable[[Progress], None]) -> Iterator[None]:
    """Call `listener` with every report until the block ends."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def working_on(job: str) -> Iterator[None]:
    """Reports in this block come from `job`."""
    _jobs.append(job)
    try:
        yield
    finally:
        _jobs.pop()


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 07 min`."""
    minutes, rest = divmod(max(1, round(seconds)), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def many(number: int, what: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
