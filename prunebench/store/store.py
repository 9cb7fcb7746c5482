"""Where results lie: immutable records and masks by key, whole or not at all. Imports no torch.

store.json                        format and version of what wrote it
records/<2>/<key>.json, .npz      a result, and the logits of every example beside it
masks/<key>.safetensors           one bit a unit
weights/<name>.safetensors        only while another job trains on from them
models/<key>.safetensors          the trained weights of a result, by parameter, where a person asked for them
checkpoints/<key>.safetensors     the middle of a training, until it is over; the one kind of file that is written anew
failures/<key>.json               why a job failed; tried again on request
plans/<id>.json                   which cells were asked for, and what their records are called
runs/<id>.json                    that a run is at work, and at what, as long as it is
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from prunebench.errors import PrunebenchError
from prunebench.runtime.environment import version
from prunebench.store import backends, claims
from prunebench.store.backends import Place
from prunebench.store.backends import StoreError as StoreError
from prunebench.store.serialization import FORMAT, Record, arrays, belongs, compact, decided, opened, sealed, text

if TYPE_CHECKING:
    import numpy as np

# The kind of plan that a leaderboard is made of: it measures methods, each on its own tasks.
RUN = "run"
SUFFIX = {"records": ".json", "failures": ".json"} | dict.fromkeys(
    ("masks", "weights", "models", "checkpoints"), ".safetensors"
)

T = TypeVar("T")


class Store:
    """Results in one place. Use `open` or `create`."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.complaints: list[str] = []
        # Records are immutable: what was whole once is not read again.
        self._known: dict[str, Record] = {}

    @property
    def name(self) -> str:
        """What the user calls it: a folder or a URL, with which any process can open it."""
        return self.place.url

    @classmethod
    def open(cls, name: str | Path) -> Store:
        """The store in that folder or at that URL, where one must be."""
        place = backends.at(name)
        try:
            head = json.loads(place.read("store.json"))
            written = int(head["format"])
        except FileNotFoundError:
            raise PrunebenchError(
                f"no store in {place.url!r}", "`prunebench run` makes one; --store names it"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PrunebenchError(
                f"cannot read {place.where('store.json')}: {error}", "expected the store.json of a prunebench store"
            ) from None
        if written > FORMAT:
            raise PrunebenchError(
                f"the store {place.url!r} was written by prunebench {head.get('prunebench')} in format {written}",
                f"this version reads format {FORMAT}: upgrade prunebench, or name another --store",
            )
        return cls(place)

    @classmethod
    def create(cls, name: str | Path) -> Store:
        """The store in that folder or at that URL, made where there is none."""
        place = backends.at(name)
        if not place.exists("store.json"):
            # A run that was killed while it made the store leaves a temporary file and nothing else; and another may
            # have made it since.
            if not place.is_empty() and not place.exists("store.json"):
                raise PrunebenchError(f"{place.url!r} is not empty and no store", "name an empty or new folder")
            place.write("store.json", text({"format": FORMAT, "prunebench": version()}))
        place.prepare()
        return cls.open(name)

    def has(self, kind: str, name: str) -> bool:
        """Whether it is there and, for a record, whole: a torn or foreign record is set aside, never trusted."""
        if kind == "records":
            return self.record(name) is not None
        return self.place.exists(file_name(kind, name))

    def snapshot(self, keys: Collection[str]) -> Snapshot:
        """What is there at this moment: of records and failures only those of `keys`, of all else everything."""
        rest = frozenset(name for kind in ("masks", "weights", "models") for name in self.place.names(kind))
        failed = {Path(name).stem for name in self.place.names("failures")}
        reasons = {key: str(found["reason"]) for key, found in self.failures([*failed.intersection(keys)]).items()}
        return Snapshot(self.fetch(keys), rest, reasons)

    def record(self, key: str) -> Record | None:
        """The record of that key, or None."""
        if key not in self._known:
            try:
                self._check(key, self.place.read(file_name("records", key)))
            except FileNotFoundError:
                return None
        return self._known.get(key)

    def fetch(self, keys: Collection[str]) -> dict[str, Record]:
        """Those of the records that are there and whole, by key: `record` of all, read together."""
        new = {file_name("records", key): key for key in keys if key not in self._known}
        for name, data in self.place.read_all(new).items():
            self._check(new[name], data)
        return {key: self._known[key] for key in keys if key in self._known}

    def records(self) -> Iterator[Record]:
        """Every record of the store."""
        keys = [Path(name).stem for name in self.place.names("records") if name.endswith(SUFFIX["records"])]
        yield from self.fetch(keys).values()

    def _check(self, key: str, data: bytes) -> None:
        """Take a record file for known, or set it aside."""
        record, reason = opened(data, key)
        if not reason:
            self._known[key] = record
            return
        name = file_name("records", key)
        aside = self.place.set_aside(name).rpartition("/")[2]
        self.complaints.append(f"{self.place.where(name)} {reason}: moved to {aside}, to be computed again")

    def logits(self, key: str) -> dict[str, np.ndarray]:
        """The logits of every example beside the record of that key, by evaluation; none where there is no such file.

        A file that is torn or foreign is an error, and set aside with its record.
        """
        beside = file_name("records", key)
        name = beside.removesuffix(SUFFIX["records"]) + ".npz"
        try:
            data = self.place.read(name)
            found = arrays(data)
            if not belongs(data, self.place.read(beside)):
                raise ValueError("it is another one than was written with its record")
            return found
        except FileNotFoundError:
            return {}
        except ValueError as error:
            for file in (name, beside):
                self.place.set_aside(file)
            self._known.pop(key, None)
            raise PrunebenchError(
                f"cannot trust {self.place.where(name)}: {error}",
                "it was set aside with its record: `prunebench run` makes both again",
            ) from None

    def decided(self, key: str) -> dict[str, np.ndarray]:
        """What the model of that record said of every example: classes, or scores; by evaluation."""
        return {evaluation: decided(logits) for evaluation, logits in self.logits(key).items()}

    def add_record(self, record: Record, logits: bytes) -> None:
        """Keep a record and its predictions; the first one to be written stays."""
        name = file_name("records", record["key"])
        if self.record(record["key"]) is None:
            self.place.write(name.removesuffix(SUFFIX["records"]) + ".npz", logits)
            self.place.write(name, sealed(record, logits))
        self.forget_failure(record["key"])

    def failure(self, key: str) -> Record | None:
        return self.failures([key]).get(key)

    def failures(self, keys: Collection[str]) -> dict[str, Record]:
        """Why the jobs of those keys failed, where they did."""
        names = {file_name("failures", key): key for key in keys}
        found = {}
        for name, data in self.place.read_all(names).items():
            with contextlib.suppress(ValueError):
                found[names[name]] = json.loads(data)
        return found

    def forget_failure(self, key: str) -> None:
        self.place.remove(file_name("failures", key))

    def add_failure(self, key: str, reason: str, details: str = "") -> None:
        self.place.write(file_name("failures", key), text({"key": key, "reason": reason, "details": details}))

    def load(self, kind: str, name: str, read: Callable[[bytes], T]) -> T:
        """A mask or weights, as `read` understands the file.

        Raises InputMissing where it is gone, or damaged, in which case it is set aside; it is then made again.
        """
        file = file_name(kind, name)
        try:
            data = self.place.read(file)
        except FileNotFoundError:
            raise InputMissing(f"{self.place.where(file)} is gone") from None
        try:
            return read(data)
        except Exception as error:
            self.place.set_aside(file)
            raise InputMissing(f"{self.place.where(file)} is damaged and was set aside") from error

    def add_bytes(self, kind: str, name: str, data: bytes) -> None:
        if not self.place.exists(file_name(kind, name)):
            self.place.write(file_name(kind, name), data)

    def keep_checkpoint(self, key: str, data: bytes) -> None:
        self.place.write(file_name("checkpoints", key), data)

    def discard_checkpoint(self, key: str) -> None:
        self.place.remove(file_name("checkpoints", key))

    def discard_weights(self, name: str) -> None:
        self.place.remove(file_name("weights", name))

    def add_plan(
        self,
        cells: Sequence[Mapping[str, Any]],
        suite: str,
        command: str,
        kind: str = RUN,
        strategies: Mapping[str, Any] | None = None,
    ) -> None:
        """Remember which cells were asked for; asking again makes them the newest.

        `kind` is the command whose cells they are: leaderboards show those of runs. `strategies` is what the keys hold
        of each strategy, so that they can be computed again once it is another.
        """
        # Once, for it is long: 1 KB a cell.
        body = compact(cells)
        name = hashlib.sha256(compact([suite, command]) + body).hexdigest()[:16]
        head = {
            "format": FORMAT,
            "kind": kind,
            "suite": suite,
            "command": command,
            "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"),
            "strategies": strategies or {},
        }
        self.place.write(f"plans/{name}.json", compact(head).removesuffix(b"}\n") + b', "cells": ' + body + b"}\n")

    def announced(self) -> contextlib.AbstractContextManager[claims.Presence]:
        """Be a run at work here, which others see and which sees them."""
        return claims.announced(self.place)

    def plans(self, kind: str = RUN) -> list[dict[str, Any]]:
        """All plans of that kind, the newest last."""
        plans = []
        names = [name for name in self.place.names("plans") if name.endswith(".json")]
        for name, data in self.place.read_all(names).items():
            try:
                plan = json.loads(data)
                found = {name: plan[name] for name in ("format", "suite", "command", "written", "cells")}
                if plan.get("kind", RUN) == kind:
                    plans.append({**found, "strategies": plan.get("strategies", {})})
            except (ValueError, KeyError, TypeError):
                self.complaints.append(f"{self.place.where(name)} is no plan: left out")
        return sorted(plans, key=lambda plan: plan["written"])


@dataclass(frozen=True)
class Snapshot:
    """What a store held at one moment: records that were whole, why jobs failed, and the names of masks and weights."""

    records: Mapping[str, Record]
    files: frozenset[str]
    failures: Mapping[str, str]

    def has(self, kind: str, name: str) -> bool:
        return name in self.records if kind == "records" else file_name(kind, name) in self.files


class InputMissing(PrunebenchError):
    """What a job starts from is not in the store any more: it has to be made again."""


def file_name(kind: str, name: str) -> str:
    """Where a thing of that kind and name lies in a store."""
    folder = f"{kind}/{name[:2]}" if kind == "records" else kind
    return f"{folder}/{name}{SUFFIX[kind]}"
