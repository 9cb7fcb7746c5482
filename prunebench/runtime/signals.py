"""Signals that end a run, told apart from exceptions of the same kind that code raises itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def received_signals() -> Iterator[list[int]]:
    """The signals of `ENDING` that this process receives until the block ends; their handlers run as ever.

    A KeyboardInterrupt that leaves the block while the list is empty was raised by the code itself. Signals are
    handled in the main thread only, so in any other thread the list stays empty.
    """
    received: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        handlers[number](number, frame)

    try:
        for number in handlers:
            signal.signal(number, handle)
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
