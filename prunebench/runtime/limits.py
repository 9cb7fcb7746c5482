"""How long single calls of a plugin's code take: a limit that ends them, and a report on those that take long.

In the main thread, a timer raises an exception in the code, at the next bytecode that Python runs. A call into C or
torch ends first. A worker process whose call goes on for twice the limit ends itself, as nothing else ends such a call.
In other threads, where no timer can raise anything, the limit is checked after the call.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from prunebench.errors import PrunebenchError
from prunebench.runtime import progress

# Seconds: until a call is reported for the first time, between two looks at calls, and until a call that ignores the
# exception gets it again.
FIRST_REPORT, LOOK, AGAIN = 30.0, 0.5, 1.0


class _Expired(BaseException):
    """Raised in a call that has reached its limit. It is no Exception, so that `except Exception` lets it pass."""


@dataclass(eq=False)
class _Call:
    """A running call: who runs, since when (`time.monotonic`), its limit in seconds, and when it is reported next."""

    who: str
    start: float
    limit: float
    report_at: float
    expired: bool = False
    over: bool = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    @property
    def error(self) -> PrunebenchError:
        return PrunebenchError(f"{self.who} took longer than {self.limit:g} s in one call", "see --strategy-timeout")


_calls: set[_Call] = set()
_limit = math.inf
_watcher: threading.Thread | None = None
_end_process: Callable[[PrunebenchError], None] | None = None


@contextmanager
def call_limit(seconds: float | None) -> Iterator[None]:
    """Limit every call in the block to that many seconds; None is no limit."""
    global _limit
    before, _limit = _limit, seconds or math.inf
    try:
        yield
    finally:
        _limit = before


def set_process_end(end: Callable[[PrunebenchError], None]) -> None:
    """Call `end` in this process when a call goes on for twice its limit. It gets the error that the call should have.

    It is called in another thread, and ends the process.
    """
    global _end_process
    _end_process = end


@contextmanager
def watched_call(who: str) -> Iterator[None]:
    """A context for one call of the code of `who`, which is reported when it takes long.

    Raises PrunebenchError when it takes longer than the limit.
    """
    call = _Call(who, time.monotonic(), _limit, FIRST_REPORT)
    _start_watcher()
    _calls.add(call)
    try:
        with _timer(call):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if call.expired:
            raise call.error from error
        raise
    finally:
        _calls.discard(call)
    if call.seconds > call.limit:
        raise call.error


@contextmanager
def _timer(call: _Call) -> Iterator[None]:
    """Raise _Expired in the block once the limit is reached, if this is the main thread."""
    if math.isinf(call.limit) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(number: int, frame: FrameType | None) -> None:
        if call.over:
            return
        if _is_reporting(frame):
            signal.setitimer(signal.ITIMER_REAL, 0.01, AGAIN)
            return
        call.expired = True
        raise _Expired

    handler = signal.signal(signal.SIGALRM, expire)
    before = signal.setitimer(signal.ITIMER_REAL, call.limit, AGAIN)
    try:
        yield
    finally:
        call.over = True
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)


def _is_reporting(frame: FrameType | None) -> bool:
    """Whether a report is on its way; one that is cut off would break the connection of a worker."""
    while frame is not None:
        if frame.f_code is progress.emit.__code__:
            return True
        frame = frame.f_back
    return False


def _start_watcher() -> None:
    global _watcher
    if _watcher is None or not _watcher.is_alive():
        _watcher = threading.Thread(target=_watch, name="prunebench calls", daemon=True)
        _watcher.start()


def _watch() -> None:
    while True:
        time.sleep(LOOK)
        for call in list(_calls):
            seconds = call.seconds
            if _end_process is not None and seconds > 2 * call.limit:
                _end_process(call.error)
            if seconds >= call.report_at:
                call.report_at *= 2
                text = f"{call.who} has been running for {progress.duration(seconds)}"
                progress.emit(progress.Progress(0, 0, 0.0, text=text))
