"""How records, plans and logits become the bytes of files, and how damage is noticed when they are read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from prunebench.store import seals
from prunebench.store.backends import Damaged as Damaged
from prunebench.store.files import file_name
from prunebench.store.schema import FORMAT, Cell, Failure, Record, StoredPlan, text

if TYPE_CHECKING:
    import numpy as np

# The first format whose files all have checksums.
SEALS_SINCE = 3

Model = TypeVar("Model", bound=BaseModel)


class Newer(Damaged):
    """A file is of a format that only newer versions read. It must stay as it is."""


def compact(value: Any) -> bytes:
    """JSON in one line; a tenth of the time that `text` takes."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


class RecordFile(BaseModel):
    """A record with its checksum and the checksum of its logits, which records before format 3 may not have."""

    model_config = ConfigDict(extra="forbid")

    checksum: str
    logits: str | None = None
    record: Record

    def matches(self, logits: bytes) -> bool:
        """Whether these logits were written together with the record, as far as its file says."""
        return self.logits is None or self.logits == hashlib.sha256(logits).hexdigest()


def encode_record(record: Record, logits: bytes = b"") -> bytes:
    """A record's file: the record, the checksum of its text, and the checksum of its logits."""
    logits_checksum = hashlib.sha256(logits).hexdigest()
    return text({"checksum": record.checksum, "logits": logits_checksum, "record": record.to_json()})


def parse_record(data: bytes, key: str) -> RecordFile:
    """A record's file. Raises Damaged where it is torn, foreign or altered, and Newer where it is of a newer format."""
    try:
        file = RecordFile.model_validate_json(data)
        # In this order: the first is enough for every file that `encode_record` wrote.
        whole = file.checksum == _checksum_of_text(data) or file.checksum == file.record.checksum
    except (ValueError, RecursionError):  # no record, or one with a number such as 1e999, which no record can hold
        raise _newer_record(data) or Damaged("is torn or foreign") from None
    if file.record.key != key:
        raise Damaged(f"holds the record of {file.record.key}")
    if not whole or (file.logits is None and file.record.format >= SEALS_SINCE):
        raise Damaged("does not match its checksum")
    return file


def _newer_record(data: bytes) -> Newer | None:
    """The error for a whole record of a newer format. Without the checksum it could be one whose format is damaged."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        fields = json.loads(data)
        if fields["checksum"] == hashlib.sha256(text(fields["record"])).hexdigest():
            return _newer(fields["record"])
    return None


def _newer(fields: Any) -> Newer | None:
    """The error for an object of a newer format, if it is one."""
    written = fields.get("format") if isinstance(fields, dict) else None
    if isinstance(written, int) and written > FORMAT:
        return Newer(f"is of format {written}, newer than {FORMAT}")
    return None


def _checksum_of_text(data: bytes) -> str:
    """The checksum of the record in a file as `encode_record` writes it, from the text itself.

    The record stands there as `text` would give it alone, each line one space to the right. Encoding the record again
    gives the same and takes ten times as long.
    """
    record = data.partition(b'\n "record": ')[2].removesuffix(b"\n}\n")
    return hashlib.sha256(record.replace(b"\n ", b"\n") + b"\n").hexdigest()


_CELLS = TypeAdapter(list[Cell])


def encode_plan(plan: StoredPlan) -> tuple[str, bytes]:
    """A plan's file name and its file. The same cells of the same command have the same name."""
    # Encoded once and apart from the rest: 1 KB a cell, and there may be 100,000.
    cells = _CELLS.dump_json(plan.cells)
    identifier = hashlib.sha256(compact([plan.suite, plan.command]) + cells).hexdigest()[:16]
    head = compact(plan.model_dump(mode="json", exclude={"cells"}))
    file = file_name("plans", identifier)
    return file, seals.seal_json(file, head.removesuffix(b"}\n") + b', "cells": ' + cells + b"}\n")


def parse_plan(file: str, data: bytes, *, needs_seal: bool = True) -> StoredPlan:
    """The plan in a file of that name. A file of a format before 3 needs no seal.

    Raises Damaged where it is none, and Newer where it is of a newer format.
    """
    return _parse(StoredPlan, file, data, needs_seal)


def encode_failure(failure: Failure) -> tuple[str, bytes]:
    """A failure's file name and its file."""
    file = file_name("failures", failure.key)
    return file, seals.seal_json(file, text(failure.model_dump()))


def parse_failure(file: str, data: bytes, *, needs_seal: bool = True) -> Failure:
    """The failure in a file of that name. Raises Damaged where it is none."""
    failure = _parse(Failure, file, data, needs_seal)
    if file_name("failures", failure.key) != file:
        raise Damaged(f"holds the failure of {failure.key}")
    return failure


def _parse(kind: type[Model], file: str, data: bytes, needs_seal: bool) -> Model:
    """The object of that class in a JSON file."""
    content = seals.unseal_json(file, data) if needs_seal or seals.is_sealed(data) else data
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = kind.__name__.removeprefix("Stored").lower()
        newer = None
        with contextlib.suppress(ValueError, RecursionError):
            newer = _newer(json.loads(content))
        raise newer or Damaged(f"is no {name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def predictions(logits: np.ndarray) -> np.ndarray:
    """The predictions for logits of shape (examples, labels): the class of the largest, or the one score itself.

    Predictions, of shape (examples,), stay as they are.
    """
    import numpy as np

    if logits.ndim == 1:
        return logits
    if logits.shape[1] == 1:
        return np.asarray(logits[:, 0], dtype="<f4")
    return np.asarray(logits.argmax(axis=1), dtype=np.uint8 if logits.shape[1] <= 256 else "<u2")


def encode_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays by name as an npz file."""
    import numpy as np

    with io.BytesIO() as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()


def parse_arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an npz file by name; a ValueError for anything else. Nothing is ever unpickled."""
    import numpy as np

    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:
        # zip, zlib, numpy and the parser of its headers raise a dozen kinds of errors for damaged files.
        raise ValueError(str(error)) from None
