"""A command line run in this process. Tests import it by this name."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import NamedTuple

import pytest

from prunebench import cli


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
