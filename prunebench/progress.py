"""What is going on, told to whoever listens in this process. Imports nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A moment in a training: `step` of `steps` is over and `loss` was the mean since the last report."""

    step: int
    steps: int
    loss: float


_listeners: list[Callable[[Progress], None]] = []


def emit(progress: Progress) -> None:
    for listener in _listeners:
        listener(progress)


@contextmanager
def listening(listener: Callable[[Progress], None]) -> Iterator[None]:
    """Call `listener` with every report until the block ends."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
