"""Run a command line in this process, and look at what it printed and left in a store."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from click.testing import CliRunner, Result

from prunebench import cli
from prunebench.store.store import Store


class CommandResult(NamedTuple):
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.out.splitlines()[-1]


def call(*words: object, stream: Callable[[], io.StringIO] = io.StringIO) -> CommandResult:
    """Exit status, stdout and stderr of `prunebench` with these words; `stream()` stands for its stderr."""
    out, err = io.StringIO(), stream()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    return CommandResult(end.value.code, out.getvalue(), err.getvalue())


def invoke(command: click.Command, arguments: Sequence[str]) -> Result:
    """The result of one command, called by itself. It keeps the first names of its help option that it sees."""
    return CliRunner().invoke(command, arguments, help_option_names=["-h", "--help"])


def refused(result: CommandResult, *parts: str) -> list[str]:
    """Check for exit status 2 and one clear line that holds all `parts`; returns the other lines of stderr."""
    lines = result.err.splitlines()
    ours = [line for line in lines if line.startswith("prunebench: ")]
    assert len(ours) == 1, result.err
    assert result.status == 2
    assert "Traceback" not in result.out + result.err
    assert not ours[0][12].isupper() or ours[0][13].isupper(), "lower case, but for names such as GLUE"
    assert not ours[0].endswith(".")
    for part in parts:
        assert part in ours[0]
    return [line for line in lines if line not in ours]


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cell_states(name: str | Path) -> dict[tuple[str, float, int], str]:
    """For each cell of a store's newest plan, by method, sparsity and seed: "done", "failed" or "missing"."""
    store = Store.open(name)
    states = {}
    for cell in store.plans()[-1].cells:
        failed = store.failure(cell.key) is not None
        done = store.record(cell.key) is not None
        states[cell.label, cell.sparsity, cell.seed] = "done" if done else "failed" if failed else "missing"
    return states


def lasting(name: str | Path) -> dict[str, dict[str, Any]]:
    """The records of a sound store by key, without what may differ between two runs of the same thing."""
    store = Store.open(name)
    varying = {"seconds", "peak_memory_mb", "plan"}
    records = {
        record.key: {field: value for field, value in record.to_json().items() if field not in varying}
        for record in store.records()
    }
    assert store.complaints == []
    return records
