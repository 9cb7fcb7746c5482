"""Calls that take too long end at their limit, and calls that take long are reported."""

from __future__ import annotations

import signal
import threading
import time

import pytest
import torch

from prunebench.errors import PrunebenchError
from prunebench.runtime import limits, progress
from prunebench.runtime.limits import call_limit, job_limit, watched_call

LIMIT = 0.3
MESSAGE = "^it took longer than 0.3 s in one call .see --strategy-timeout.$"


def loop():
    while True:
        pass


def wait():
    time.sleep(60)


def multiply():
    matrix = torch.ones(500, 500)
    while True:
        matrix @ matrix


def wait_for_a_lock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def catch():
    try:
        wait()
    except Exception:
        loop()


def catch_everything():
    try:
        wait()
    except BaseException:
        loop()


def raise_another_error():
    try:
        wait()
    except BaseException:
        raise ValueError("no") from None


def print_all_the_time():
    while True:
        progress.emit(progress.Progress(0, 0, 0.0, text="text"))


CALLS = [loop, wait, multiply, wait_for_a_lock, catch, catch_everything, raise_another_error, print_all_the_time]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_ends_at_its_limit(call):
    handler, start = signal.getsignal(signal.SIGALRM), time.monotonic()
    with call_limit(LIMIT), pytest.raises(PrunebenchError, match=MESSAGE), watched_call("it"):
        call()
    assert LIMIT <= time.monotonic() - start < 10
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


def test_reports_arrive_whole():
    """The exception is held back while a report is on its way."""
    parts = []

    def listen(report):
        parts.append("begin")
        time.sleep(0.02)
        parts.append("end")

    with progress.temporary_listener(listen), call_limit(LIMIT), pytest.raises(PrunebenchError), watched_call("it"):
        print_all_the_time()
    assert parts[-1] == "end" and len(parts) > 4


def test_a_call_within_its_limit_is_left_alone():
    with call_limit(60), watched_call("it"):
        assert 59 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
        with pytest.raises(ValueError, match="own"):
            raise ValueError("own")
    with watched_call("it"):
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


def test_an_interrupt_of_the_user_goes_first():
    with call_limit(LIMIT), pytest.raises(KeyboardInterrupt), watched_call("it"):
        try:
            wait()
        except BaseException:
            raise KeyboardInterrupt from None


def test_another_thread_is_checked_after_the_call():
    errors = []

    def work():
        try:
            with watched_call("it"):
                time.sleep(2 * LIMIT)
        except PrunebenchError as error:
            errors.append(str(error))

    with call_limit(LIMIT):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(errors) == 1 and "took longer than 0.3 s" in errors[0]


def test_a_long_call_is_reported_ever_more_rarely(monkeypatch):
    monkeypatch.setattr(limits, "FIRST_REPORT", 1.0)
    texts = []
    with progress.temporary_listener(lambda report: texts.append(report.text)):
        with watched_call("it"):
            time.sleep(3.4)
        with watched_call("short"):
            time.sleep(0.6)
    assert [text.rpartition(" for ")[0] for text in texts] == ["it has been running"] * 2


# Jobs

MINUTES = LIMIT / 60
LATE = "^the job took longer than 0.005 min, and was at Train .see --job-minutes"


@pytest.mark.parametrize("call", [loop, wait, catch, catch_everything])
@pytest.mark.parametrize("is_call", [False, True])
def test_a_job_ends_at_its_limit(call, is_call):
    """Also in the middle of a call of a strategy, whose own limit is later."""
    handler, start = signal.getsignal(signal.SIGALRM), time.monotonic()
    with progress.job_scope("key"), call_limit(60), pytest.raises(PrunebenchError, match=LATE), job_limit(MINUTES):
        progress.enter_stage("Train")
        if is_call:
            with watched_call("it"):
                call()
        call()
    assert LIMIT <= time.monotonic() - start < 10
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


def test_calls_leave_the_time_of_their_job_alone():
    start = time.monotonic()
    with pytest.raises(PrunebenchError, match="the job took longer"), call_limit(60), job_limit(MINUTES):
        while time.monotonic() - start < 10:
            with watched_call("it"):
                time.sleep(0.01)
    assert time.monotonic() - start < 5


def test_a_call_of_a_job_has_its_own_limit():
    with job_limit(1):
        with call_limit(LIMIT), pytest.raises(PrunebenchError, match=MESSAGE), watched_call("it"):
            wait()
        assert 55 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60


def test_a_process_ends_where_its_job_goes_on_regardless(monkeypatch):
    """No exception reaches the main thread here, as a call into C does."""
    monkeypatch.setattr(limits, "GRACE", LIMIT)
    errors = []
    monkeypatch.setattr(limits, "_end_process", lambda error, is_job: errors.append((str(error), is_job)))
    with job_limit(MINUTES):
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        start = time.monotonic()
        while not errors and time.monotonic() - start < 10:
            time.sleep(0.05)
    assert errors[0][0].startswith("the job took longer than 0.005 min") and errors[0][1] is True
