"""Which code defines an object. The key of a result contains this, so results of changed code are never reused."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from prunebench.hooks import files
from prunebench.hooks.entries import Entry


def code(entry: Entry) -> dict[str, str]:
    """Distribution, version and digest of the source of the module that defines an object.

    For a file the version is empty, because it is a digest of the same source.
    """
    module = entry.value.__module__ if isinstance(entry.value, type) else entry.plugin.module.__name__
    return {
        "distribution": entry.plugin.distribution,
        "version": "" if entry.plugin.is_file else entry.plugin.version,
        "source": source_digest(module),
    }


def provenance(entry: Entry) -> str:
    """The same as text: `my-plugin 1.0 (3f2a91c0)`, or `mine.py 3f2a91c0` for a file."""
    if entry.plugin.is_file:
        return entry.plugin.source
    return f"{entry.plugin.source} ({code(entry)['source'][:8]})"


def source_digest(module: str) -> str:
    """A digest of the source of an imported module and, if it is part of a plugin's package, of the whole package.

    The source of a plugin file includes the files beside it that it imports. A method may rest on any module beside its
    own; a built-in one rests on the engine, whose number is in every key.
    """
    package = _package(module)
    if package is None or package.name == "prunebench":
        source = inspect.getsource(sys.modules[module])
        if module.startswith(files.PREFIX):
            return files.digest(Path(str(sys.modules[module].__file__)), source)[:16]
        return hashlib.sha256(source.encode()).hexdigest()[:16]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        text = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(text)}\n".encode() + text)
    return digest.hexdigest()[:16]


def digest_of(digests: Sequence[str]) -> str:
    """One digest of several."""
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]


def _package(module: str) -> Path | None:
    """The folder of the outermost package of the module; a namespace that several distributions share is none."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        parent = sys.modules.get(".".join(parts[:end]))
        if parent is not None and hasattr(parent, "__path__") and getattr(parent, "__file__", None):
            return Path(str(parent.__file__)).parent
    return None
