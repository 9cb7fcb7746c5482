"""Results in one store: immutable records and masks by key. A file is there whole or not at all.

store.json                        format and version of what wrote it
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
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from prunebench.errors import PrunebenchError
from prunebench.runtime.environment import version
from prunebench.store import backends, claims, serialization
from prunebench.store.backends import Backend
from prunebench.store.backends import StoreError as StoreError
from prunebench.store.schema import FORMAT, RUN, Failure, Record, StoredPlan, WeightsRef, text
from prunebench.store.serialization import Damaged

if TYPE_CHECKING:
    import numpy as np

HEAD = "store.json"
SUFFIX = {"records": ".json", "failures": ".json", "plans": ".json"} | dict.fromkeys(
    ("masks", "weights", "models", "checkpoints"), ".safetensors"
)

T = TypeVar("T")


class InputMissing(PrunebenchError):
    """What a job starts from is no longer in the store: it has to be made again."""


def file_name(kind: str, name: str) -> str:
    """The path of a thing of that kind and name in a store."""
    folder = f"{kind}/{name[:2]}" if kind == "records" else kind
    return f"{folder}/{name}{SUFFIX[kind]}"


def logits_file(key: str) -> str:
    return file_name("records", key).removesuffix(SUFFIX["records"]) + ".npz"


class Store:
    """Results behind one backend. Use `open`, `create` or `view`."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.complaints: list[str] = []
        # Records are immutable: one that was whole once is not read again.
        self._records: dict[str, Record] = {}

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
            head = json.loads(backend.read(HEAD))
            written = int(head["format"])
        except FileNotFoundError:
            raise PrunebenchError(
                f"no store in {backend.url!r}", "`prunebench run` makes one; --store names it"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PrunebenchError(
                f"cannot read {backend.location(HEAD)}: {error}", f"expected the {HEAD} of a prunebench store"
            ) from None
        if written > FORMAT:
            raise PrunebenchError(
                f"the store {backend.url!r} was written by prunebench {head.get('prunebench')} in format {written}",
                f"this version reads format {FORMAT}: upgrade prunebench, or name another --store",
            )
        return cls(backend)

    @classmethod
    def create(cls, name: str | Path) -> Store:
        """The store in that folder or at that URL, created if needed."""
        backend = backends.at(name)
        backend.check()
        if not backend.exists(HEAD):
            # A run that was killed at this point leaves a temporary file and nothing else; another run may have
            # created the store since.
            if not backend.is_empty() and not backend.exists(HEAD):
                raise PrunebenchError(f"{backend.url!r} is not empty and no store", "name an empty or new folder")
            backend.write(HEAD, text({"format": FORMAT, "prunebench": version()}))
        backend.prepare()
        return cls.open(name)

    @classmethod
    def view(cls, name: str | Path) -> Store:
        """The store if there is one, or else an empty view of where it could be. Writes nothing."""
        backend = backends.at(name)
        backend.check()
        return cls.open(name) if backend.exists(HEAD) else cls(backend)

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
        return self._records.get(key)

    def fetch(self, keys: Collection[str]) -> dict[str, Record]:
        """The records of these keys that are there and whole, read together."""
        new = {file_name("records", key): key for key in keys if key not in self._records}
        for name, data in self.backend.read_all(new).items():
            self._parse(new[name], data)
        return {key: self._records[key] for key in keys if key in self._records}

    def records(self) -> Iterator[Record]:
        """Every record of the store."""
        yield from self.fetch(self.keys("records")).values()

    def keys(self, kind: str) -> list[str]:
        """The names of all files of that kind; damaged ones that were set aside have another ending."""
        paths = map(PurePosixPath, self.backend.names(kind))
        return [path.stem for path in paths if path.suffix == SUFFIX[kind]]

    def _parse(self, key: str, data: bytes) -> None:
        try:
            self._records[key] = serialization.parse_record(data, key)
        except Damaged as error:
            name = file_name("records", key)
            aside = self.backend.set_aside(name).rpartition("/")[2]
            self.complaints.append(f"{self.backend.location(name)} {error}: moved to {aside}, to be computed again")

    def add_record(self, record: Record, logits: bytes) -> None:
        """Store a record and its logits, an npz file; the first one to be written stays."""
        if self.record(record.key) is None:
            self.backend.write(logits_file(record.key), logits)
            self.backend.write(file_name("records", record.key), serialization.encode_record(record, logits))
        self.forget_failure(record.key)

    def logits(self, key: str) -> dict[str, np.ndarray]:
        """The logits of that record by evaluation, shape (examples, labels); empty where there is no file.

        A record that came from a bundle has predictions of shape (examples,) in their place.

        Raises PrunebenchError where the file is damaged or belongs to another record; both are then set aside.
        """
        name, record_name = logits_file(key), file_name("records", key)
        try:
            data = self.backend.read(name)
            arrays = serialization.parse_arrays(data)
            if not serialization.matches(data, self.backend.read(record_name)):
                raise ValueError("it was not written with its record")
            return arrays
        except FileNotFoundError:
            return {}
        except ValueError as error:
            for file in (name, record_name):
                self.backend.set_aside(file)
            self._records.pop(key, None)
            raise PrunebenchError(
                f"cannot trust {self.backend.location(name)}: {error}",
                "it was set aside with its record: `prunebench run` makes both again",
            ) from None

    def predictions(self, key: str) -> dict[str, np.ndarray]:
        """The predicted class or score of every example, by evaluation."""
        return {evaluation: serialization.predictions(logits) for evaluation, logits in self.logits(key).items()}

    # Failures

    def failure(self, key: str) -> Failure | None:
        return self.failures([key]).get(key)

    def failures(self, keys: Collection[str]) -> dict[str, Failure]:
        """Why the jobs of those keys failed, where they did."""
        names = {file_name("failures", key): key for key in keys}
        failures = {}
        for name, data in self.backend.read_all(names).items():
            with contextlib.suppress(ValidationError):
                failures[names[name]] = Failure.model_validate_json(data)
        return failures

    def add_failure(self, key: str, reason: str, details: str = "") -> None:
        failure = Failure(key=key, reason=reason, details=details)
        self.backend.write(file_name("failures", key), text(failure.model_dump()))

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
            return read(data)
        except Exception as error:
            self.backend.set_aside(file)
            raise InputMissing(f"{self.backend.location(file)} is damaged and was set aside") from error

    def add_bytes(self, kind: str, name: str, data: bytes) -> None:
        """Store a file unless there is one of that name."""
        if not self.backend.exists(file_name(kind, name)):
            self.backend.write(file_name(kind, name), data)

    def write_checkpoint(self, key: str, data: bytes) -> None:
        self.backend.write(file_name("checkpoints", key), data)

    def discard_checkpoint(self, key: str) -> None:
        self.backend.remove(file_name("checkpoints", key))

    def discard_weights(self, weights: WeightsRef) -> None:
        self.backend.remove(file_name("weights", weights.name))

    # Plans and runs

    def add_plan(self, plan: StoredPlan) -> StoredPlan:
        """Remember which cells were asked for, and when; asking again makes them the newest."""
        written = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
        stored = plan.model_copy(update={"written": written})
        identifier, data = serialization.encode_plan(stored)
        self.backend.write(file_name("plans", identifier), data)
        return stored

    def plans(self, kind: str | None = RUN) -> list[StoredPlan]:
        """All plans of that kind, or of every kind if it is None, the newest last."""
        plans = []
        names = [name for name in self.backend.names("plans") if name.endswith(SUFFIX["plans"])]
        for name, data in self.backend.read_all(names).items():
            try:
                plan = serialization.parse_plan(data)
            except Damaged as error:
                self.complaints.append(f"{self.backend.location(name)} {error}; it is left out")
                continue
            if kind in (None, plan.kind):
                plans.append(plan)
        return sorted(plans, key=lambda plan: plan.written)

    def claims(self) -> contextlib.AbstractContextManager[claims.RunClaims]:
        """Announce an active run, so that other runs on this store skip its jobs."""
        return claims.active_run(self.backend)

    def snapshot(self, keys: Collection[str]) -> Snapshot:
        """The contents at this moment: records and failures of `keys`, and every mask, model and weight file."""
        files = frozenset(name for kind in ("masks", "weights", "models") for name in self.backend.names(kind))
        failed = {Path(name).stem for name in self.backend.names("failures")}
        failures = self.failures([*failed.intersection(keys)])
        return Snapshot(self.fetch(keys), files, {key: failure.reason for key, failure in failures.items()})


@dataclass(frozen=True)
class Snapshot:
    """A store at one moment: whole records, the names of masks, models and weights, and why jobs failed."""

    records: Mapping[str, Record]
    files: frozenset[str]
    failures: Mapping[str, str]

    def has(self, kind: str, name: str) -> bool:
        return name in self.records if kind == "records" else file_name(kind, name) in self.files
