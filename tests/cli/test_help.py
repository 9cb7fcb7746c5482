"""The version, and the help of every command."""

from __future__ import annotations

import importlib.metadata

from commands import CommandResult, call

VERSION = importlib.metadata.version("prunebench")


def test_version():
    assert call("--version") == CommandResult(0, f"prunebench {VERSION}\n", "")


def test_help_describes_each_command():
    result = call()
    assert result == call("--help")
    commands = result.out.partition("Commands:\n")[2].splitlines()
    assert {line.split()[0] for line in commands} >= {"leaderboard", "list", "plan", "run"}
    assert all(line.endswith(".") and not line.endswith("...") for line in commands)
    options = call("run", "--help").out
    for name in ("--tasks", "--strategies", "--sparsities", "--seeds", "--model", "--glue-dir", "--store", "--plugin"):
        assert name in options
    for name in ("--precision", "--device", "--epochs", "--lr", "--batch-size", "--max-length", "--train-limit"):
        assert name in options
