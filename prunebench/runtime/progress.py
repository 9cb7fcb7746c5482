"""Progress reports: a training emits them, and every listener of its process receives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """A report from a training: it has done `step` of `steps` steps, with the mean `loss` since the last report.

    `job` is the key of the job that trains. `score` is set after an evaluation: `accuracy 93.2`. `text` is set instead
    where the code of a plugin says something: `mine: 3 layers`. `stage` is set where the job begins something else:
    `Prune(0.5) of mine`.
    """

    step: int
    steps: int
    loss: float
    job: str = ""
    score: str = ""
    text: str = ""
    stage: str = ""


_stage = ""
_listeners: list[Callable[[Progress], None]] = []
_jobs: list[str] = []


def emit(progress: Progress) -> None:
    """Send a report to all listeners, with the key of the current job unless it names one."""
    if _jobs and not progress.job:
        progress = replace(progress, job=_jobs[-1])
    for listener in _listeners:
        listener(progress)


def has_listeners() -> bool:
    """Whether anything in this process receives reports."""
    return bool(_listeners)


def add_listener(listener: Callable[[Progress], None]) -> None:
    """Call `listener` with every report until this process ends."""
    _listeners.append(listener)


@contextmanager
def temporary_listener(listener: Callable[[Progress], None]) -> Iterator[None]:
    """Call `listener` with every report until the block ends."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def job_scope(job: str) -> Iterator[None]:
    """Make `job` the current job until the block ends."""
    global _stage
    _jobs.append(job)
    try:
        yield
    finally:
        _jobs.pop()
        _stage = ""


def enter_stage(stage: str) -> None:
    """Report what the current job begins now, in a few words: `Prune(0.5) of mine`."""
    global _stage
    _stage = stage
    emit(Progress(0, 0, 0.0, stage=stage))


def current_stage() -> str:
    """What the current job began last, or "" if it has not said so."""
    return _stage


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 07 min`."""
    minutes, rest = divmod(max(1, round(seconds)), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def plural(number: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
