"""A command line run in this process, and what it leaves in a store. Tests import it by this name."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from prunebench import cli
from prunebench.store.store import Store


class Said(NamedTuple):
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.out.splitlines()[-1]


def call(*words: object, stream: Callable[[], io.StringIO] = io.StringIO) -> Said:
    """Exit status, stdout and stderr of `prunebench` with these words; `stream()` stands for its stderr."""
    out, err = io.StringIO(), stream()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    return Said(end.value.code, out.getvalue(), err.getvalue())


def lasting(name: str | Path) -> dict[str, dict[str, Any]]:
    """The records of a sound store by key, without what may differ between two runs of the same thing."""
    store = Store.open(name)
    varying = {"seconds", "peak_memory_mb"}
    records = {
        record.key: {field: value for field, value in record.to_json().items() if field not in varying}
        for record in store.records()
    }
    assert store.complaints == []
    return records
