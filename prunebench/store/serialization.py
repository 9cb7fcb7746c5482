"""What stands in the files of a store: JSON, records with their checksum, arrays. Imports nothing of the project."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
# Where the seconds of a job went, in a record; what prediction alone took stands beside them, a part of the last.
SECONDS = ("load", "train", "strategy", "prune", "evaluate")

Record = Mapping[str, Any]


def text(value: Any) -> bytes:
    """JSON in which equal values are equal bytes."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def compact(value: Any) -> bytes:
    """The same in one line, which takes a tenth of the time."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def sealed(record: Record, logits: bytes = b"") -> bytes:
    """A record's file: the record, the checksum of its text, and that of the logits beside it."""
    return text({"checksum": checksum(record), "logits": hashlib.sha256(logits).hexdigest(), "record": record})


def belongs(logits: bytes, data: bytes) -> bool:
    """Whether these are the logits that were written with a record's file; an old one does not say."""
    said = json.loads(data).get("logits")
    return said is None or said == hashlib.sha256(logits).hexdigest()


def checksum(record: Record) -> str:
    return hashlib.sha256(text(record)).hexdigest()


def checksum_of_text(data: bytes) -> str:
    """The checksum of the record in a file as `sealed` lays it out: of its text there, each line one space to the left.

    To encode the record again gives the same, and takes ten times as long.
    """
    inner = data.partition(b'\n "record": ')[2].removesuffix(b"\n}\n")
    return hashlib.sha256(inner.replace(b"\n ", b"\n") + b"\n").hexdigest()


def opened(data: bytes, key: str) -> tuple[Record, str]:
    """The record in a file, and what is wrong with it, or ""."""
    try:
        outer = json.loads(data)
        record, said = outer["record"], outer["checksum"]
        if record["format"] > FORMAT:
            return record, f"is of format {record['format']}, newer than {FORMAT}"
        if record["key"] != key:
            return record, f"holds the record of {record['key']}"
    except (ValueError, KeyError, TypeError):
        return {}, "is torn or foreign"
    whole = said == checksum_of_text(data) or said == checksum(record)
    return record, "" if whole else "does not match its checksum"


def decided(logits: np.ndarray) -> np.ndarray:
    """What is scored of logits of shape (examples, labels): the largest one's class, or the one score itself."""
    import numpy as np

    if logits.shape[1] == 1:
        return np.asarray(logits[:, 0], dtype="<f4")
    return np.asarray(logits.argmax(axis=1), dtype=np.uint8 if logits.shape[1] <= 256 else "<u2")


def arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an npz file by name; a ValueError for anything else. Nothing is ever unpickled."""
    import numpy as np

    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from None
