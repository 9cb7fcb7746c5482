"""Where results lie: immutable records and masks by key, whole or not at all. Imports no torch.

store.json                        format and version of what wrote it
records/<2>/<key>.json, .npz      a result, and the logits of every example beside it
masks/<key>.safetensors           one bit a unit
weights/<name>.safetensors        only while another job trains on from them
failures/<key>.json               why a job failed; tried again by the next run
plans/<id>.json                   which cells were asked for, and what their records are called
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from prunebench.errors import PrunebenchError

FORMAT = 1
PART = ".part-"
STALE_SECONDS = 24 * 3600
SUFFIX = {"records": ".json", "masks": ".safetensors", "weights": ".safetensors", "failures": ".json"}


T = TypeVar("T")


class Store:
    """A folder of results. Use `open` or `create`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.complaints: list[str] = []

    @classmethod
    def open(cls, folder: Path | str) -> Store:
        """The store in `folder`, which must be one."""
        folder = Path(folder)
        path = folder / "store.json"
        try:
            head = json.loads(path.read_text())
            written = int(head["format"])
        except FileNotFoundError:
            raise PrunebenchError(
                f"no store in {str(folder)!r}", "`prunebench run` makes one; --store names it"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PrunebenchError(
                f"cannot read {path}: {error}", "expected the store.json of a prunebench store"
            ) from None
        if written > FORMAT:
            raise PrunebenchError(
                f"the store {str(folder)!r} was written by prunebench {head.get('prunebench')} in format {written}",
                f"this version reads format {FORMAT}: upgrade prunebench, or name another --store",
            )
        return cls(folder)

    @classmethod
    def create(cls, folder: Path | str) -> Store:
        """The store in `folder`, made where there is none."""
        folder = Path(folder)
        with cls(folder)._explained():
            if not (folder / "store.json").exists():
                # A run that was killed while it made the store leaves a temporary file and nothing else.
                if folder.is_dir() and any(not path.name.startswith(PART) for path in folder.iterdir()):
                    raise PrunebenchError(f"{str(folder)!r} is not empty and no store", "name an empty or new folder")
                from prunebench import __version__

                head = {"format": FORMAT, "prunebench": __version__}
                cls(folder)._write(folder / "store.json", _json(head))
            handle, probe = tempfile.mkstemp(dir=folder, prefix=PART)
            os.close(handle)
            os.unlink(probe)
            for part in folder.rglob(f"{PART}*"):
                if time.time() - part.stat().st_mtime > STALE_SECONDS:
                    part.unlink(missing_ok=True)
        return cls.open(folder)

    def path(self, kind: str, name: str) -> Path:
        folder = f"{kind}/{name[:2]}" if kind == "records" else kind
        return Path(f"{self.folder}/{folder}/{name}{SUFFIX[kind]}")

    def has(self, kind: str, name: str) -> bool:
        """Whether it is there and, for a record, whole: a torn or foreign record is set aside, never trusted."""
        if kind == "records":
            return self.record(name) is not None
        return self.path(kind, name).exists()

    def record(self, key: str) -> dict[str, Any] | None:
        """The record of that key, or None."""
        path = self.path("records", key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        reason = _fault(data, key)
        if not reason:
            return dict(json.loads(data)["record"])
        aside = _set_aside(path)
        self.complaints.append(f"{path} {reason}: moved to {aside.name}, to be computed again")
        return None

    def records(self) -> Iterator[dict[str, Any]]:
        """Every record of the store."""
        for path in sorted((self.folder / "records").glob("*/*.json")):
            record = self.record(path.stem)
            if record is not None:
                yield record

    def add_record(self, record: Mapping[str, Any], logits: bytes) -> None:
        """Keep a record and its predictions; the first one to be written stays."""
        path = self.path("records", record["key"])
        if self.record(record["key"]) is None:
            self._write(path.with_suffix(".npz"), logits)
            self._write(path, _json({"checksum": _checksum(record), "record": record}))
        with contextlib.suppress(FileNotFoundError):
            self.path("failures", record["key"]).unlink()

    def failure(self, key: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self.path("failures", key).read_text()))
        except (FileNotFoundError, ValueError):
            return None

    def add_failure(self, key: str, reason: str, details: str = "") -> None:
        self._write(self.path("failures", key), _json({"key": key, "reason": reason, "details": details}))

    def load(self, kind: str, name: str, read: Callable[[bytes], T]) -> T:
        """A mask or weights, as `read` understands the file.

        Raises InputMissing where it is gone, or damaged, in which case it is set aside; it is then made again.
        """
        path = self.path(kind, name)
        try:
            return read(path.read_bytes())
        except FileNotFoundError:
            raise InputMissing(f"{path} is gone") from None
        except OSError:
            raise
        except Exception as error:
            _set_aside(path)
            raise InputMissing(f"{path} is damaged and was set aside") from error

    def add_bytes(self, kind: str, name: str, data: bytes) -> None:
        path = self.path(kind, name)
        if not path.exists():
            self._write(path, data)

    def discard_weights(self, name: str) -> None:
        self.path("weights", name).unlink(missing_ok=True)

    def add_plan(self, cells: Sequence[Mapping[str, Any]], suite: str, command: str) -> None:
        """Remember which cells were asked for; asking again makes them the newest."""
        name = hashlib.sha256(_json([suite, command, cells])).hexdigest()[:16]
        plan = {
            "format": FORMAT,
            "suite": suite,
            "command": command,
            "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"),
            "cells": cells,
        }
        self._write(self.folder / "plans" / f"{name}.json", _json(plan))

    def plans(self) -> list[dict[str, Any]]:
        """All plans, the newest last."""
        plans = []
        for path in sorted((self.folder / "plans").glob("*.json")):
            try:
                plan = json.loads(path.read_text())
                plans.append({name: plan[name] for name in ("format", "suite", "command", "written", "cells")})
            except (ValueError, KeyError, TypeError):
                self.complaints.append(f"{path} is no plan: left out")
        return sorted(plans, key=lambda plan: plan["written"])

    def _write(self, path: Path, data: bytes) -> None:
        """Write a whole file or none: a temporary name in the same folder, flushed to disk, and renamed."""
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=PART)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                # A temporary file is its owner's alone; results are for everybody whom the folder lets in.
                os.chmod(temporary, 0o644)
                os.replace(temporary, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reasons = {
                errno.ENOSPC: "no space is left on its disk",
                errno.EDQUOT: "its disk quota is used up",
                errno.EACCES: "there is no permission to write there",
                errno.EPERM: "there is no permission to write there",
                errno.EROFS: "its disk is read-only",
                errno.ENOTDIR: "a part of its path is a file",
                errno.EEXIST: "a file is in its place",
            }
            if error.errno not in reasons:
                raise
            raise StoreError(
                f"cannot write to the store {str(self.folder)!r}: {reasons[error.errno]}",
                "what is stored is safe; the same command goes on from there",
            ) from error


class StoreError(PrunebenchError):
    """The store cannot be written: no job can go on."""


class InputMissing(PrunebenchError):
    """What a job starts from is not in the store any more: it has to be made again."""


def _set_aside(path: Path) -> Path:
    aside = path.with_suffix(".damaged")
    with contextlib.suppress(OSError):
        path.replace(aside)
    return aside


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(_json(record)).hexdigest()


def _fault(data: bytes, key: str) -> str:
    """What is wrong with a record file, or ""."""
    try:
        outer = json.loads(data)
        record, checksum = outer["record"], outer["checksum"]
        if record["format"] > FORMAT:
            return f"is of format {record['format']}, newer than {FORMAT}"
        if record["key"] != key:
            return f"holds the record of {record['key']}"
    except (ValueError, KeyError, TypeError):
        return "is torn or foreign"
    return "" if checksum == _checksum(record) else "does not match its checksum"
