"""Which runs are at work on a store, and at which jobs: each says so in a file of `runs/`, as long as it lasts.

A claim is no lock: that of a run which is silent for too long is void. Where two runs come to do one job, both do the
same work and the first record stays; so nothing depends on clocks that agree or on a run that ends well. Imports no
torch.
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

from prunebench.store.backends import Place, StoreError

# Seconds between two signs of life, and without one until a run counts as dead.
BEAT, SILENCE = 10.0, 60.0
# Seconds between two looks at what other runs are still at.
POLL = 2.0
# How often a run looks whether one that claimed the same job steps back, and the seconds between two looks.
LOOKS, LOOK = 10, 0.05
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class _Run:
    """What a run says of itself. `beat` is when, by its own clock."""

    name: str
    begun: str
    beat: str
    host: str = ""
    pid: int = 0
    jobs: tuple[str, ...] = ()

    @classmethod
    def read(cls, name: str, data: bytes) -> _Run:
        """Raises ValueError, KeyError or TypeError where that is no such file."""
        found = json.loads(data)
        begun = str(found["begun"])
        host, pid = str(found.get("host", "")), int(found.get("pid", 0))
        return cls(name, begun, str(found.get("beat", begun)), host, pid, tuple(map(str, found.get("jobs", ()))))

    def to_json(self) -> dict[str, Any]:
        return {"begun": self.begun, "beat": self.beat, "host": self.host, "pid": self.pid, "jobs": self.jobs}

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine and is none any more."""
        if not self.pid or self.host != platform.node():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


class Presence:
    """This run, as others on the same store see it, and they as it sees them.

    `runs` is how many there were when it began, this one too, and `before` how many of them began earlier.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._name = f"runs/{uuid.uuid4().hex}.json"
        self._begun = _now()
        self._jobs: frozenset[str] = frozenset()
        self._saying = threading.Lock()
        self._over = threading.Event()
        # What each other run said last, and since when by the clock of this process.
        self._heard: dict[str, tuple[_Run, float]] = {}
        self._say(self._jobs)
        others = self._others()
        self.runs = 1 + len(others)
        self.before = sum(map(self._is_earlier, others))

    def taken(self) -> frozenset[str]:
        """The keys of the jobs that other runs are at."""
        return frozenset(job for run in self._others() for job in run.jobs)

    def claim(self, job: str, beside: Collection[str] = ()) -> bool:
        """Say that this run is at a job, and at those `beside` it; False where another run said so before.

        Each says so before it looks, thus of two at one moment one at least sees the other. The run that began later
        steps back, and the earlier one gives it the time for that: unless it does, it is at the job.
        """
        self.claims({*beside, job})
        for _ in range(LOOKS):
            rivals = [run for run in self._others() if job in run.jobs]
            if not rivals:
                return True
            if any(map(self._is_earlier, rivals)):
                break
            self.pause(LOOK)
        self.claims(beside)
        return False

    def claims(self, jobs: Collection[str]) -> None:
        """Say that this run is at these jobs, and at no other."""
        if self._jobs != frozenset(jobs):
            self._jobs = frozenset(jobs)
            with contextlib.suppress(StoreError):  # the job that comes upon it ends the run
                self._say(self._jobs)

    def pause(self, seconds: float) -> None:
        """Wait so long, or until this run is over."""
        self._over.wait(seconds)

    def live(self) -> None:
        """Give signs of life until `leave`."""
        while not self._over.wait(BEAT):
            with contextlib.suppress(StoreError):
                self._say(self._jobs)

    def leave(self) -> None:
        with self._saying:
            self._over.set()
            with contextlib.suppress(StoreError):
                self._place.remove(self._name)

    def _say(self, jobs: frozenset[str]) -> None:
        run = _Run(self._name, self._begun, _now(), platform.node(), os.getpid(), tuple(sorted(jobs)))
        with self._saying:
            if not self._over.is_set():
                self._place.write(self._name, json.dumps(run.to_json()).encode())

    def _is_earlier(self, run: _Run) -> bool:
        return (run.begun, run.name) < (self._begun, self._name)

    def _others(self) -> list[_Run]:
        """The other runs that live. What has given no sign of life for a day is removed."""
        # Beside them may lie the temporary file of one that is just being written.
        names = [name for name in self._place.names("runs") if name.endswith(".json") and name != self._name]
        found = []
        for name, data in self._place.read_all(names).items():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                run = _Run.read(name, data)
                if self._lives(run):
                    found.append(run)
        return found

    def _lives(self, run: _Run) -> bool:
        if _age(run.beat) > DAY:
            self._place.remove(run.name)
            return False
        last, since = self._heard.get(run.name, (None, 0.0))
        if last is None:
            # Its clock may differ from ours: if so it is believed from its next sign of life on.
            since = time.monotonic() - _age(run.beat).total_seconds()
        elif last != run:
            since = time.monotonic()
        self._heard[run.name] = run, since
        return time.monotonic() - since < SILENCE and not run.is_gone


@contextlib.contextmanager
def announced(place: Place) -> Iterator[Presence]:
    """Be at work on that place as long as the block lasts."""
    here = Presence(place)
    threading.Thread(target=here.live, daemon=True).start()
    try:
        yield here
    finally:
        here.leave()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


def _age(moment: str) -> datetime.timedelta:
    """How long ago that was by this clock, without sign."""
    return abs(datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment))
