"""An interrupt of the user is told apart from a KeyboardInterrupt that code raises."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from prunebench.errors import PrunebenchError
from prunebench.execution.strategy_calls import plugin_code
from prunebench.runtime.signals import received_signals


@pytest.fixture(autouse=True)
def hears_interrupts():
    """Tests that run in the background are deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_received_signal_passes_and_is_noted():
    with pytest.raises(KeyboardInterrupt), plugin_code("strategy", "mine"):
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_raised_interrupt_is_an_error_of_its_code():
    with (
        pytest.raises(PrunebenchError, match="strategy 'mine' raised KeyboardInterrupt"),
        plugin_code("strategy", "mine"),
    ):
        raise KeyboardInterrupt
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_blocks_may_be_nested_and_their_code_may_change_handlers():
    with received_signals() as outer, received_signals() as inner:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert outer == inner == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with received_signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
    assert signals == []


def test_another_thread_receives_no_signals():
    seen = []

    def call():
        with pytest.raises(PrunebenchError, match="raised KeyboardInterrupt"), plugin_code("strategy", "mine"):
            raise KeyboardInterrupt
        seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
