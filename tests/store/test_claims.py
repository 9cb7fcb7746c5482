"""Concurrent runs on one store: each sees the others' claims, and no two hold the same job."""

from __future__ import annotations

import datetime
import itertools
import json
import os
import platform
import subprocess
import threading
import time
from collections import Counter
from functools import partial

import pytest

from prunebench.store import backends, claims
from prunebench.store.store import Store


@pytest.fixture
def store(lab):
    return Store.create(lab.url)


def test_a_run_knows_how_many_others_began_before_it(lab, store):
    """A file that is being written, a torn one and a run of years ago do not count. The old run's file is removed."""
    lab.write("runs/.part-now", b"")
    lab.write("runs/torn.json", b"{")
    lab.write("runs/old.json", b'{"started": "2020-01-01T00:00:00.000000+00:00"}')
    with store.claims() as first, Store.open(store.name).claims() as second:
        assert [(run.earlier_runs, run.runs) for run in (first, second)] == [(0, 1), (1, 2)]
        with Store.open(store.name).claims() as third:
            assert (third.earlier_runs, third.runs) == (2, 3)
    assert [name for name in lab.names() if name.startswith("runs/")] == ["runs/.part-now", "runs/torn.json"]


def test_a_claim_holds_until_the_run_gives_it_up(store):
    with store.claims() as one, Store.open(store.name).claims() as two:
        assert one.claim("a") and one.claim("b", {"a"})
        assert (one.elsewhere(), two.elsewhere()) == (set(), {"a", "b"})
        one.hold({"b", "c"})
        assert two.claim("a")
        assert (one.elsewhere(), two.elsewhere()) == ({"a"}, {"b", "c"})
    with store.claims() as three:
        assert three.elsewhere() == set()


def test_of_two_simultaneous_claims_the_earlier_run_s_holds(store, monkeypatch):
    """Neither run had seen the other's claim when it wrote its own. The earlier one waits until the later gives up."""
    with store.claims() as one, Store.open(store.name).claims() as two:
        answers = []
        monkeypatch.setattr(claims.RunClaims, "pause", lambda *_: answers.append(two.claim("a")))
        two.hold({"a"})
        assert one.claim("a")
        assert answers == [False]
        assert (one.elsewhere(), two.elsewhere()) == (set(), {"a"})


class TurnTakingBackend:
    """A backend whose every use by a thread waits until it is that thread's turn."""

    def __init__(self, backend):
        self.backend = backend
        self.turns = {}
        self.stopped = threading.Semaphore(0)

    def __getattr__(self, name):
        def method(*arguments):
            if turn := self.turns.get(threading.current_thread()):
                self.stopped.release()
                turn.acquire()
            return getattr(self.backend, name)(*arguments)

        return method

    def interleave(self, calls, order):
        """Run the calls in threads. `order` names the call that goes on to its next use of the backend, turn by turn.

        Returns the results of the calls.
        """
        results = [None] * len(calls)

        def call(number):
            results[number] = calls[number]()
            self.stopped.release()

        threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
        for thread in threads:
            self.turns[thread] = threading.Semaphore(0)
            thread.start()
            self.stopped.acquire()
        for number in [*order, *(number for number in range(len(calls)) for _ in range(20))]:
            if results[number] is None:
                self.turns[threads[number]].release()
                self.stopped.acquire()
        return results


def test_two_runs_never_hold_one_job_in_any_interleaving(tmp_path, monkeypatch):
    """Each run writes its claim and reads the other's: all the orders in which that can happen."""
    monkeypatch.setattr(claims, "RETRIES", 2)
    monkeypatch.setattr(claims.RunClaims, "pause", lambda *_: None)
    monkeypatch.setattr(claims.RunClaims, "keep_alive", lambda _: None)
    backend = TurnTakingBackend(backends.at(tmp_path))
    outcomes = Counter()
    # The later run uses the backend at most four times: to claim, twice to look, and to give up.
    for turns in itertools.combinations(range(10), 4):
        order = [int(turn in turns) for turn in range(10)]
        with claims.active_run(backend) as one, claims.active_run(backend) as two:
            results = backend.interleave([partial(one.claim, "a"), partial(two.claim, "a")], order)
            assert [run.elsewhere() for run in (two, one)] == [{"a"} if held else set() for held in results]
        outcomes[tuple(results)] += 1
    assert outcomes[True, True] == 0
    assert outcomes[True, False] and outcomes[False, True]


# Heartbeats


def write_other_run(lab, **changes):
    """Write the file of a run on another machine that was alive a moment ago."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    run = {"started": now, "beat": now, "host": "elsewhere", "pid": 1, "jobs": ["a"], **changes}
    lab.write("runs/other.json", json.dumps(run).encode())


def test_a_silent_run_loses_its_claims(lab, store, monkeypatch):
    clock = time.monotonic()
    monkeypatch.setattr(claims.time, "monotonic", lambda: clock)
    write_other_run(lab)
    with store.claims() as run:
        assert run.elsewhere() == {"a"}
        clock += claims.SILENCE + 1
        assert run.elsewhere() == set()
        write_other_run(lab, beat=datetime.datetime.now(datetime.UTC).isoformat())
        assert run.elsewhere() == {"a"}


def test_a_run_whose_clock_is_wrong_is_believed_from_its_next_heartbeat_on(lab, store):
    an_hour_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    write_other_run(lab, beat=an_hour_ago.isoformat())
    with store.claims() as run:
        assert run.elsewhere() == set()
        write_other_run(lab, beat=(an_hour_ago + datetime.timedelta(seconds=10)).isoformat())
        assert run.elsewhere() == {"a"}


def test_a_run_that_was_killed_on_this_machine_loses_its_claims_at_once(lab, store):
    process = subprocess.Popen(["true"])
    process.wait()
    with store.claims() as run:
        write_other_run(lab, host=platform.node(), pid=os.getpid())
        assert run.elsewhere() == {"a"}
        write_other_run(lab, host=platform.node(), pid=process.pid)
        assert run.elsewhere() == set()


def test_a_run_writes_heartbeats_for_as_long_as_it_lasts(lab, store, monkeypatch):
    monkeypatch.setattr(claims, "HEARTBEAT", 0.0)
    never = threading.Event()
    with store.claims() as run:
        [name] = [name for name in lab.names() if name.startswith("runs/") and name.endswith(".json")]
        first = store.backend.read(name)
        assert any(store.backend.read(name) != first or never.wait(0.001) for _ in range(10_000))
        run.hold({"a"})
        assert json.loads(store.backend.read(name))["jobs"] == ["a"]
    assert not [name for name in lab.names() if name.startswith("runs/")]
