"""Which code defines an object. The key of a result contains this, so results of changed code are never reused."""

from __future__ import annotations

import hashlib
import inspect
import sys

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
    """A digest of the source of an imported module."""
    return hashlib.sha256(inspect.getsource(sys.modules[module]).encode()).hexdigest()[:16]
