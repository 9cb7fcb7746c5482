"""Which runs are active on a store, and which jobs each one holds: a file in `runs/` says so for as long as it lasts.

A claim is no lock. Where two runs do the same job, both do the same work and the first record stays, so nothing
depends on synchronised clocks or on a run that ends cleanly. A run that gives no sign of life for a minute loses its
claims.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from prunebench.store.backends import Backend, StoreError

# Seconds between two heartbeats, and without one until a run counts as dead.
HEARTBEAT, SILENCE = 10.0, 60.0
# Seconds between two looks at the jobs of other runs.
POLL = 2.0
# How often, and at which interval in seconds, a run checks whether a later rival gives up the same job.
RETRIES, RETRY_SECONDS = 10, 0.05
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class _Run:
    """A run as its file describes it. `heartbeat` is a time by its own clock."""

    name: str
    started: str
    heartbeat: str
    host: str = ""
    pid: int = 0
    jobs: tuple[str, ...] = ()

    @classmethod
    def parse(cls, name: str, data: bytes) -> _Run:
        """Raises ValueError, KeyError, TypeError, OverflowError or RecursionError for anything that is no such file."""
        fields = json.loads(data)
        started = str(fields["started"])
        host, pid = str(fields.get("host", "")), int(fields.get("pid", 0))
        return cls(name, started, str(fields.get("beat", started)), host, pid, tuple(map(str, fields.get("jobs", ()))))

    def to_json(self) -> dict[str, Any]:
        return {"started": self.started, "beat": self.heartbeat, "host": self.host, "pid": self.pid, "jobs": self.jobs}

    @property
    def is_dead(self) -> bool:
        """Whether it was a process of this machine that no longer exists."""
        if not self.pid or self.host != platform.node():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


class RunClaims:
    """The claims of this run, as others on the same store see them, and theirs as this run sees them.

    `runs` runs were active when it began, itself included, and `earlier_runs` of them began before it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._name = f"runs/{uuid.uuid4().hex}.json"
        self._started = _now()
        self._jobs: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._over = threading.Event()
        # The last state of each other run, and since when it has had it by the clock of this process.
        self._last: dict[str, tuple[_Run, float]] = {}
        self._write(self._jobs)
        others = self._others()
        self.runs = 1 + len(others)
        self.earlier_runs = sum(map(self._is_earlier, others))

    def is_alone(self) -> bool:
        """Whether no other run is active.

        A run that looks silent may only have another clock: it gets the time for a heartbeat before it counts as dead.
        """
        if self._others():
            return False
        if any(not run.is_dead for run, _ in self._last.values()):
            self.pause(1.5 * HEARTBEAT)
        return not self._others()

    def elsewhere(self) -> frozenset[str]:
        """The keys of the jobs that other runs hold."""
        return frozenset(job for run in self._others() for job in run.jobs)

    def claim(self, job: str, running: Collection[str] = ()) -> bool:
        """Claim a job in addition to those `running`. False where another run claimed it first.

        Each run writes its claim before it reads the others', so that of two simultaneous claims at least one run sees
        both. The run that began later gives up; the earlier one waits a little for that, and takes the job only if so.
        """
        self.hold({*running, job})
        for _ in range(RETRIES):
            rivals = [run for run in self._others() if job in run.jobs]
            if not rivals:
                return True
            if any(map(self._is_earlier, rivals)):
                break
            self.pause(RETRY_SECONDS)
        self.hold(running)
        return False

    def hold(self, jobs: Collection[str]) -> None:
        """Claim these jobs and no others."""
        if self._jobs != frozenset(jobs):
            self._jobs = frozenset(jobs)
            with contextlib.suppress(StoreError):  # the job that meets the error ends the run
                self._write(self._jobs)

    def pause(self, seconds: float) -> None:
        """Wait so long, or until this run is over."""
        self._over.wait(seconds)

    def keep_alive(self) -> None:
        """Write heartbeats until `release`."""
        while not self._over.wait(HEARTBEAT):
            with contextlib.suppress(StoreError):
                self._write(self._jobs)

    def release(self) -> None:
        with self._lock:
            self._over.set()
            with contextlib.suppress(StoreError):
                self._backend.remove(self._name)

    def _write(self, jobs: frozenset[str]) -> None:
        run = _Run(self._name, self._started, _now(), platform.node(), os.getpid(), tuple(sorted(jobs)))
        with self._lock:
            if not self._over.is_set():
                self._backend.write(self._name, json.dumps(run.to_json()).encode())

    def _is_earlier(self, run: _Run) -> bool:
        return (run.started, run.name) < (self._started, self._name)

    def _others(self) -> list[_Run]:
        """The other runs that are alive. The file of a run that was silent for a day is removed."""
        names = [name for name in self._backend.names("runs") if name.endswith(".json") and name != self._name]
        files = self._backend.read_all(names)
        self._last = {name: last for name, last in self._last.items() if name in files}
        alive = []
        for name, data in files.items():
            with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
                run = _Run.parse(name, data)
                if self._is_alive(run):
                    alive.append(run)
        return alive

    def _is_alive(self, run: _Run) -> bool:
        if _age(run.heartbeat) > DAY:
            self._backend.remove(run.name)
            return False
        last, since = self._last.get(run.name, (None, 0.0))
        if last is None:
            # Its clock may differ from ours; if so, it is believed from its next heartbeat on.
            since = time.monotonic() - _age(run.heartbeat).total_seconds()
        elif last != run:
            since = time.monotonic()
        self._last[run.name] = run, since
        return time.monotonic() - since < SILENCE and not run.is_dead


@contextlib.contextmanager
def active_run(backend: Backend) -> Iterator[RunClaims]:
    """Announce a run on this backend for as long as the block lasts."""
    claims = RunClaims(backend)
    threading.Thread(target=claims.keep_alive, daemon=True).start()
    try:
        yield claims
    finally:
        claims.release()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


def _age(moment: str) -> datetime.timedelta:
    """How long ago that was by this clock, without sign."""
    return abs(datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment))
