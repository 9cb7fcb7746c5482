"""How records, plans and logits become the bytes of files, and how damage is noticed when they are read."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from prunebench.store.schema import FORMAT, Cell, Record, StoredPlan, text

if TYPE_CHECKING:
    import numpy as np


class Damaged(ValueError):
    """A file is not as it was written; the message says how."""


def compact(value: Any) -> bytes:
    """JSON in one line; a tenth of the time that `text` takes."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


class _RecordFile(BaseModel):
    """A record with its checksum and the checksum of its logits, which the oldest files do not have."""

    checksum: str
    logits: str | None = None
    record: Record


def encode_record(record: Record, logits: bytes = b"") -> bytes:
    """A record's file: the record, the checksum of its text, and the checksum of its logits."""
    logits_checksum = hashlib.sha256(logits).hexdigest()
    return text({"checksum": record.checksum, "logits": logits_checksum, "record": record.to_json()})


def parse_record(data: bytes, key: str) -> Record:
    """The record in a file. Raises Damaged where it is torn, foreign, altered or of a newer format."""
    try:
        file = _RecordFile.model_validate_json(data)
        # In this order: the first is enough for every file that `encode_record` wrote.
        whole = file.checksum == _checksum_of_text(data) or file.checksum == file.record.checksum
    except ValueError:  # no record, or one with a number such as 1e999, which JSON can hold and a record cannot
        raise Damaged(_complaint(data)) from None
    if file.record.key != key:
        raise Damaged(f"holds the record of {file.record.key}")
    if not whole:
        raise Damaged("does not match its checksum")
    return file.record


def _complaint(data: bytes) -> str:
    try:
        written = json.loads(data)["record"]["format"]
        if isinstance(written, int) and written > FORMAT:
            return f"is of format {written}, newer than {FORMAT}"
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return "is torn or foreign"


def _checksum_of_text(data: bytes) -> str:
    """The checksum of the record in a file as `encode_record` writes it, from the text itself.

    The record stands there as `text` would give it alone, each line one space to the right. Encoding the record again
    gives the same and takes ten times as long.
    """
    record = data.partition(b'\n "record": ')[2].removesuffix(b"\n}\n")
    return hashlib.sha256(record.replace(b"\n ", b"\n") + b"\n").hexdigest()


def matches(logits: bytes, record_file: bytes) -> bool:
    """Whether these logits were written together with a record's file. The oldest files do not say."""
    checksum = json.loads(record_file).get("logits")
    return checksum is None or checksum == hashlib.sha256(logits).hexdigest()


_CELLS = TypeAdapter(list[Cell])


def encode_plan(plan: StoredPlan) -> tuple[str, bytes]:
    """A plan's identifier and its file. The same cells of the same command have the same identifier."""
    # Encoded once and apart from the rest: 1 KB a cell, and there may be 100,000.
    cells = _CELLS.dump_json(plan.cells)
    identifier = hashlib.sha256(compact([plan.suite, plan.command]) + cells).hexdigest()[:16]
    head = compact(plan.model_dump(mode="json", exclude={"cells"}))
    return identifier, head.removesuffix(b"}\n") + b', "cells": ' + cells + b"}\n"


def parse_plan(data: bytes) -> StoredPlan:
    """The plan in a file. Raises Damaged where it is none."""
    try:
        return StoredPlan.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Damaged(f"is no plan: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


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
    except (EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from None
