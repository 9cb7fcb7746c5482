"""Results in one store: immutable records and masks by key. A file is there whole or not at all.

store.json                        format, version of what wrote it, and a random id
records/<2>/<key>.json, .npz      a result, and the logits of every example beside it
masks/<key>.safetensors           one bit a unit
weights/<name>.safetensors        only while another job trains on from them
models/<key>.safetensors          the trained weights of a result, by parameter, where a user asked for them
checkpoints/<key>.safetensors     the middle of a training; the one kind of file that is overwritten
failures/<key>.json               why a job failed; tried again on request
plans/<id>.json                   which cells were asked for, and what their records are called
runs/<id>.json                    that a run is active and which jobs it holds, while it lasts
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from prunebench.errors import PrunebenchError
from prunebench.store import backends, claims, heads, seals, serialization
from prunebench.store.backends import Backend, Damaged
from prunebench.store.backends import StoreError as StoreError
from prunebench.store.files import HEAD, SUFFIX, file_name, logits_file
from prunebench.store.schema import FORMAT, RUN, Failure, Record, StoredPlan, WeightsRef
from prunebench.store.serialization import SEALS_SINCE, Newer, RecordFile
from prunebench.store.snapshot import Snapshot

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
# Kinds of files that are only of use for a while. Those of earlier versions are made again.
PASSING = ("weights", "checkpoints")


class InputMissing(PrunebenchError):
    """What a job starts from is no longer in the store: it has to be made again."""


class Store:
    """Results behind one backend. Use `open`, `create` or `view`."""

    def __init__(self, backend: Backend, written: int = FORMAT) -> None:
        self.backend = backend
        self.format = written
        self.complaints: list[str] = []
        # Records are immutable: one that was whole once is not read again.
        self._records: dict[str, RecordFile] = {}
        # Records of newer versions, which this one can neither read nor replace.
        self._newer: set[str] = set()

    @property
    def name(self) -> str:
        """The folder or URL by which any process can open it."""
        return self.backend.url

    @classmethod
    def open(cls, name: str | Path) -> Store:
        """The store in that folder or at that URL. Raises PrunebenchError where there is none."""
        backend = backends.at(name)
        backend.check()
        try:
            return cls(backend, heads.read(backend))
        except FileNotFoundError:
            raise heads.no_store(backend) from None

    @classmethod
    def create(cls, name: str | Path) -> Store:
        """The store in that folder or at that URL, created if needed, and raised to the present format."""
        backend = backends.at(name)
        backend.check()
        heads.create(backend)
        backend.prepare()
        if heads.read(backend) < FORMAT:
            heads.upgrade(backend)
        return cls.open(name)

    @classmethod
    def view(cls, name: str | Path) -> Store:
        """The store if there is one, or else an empty view of where it could be. Writes nothing."""
        backend = backends.at(name)
        backend.check()
        return cls.open(name) if backend.exists(HEAD) else cls(backend)

    @property
    def is_sealed(self) -> bool:
        """Whether every file has a seal. Files of earlier formats had none."""
        return self.format >= SEALS_SINCE

    @property
    def exists(self) -> bool:
        return self.backend.exists(HEAD)

    # Records and logits

    def has(self, kind: str, name: str) -> bool:
        """Whether it is there; a damaged record is set aside and counts as absent."""
        if kind == "records":
            return self.record(name) is not None
        return self.backend.exists(file_name(kind, name))

    def record(self, key: str) -> Record | None:
        """The record of that key, or None."""
        if key not in self._records:
            with contextlib.suppress(FileNotFoundError):
                self._parse(key, self.backend.read(file_name("records", key)))
        return self._records[key].record if key in self._records else None

    def fetch(self, keys: Collection[str]) -> dict[str, Record]:
        """The records of these keys that are there and whole, read together."""
        new = {file_name("records", key): key for key in keys if key not in self._records}
        for name, data in self.backend.read_all(new).items():
            self._parse(new[name], data)
        return {key: self._records[key].record for key in keys if key in self._records}

    def records(self) -> Iterator[Record]:
        """Every record of the store."""
        yield from self.fetch(self.keys("records")).values()

    def keys(self, kind: str) -> list[str]:
        """The names of all files of that kind; damaged ones that were set aside have another ending."""
        paths = map(PurePosixPath, self.backend.names(kind))
        return [path.stem for path in paths if path.suffix == SUFFIX[kind]]

    def _parse(self, key: str, data: bytes) -> None:
        name = file_name("records", key)
        try:
            self._records[key] = serialization.parse_record(data, key)
        except Newer as error:
            if key not in self._newer:
                self.complaints.append(f"{self.backend.location(name)} {error}: it stays, and counts as absent")
            self._newer.add(key)
        except Damaged as error:
            self.complaints.append(f"{self._set_aside(name, error)}, to be computed again")
            if self.backend.exists(logits_file(key)):
                self.backend.set_aside(logits_file(key))

    def _set_aside(self, name: str, error: object) -> str:
        """Set a damaged file aside; returns what was wrong with it, and what became of it."""
        return f"{self.backend.location(name)} {error}: {self.backend.set_aside(name)}"

    def add_record(self, record: Record, logits: bytes) -> None:
        """Store a record and its logits, an npz file; the first one to be written stays."""
        if self.record(record.key) is None and record.key not in self._newer:
            name = logits_file(record.key)
            # Logits without a record are those of a run that was killed here, or is at this point now.
            if not self.backend.create(name, logits) and self.backend.read(name) != logits:
                self.backend.write(name, logits)
            data = serialization.encode_record(record, logits)
            if self.backend.create(file_name("records", record.key), data) and self.backend.read(name) != logits:
                self.backend.write(name, logits)
        self.forget_failure(record.key)

    def logits(self, key: str) -> dict[str, np.ndarray]:
        """The logits of that record by evaluation, shape (examples, labels); empty where there is no record.

        A record that came from a bundle has predictions of shape (examples,) in their place.

        Raises PrunebenchError where the file is gone, damaged or of another record; both are then set aside.
        """
        record = self.record(key)
        if record is None:
            return {}
        name = logits_file(key)
        try:
            data = self.backend.read(name)
            if not self._records[key].matches(data):
                raise ValueError("it was not written with its record")
            return serialization.parse_arrays(data)
        except FileNotFoundError:
            if self._records[key].logits is None:
                return {}
            error: Exception = ValueError("it is gone")
        except ValueError as damage:
            error = damage
        del self._records[key]
        outcomes = [self.backend.set_aside(file) for file in (name, file_name("records", key))]
        raise PrunebenchError(
            f"cannot trust {self.backend.location(name)}: {error}",
            "it was set aside with its record: `prunebench run` makes both again"
            if outcomes[1].startswith("moved")
            else outcomes[1],
        ) from None

    def predictions(self, key: str) -> dict[str, np.ndarray]:
        """The predicted class or score of every example, by evaluation."""
        return {evaluation: serialization.predictions(logits) for evaluation, logits in self.logits(key).items()}

    # Failures

    def failure(self, key: str) -> Failure | None:
        return self.failures([key]).get(key)

    def failures(self, keys: Collection[str]) -> dict[str, Failure]:
        """Why the jobs of those keys failed, where they did."""
        failures = {}
        for name, data in self.backend.read_all([file_name("failures", key) for key in keys]).items():
            try:
                failure = serialization.parse_failure(name, data, needs_seal=self.is_sealed)
                failures[failure.key] = failure
            except Damaged as error:
                self.complaints.append(self._set_aside(name, error))
        return failures

    def add_failure(self, key: str, reason: str, details: str = "") -> None:
        self.backend.write(*serialization.encode_failure(Failure(key=key, reason=reason, details=details)))

    def forget_failure(self, key: str) -> None:
        self.backend.remove(file_name("failures", key))

    # Masks, weights, models and checkpoints

    def load(self, kind: str, name: str, read: Callable[[bytes], T]) -> T:
        """A file of that kind, as `read` parses it.

        Raises InputMissing where it is gone or damaged; a damaged file is set aside, and made again by the next run.
        """
        file = file_name(kind, name)
        try:
            data = self.backend.read(file)
        except FileNotFoundError:
            raise InputMissing(f"{self.backend.location(file)} is gone") from None
        try:
            self.check(kind, file, data)
            return read(data)
        except MemoryError:
            raise
        except Exception as error:
            words = error if isinstance(error, Damaged) else f"is damaged ({error})"
            raise InputMissing(self._set_aside(file, words)) from error

    def check(self, kind: str, file: str, data: bytes) -> None:
        """Raise Damaged unless a safetensors file of that kind and name is as it was written."""
        if self.is_sealed or kind in PASSING or seals.is_sealed(data):
            seals.check(file, data)

    def add_bytes(self, kind: str, name: str, data: bytes) -> None:
        """Store a safetensors file unless there is one of that name."""
        file = file_name(kind, name)
        if not self.backend.exists(file):
            self.backend.create(file, seals.seal_tensors(file, data))

    def write_checkpoint(self, key: str, data: bytes) -> None:
        self.backend.write(file := file_name("checkpoints", key), seals.seal_tensors(file, data))

    def discard_checkpoint(self, key: str) -> None:
        self.backend.remove(file_name("checkpoints", key))

    def discard_weights(self, weights: WeightsRef) -> None:
        self.backend.remove(file_name("weights", weights.name))

    # Plans and runs

    def add_plan(self, plan: StoredPlan) -> StoredPlan:
        """Remember which cells were asked for, and when; asking again makes them the newest."""
        written = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
        stored = plan.model_copy(update={"written": written})
        self.backend.write(*serialization.encode_plan(stored))
        return stored

    def plans(self, kind: str | None = RUN) -> list[StoredPlan]:
        """All plans of that kind, or of every kind if it is None, the newest last.

        One that cannot be read stays where it is, because results that only it refers to would be garbage without it.
        """
        plans = []
        names = [name for name in self.backend.names("plans") if name.endswith(SUFFIX["plans"])]
        for name, data in self.backend.read_all(names).items():
            try:
                plan = self.parse_plan(name, data)
            except Damaged as error:
                again = "" if isinstance(error, Newer) else "; the same command writes it again"
                self.complaints.append(f"{self.backend.location(name)} {error}; it is left out{again}")
                continue
            if kind in (None, plan.kind):
                plans.append(plan)
        return sorted(plans, key=lambda plan: plan.written)

    def parse_plan(self, name: str, data: bytes) -> StoredPlan:
        """The plan in a file of this store. Raises Damaged where it is none."""
        return serialization.parse_plan(name, data, needs_seal=self.is_sealed)

    def claims(self) -> contextlib.AbstractContextManager[claims.RunClaims]:
        """Announce an active run, so that other runs on this store skip its jobs."""
        return claims.active_run(self.backend)

    def snapshot(self, keys: Collection[str]) -> Snapshot:
        """The contents at this moment: records and failures of `keys`, and every mask, model and weight file."""
        files = frozenset(name for kind in ("masks", "weights", "models") for name in self.backend.names(kind))
        failures = self.failures([*{*self.keys("failures")}.intersection(keys)])
        records = self.fetch(keys)
        if newer := sorted(self._newer.intersection(keys)):
            raise PrunebenchError(
                f"the record {newer[0]} in {self.name!r} was written by a newer version of prunebench",
                f"this version reads format {FORMAT}: upgrade prunebench, or name another --store",
            )
        return Snapshot(records, files, {key: failure.reason for key, failure in failures.items()})
