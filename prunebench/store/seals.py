"""Seals: what binds a file of a store to its own name, and shows any change of it.

A seal is the first thing in a file: the SHA-256 of the file without these 64 digits, and the name of the file. Other
tools read a sealed file as before. JSON has the seal as its first two fields, safetensors in the metadata:

    {"checksum": "9f…", "file": "plans/5a….json", "kind": "run", …}
    <8 bytes>{"__metadata__":{"checksum":"9f…","file":"masks/5a….safetensors","mask":…},…}<tensors>

The digits stand at a fixed position, so that no part of a damaged file is parsed before the whole is checked. Records
and their logits have checksums of their own (see `serialization`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable

from prunebench.store.backends import Damaged

DIGITS = 64
_JSON = b'{"checksum": "'
_TENSORS = b'{"__metadata__":{"checksum":"'
_NAME = re.compile(rb'", ?"file": ?("(?:[^"\\]|\\.)*")(?:, )?')


def seal_json(file: str, data: bytes) -> bytes:
    """The text of a JSON object that is not empty, with a seal for that file name."""
    rest = f'", "file": {json.dumps(file)}, '.encode() + data[1:]
    return _JSON + _digest((_JSON, rest)) + rest


def seal_tensors(file: str, data: bytes) -> bytes:
    """A safetensors file with a seal for that file name, in place of one that it may have.

    Raises:
        ValueError: if `data` is no safetensors file.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    about = header.pop("__metadata__", {})
    metadata = {
        "checksum": "",
        "file": file,
        **{name: about[name] for name in about if name not in ("checksum", "file")},
    }
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    size = len(text) + DIGITS
    # Tensors begin at a multiple of eight bytes, as the library aligns them.
    rest = text[len(_TENSORS) :] + b" " * (-size % 8)
    start = (size + -size % 8).to_bytes(8, "little") + _TENSORS
    tensors = memoryview(data)[end:]
    return b"".join((start, _digest((start, rest, tensors)), rest, tensors))


def is_sealed(data: bytes) -> bool:
    """Whether a file begins as a sealed one does."""
    return _position(data) is not None


def check(file: str, data: bytes) -> None:
    """Raise Damaged unless `data` was sealed for that file name and is as it was."""
    start = _position(data)
    if start is None:
        raise Damaged("has no checksum" if data else "is empty")
    view, end = memoryview(data), start + DIGITS
    if _digest((view[:start], view[end:])) != data[start:end]:
        raise Damaged("does not match its checksum")
    name = _NAME.match(data, end)
    holds = json.loads(name[1]) if name else "no name"
    if holds != file:
        raise Damaged(f"holds {holds}")


def unseal_json(file: str, data: bytes) -> bytes:
    """The JSON object that was sealed for that file name, as text. Raises Damaged as `check` does."""
    check(file, data)
    name = _NAME.match(data, len(_JSON) + DIGITS)
    assert name is not None
    return b"{" + data[name.end() :]


def _position(data: bytes) -> int | None:
    """Where the digits of a seal begin."""
    if data.startswith(_JSON):
        return len(_JSON)
    return 8 + len(_TENSORS) if data.startswith(_TENSORS, 8) else None


def _digest(parts: Iterable[bytes | memoryview]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest().encode()
