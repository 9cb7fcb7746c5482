"""How long single calls of a plugin's code and whole jobs take: limits that end them, and a report on long calls.

In the main thread, a timer raises an exception in the code, at the next bytecode that Python runs. A call into C or
torch ends first. A worker process whose call or job goes on regardless ends itself, as nothing else ends such a call.
In other threads, where no timer can raise anything, the limit of a call is checked after it, and a job has none.
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
# Seconds beyond its limit in which a job may end by the exception, before its worker process ends.
GRACE = 20.0


class Expired(BaseException):
    """Raised in code that has reached its limit. It is no Exception, so that `except Exception` lets it pass."""


@dataclass(eq=False)
class _Call:
    """A running call, or a whole job where `who` is "".

    `start` is by `time.monotonic`; `limit`, `patience` (the time beyond the limit until the process ends) and
    `report_at` (when it is reported next) are in seconds.
    """

    who: str
    start: float
    limit: float
    patience: float
    report_at: float
    expired: bool = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    @property
    def is_job(self) -> bool:
        return not self.who

    @property
    def error(self) -> PrunebenchError:
        if self.who:
            message = f"{self.who} took longer than {self.limit:g} s in one call"
            return PrunebenchError(message, "see --strategy-timeout")
        stage = progress.current_stage()
        return PrunebenchError(
            f"the job took longer than {self.limit / 60:g} min{f', and was at {stage}' if stage else ''}",
            "see --job-minutes; --retry-failed runs it again",
        )


_calls: set[_Call] = set()
# The calls of the main thread that have a limit, the outermost first.
_timed: list[_Call] = []
_limit = math.inf
_watcher: threading.Thread | None = None
_end_process: Callable[[PrunebenchError, bool], None] | None = None


@contextmanager
def call_limit(seconds: float | None) -> Iterator[None]:
    """Limit every call in the block to that many seconds; None is no limit."""
    global _limit
    before, _limit = _limit, seconds or math.inf
    try:
        yield
    finally:
        _limit = before


def set_process_end(end: Callable[[PrunebenchError, bool], None]) -> None:
    """Call `end` in this process when a call goes on for twice its limit, or a job for some time beyond its own.

    It gets the error that the call or job should have, and whether that is an error of the job. It is called in
    another thread, and ends the process.
    """
    global _end_process
    _end_process = end


@contextmanager
def watched_call(who: str) -> Iterator[None]:
    """A context for one call of the code of `who`, which is reported when it takes long.

    Raises PrunebenchError when it takes longer than the limit.
    """
    call = _Call(who, time.monotonic(), _limit, _limit, FIRST_REPORT)
    with _limited(call):
        yield
    if call.seconds > call.limit:
        raise call.error


@contextmanager
def job_limit(minutes: float | None) -> Iterator[None]:
    """Limit the block, a whole job, to that many minutes; None is no limit.

    Raises PrunebenchError, which names the stage that it was at, when it takes longer.
    """
    if minutes is None:
        yield
        return
    with _limited(_Call("", time.monotonic(), 60 * minutes, GRACE, math.inf)):
        yield


@contextmanager
def _limited(call: _Call) -> Iterator[None]:
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


@contextmanager
def _timer(call: _Call) -> Iterator[None]:
    """Raise Expired in the block once the limit is reached, if this is the main thread."""
    if math.isinf(call.limit) or threading.current_thread() is not threading.main_thread():
        yield
        return
    _timed.append(call)
    handler = signal.signal(signal.SIGALRM, _expire)
    _set_timer()
    try:
        yield
    finally:
        _timed.remove(call)
        _set_timer()
        signal.signal(signal.SIGALRM, handler)


def _set_timer() -> None:
    """Let the timer ring when the first of the calls reaches its limit."""
    left = min((call.limit - call.seconds for call in _timed), default=None)
    if left is None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    else:
        signal.setitimer(signal.ITIMER_REAL, max(left, 0.001), AGAIN)


def _expire(number: int, frame: FrameType | None) -> None:
    """Raise Expired for the outermost call that has reached its limit, as it ends those within it too."""
    late = next((call for call in _timed if call.seconds >= call.limit), None)
    if late is None:
        _set_timer()
    elif _is_untimely(frame):
        signal.setitimer(signal.ITIMER_REAL, 0.01, AGAIN)
    else:
        late.expired = True
        raise Expired


def _is_untimely(frame: FrameType | None) -> bool:
    """Whether a report is on its way, which would break the connection of a worker if it were cut off.

    Or whether a `__del__` runs, whose exceptions Python prints and ignores.
    """
    while frame is not None:
        if frame.f_code is progress.emit.__code__ or frame.f_code.co_name == "__del__":
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
            if _end_process is not None and seconds > call.limit + call.patience:
                _end_process(call.error, call.is_job)
            if seconds >= call.report_at:
                call.report_at *= 2
                text = f"{call.who} has been running for {progress.duration(seconds)}"
                progress.emit(progress.Progress(0, 0, 0.0, text=text))
