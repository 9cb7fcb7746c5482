"""The version, the help of every command, and options in front of the command."""

from __future__ import annotations

import importlib.metadata
import re
import resource
import subprocess
import sys

import pytest
from commands import CommandResult, call, refused

from prunebench.hooks.registry import Registry
from prunebench.planning.suite import PROTOCOL_OPTIONS, Suite

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


def groups(command):
    """The names of the options under each heading of a command's help."""
    parts = re.split(r"^(\S.*):\n", call(command, "--help").out, flags=re.MULTILINE)
    return {
        title: re.findall(r"^  (--[a-z-]+)", rows, re.MULTILINE)
        for title, rows in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_options_of_run_stand_in_groups():
    options = groups("run")
    assert list(options) == [
        *("What to run", "Model and data", "Protocol", "Arithmetic", "Where jobs run"),
        *("Results", "Other options", "Examples"),
    ]
    assert options["What to run"] == ["--tasks", "--strategies", "--sparsities", "--seeds", "--plugin"]
    assert "--model" in options["Model and data"]
    assert options["Protocol"] == ["--protocol", *(f"--{name.replace('_', '-')}" for name in PROTOCOL_OPTIONS)]
    assert options["Arithmetic"] == ["--precision", "--compile"]
    assert {"--jobs", "--executor", "--device"} <= {*options["Where jobs run"]}
    assert options["Results"] == ["--store", "--retry-failed", "--keep-models"]
    assert groups("plan")["Protocol"] == options["Protocol"]


def test_the_help_of_run_has_types_defaults_and_examples():
    text = call("run", "--help").out
    words = " ".join(text.split())
    assert "--lr FLOAT" in words and "--device auto|cpu|cuda" in words and "--epochs INTEGER" in words
    suite = Suite()
    for default in (suite.model, ",".join(suite.strategies), "0.3,0.5,0.7", "5", "processes", ".prunebench"):
        assert f"[default: {default}]" in words
    examples = [line.strip() for line in text.partition("Examples:\n")[2].splitlines() if line.strip()]
    assert len(examples) == 2


def test_the_examples_are_real(tmp_path):
    """Both can be planned, at least after a look at their options."""
    for line in call("run", "--help").out.partition("Examples:\n")[2].split("\n")[:2]:
        words = line.split()[2:]
        plan = call("plan", *words, "--glue-dir", tmp_path / "nowhere", "--model", "quick-bert", "--store", tmp_path)
        assert plan.status == 0 or "no GLUE folder" in plan.err


@pytest.mark.parametrize("words", [["run"], ["store"], ["store", "rm"], []], ids=" ".join)
def test_the_command_help(words):
    assert call("help", *words) == call(*words, "--help")


def test_help_of_an_unknown_command_is_one_line():
    refused(call("help", "rnu"), "unknown command 'rnu'", "'run'")
    refused(call("help", "store", "nothing"), "unknown command 'nothing'", "gc, ls, merge, rm")
    refused(call("help", "run", "more"), "unknown command 'more'")


def test_a_store_in_front_of_the_command(store, words):
    table = call("leaderboard", "--store", "store")
    assert table.status == 0
    assert call("--store", "store", "leaderboard") == table
    assert call("--store", "nowhere", "leaderboard", "--store", "store") == table, "the nearer one counts"
    assert call("--store", "store", "store", "ls") == call("store", "ls", "--store", "store")
    assert "Nothing is left to run" in call("--store", "store", "plan", *words).out
    assert "[default: elsewhere]" in " ".join(call("--store", "elsewhere", "run", "--help").out.split())
    assert call("--store", "other", "run", *words).last.startswith("Stored in other. ")


def test_every_command_that_has_a_store_takes_it_from_the_front():
    commands = {entry.name: entry.value for entries in Registry().entries("commands").values() for entry in entries}
    leaves = [command for command in commands.values() if any(param.name == "store" for param in command.params)]
    assert len(leaves) > 8
    for command in leaves:
        text = " ".join(call("--store", "elsewhere", command.name, "--help").out.split())
        assert "[default: elsewhere]" in text


def test_python_m_prunebench():
    done = subprocess.run([sys.executable, "-m", "prunebench", "help", "plan"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == call("help", "plan")


def test_help_takes_less_than_half_a_second():
    """Of processor time, because other tests run beside this one; the best of three."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "prunebench", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5
