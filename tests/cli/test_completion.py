"""Shell completion, through click's own classes and in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from commands import call, refused
from plugin_files import plugin_file

from prunebench.cli import cli, completion


def complete(*words):
    """What is offered for the last word, by value, with the help beside it."""
    shell = ShellComplete(cli, {}, "prunebench", completion.VARIABLE)
    return {item.value: item.help for item in shell.get_completions([*map(str, words[:-1])], words[-1])}


def kinds(*words):
    shell = ShellComplete(cli, {}, "prunebench", completion.VARIABLE)
    return {item.type for item in shell.get_completions([*map(str, words[:-1])], words[-1])}


def test_commands_and_options():
    assert set(complete("ru")) == {"run"}
    assert complete("ru")["run"] == "Run a suite, or what the options say."
    assert set(complete("store", "")) == {"gc", "ls", "merge", "rm"}
    assert set(complete("run", "--se")) == {"--seeds"}
    assert {"--tasks", "--strategies", "--all", "--code"} <= set(complete("leaderboard", "--"))
    assert set(complete("--st")) == {"--store"}
    assert set(complete("help", "lea")) == {"leaderboard"}
    assert "run" in complete("nothing", ""), "no error in the middle of a line"


@pytest.mark.parametrize("command", ["run", "plan", "leaderboard", "results", "transfer", "bundle"])
def test_suites(command):
    assert set(complete(command, "q")) == {"quick"}
    assert {"glue", "quick", "smoke"} <= set(complete(command, ""))
    assert kinds(command, "./mine.to") == {"file"}


@pytest.mark.parametrize("command", ["run", "leaderboard", "glue-submission"])
def test_tasks(command):
    assert set(complete(command, "--tasks", "mr")) == {"mrpc"}
    assert complete(command, "--tasks", "mr")["mrpc"].startswith("MRPC: ")
    assert set(complete(command, "--tasks", "mrpc,rte,r")) == set(), "each task is named once"
    assert set(complete(command, "--tasks", "mrpc,r")) == {"mrpc,rte"}
    assert set(complete("transfer", "--sources", "mrpc,r")) == {"mrpc,rte"}
    assert set(complete("attention", "--task", "mr")) == {"mrpc"}


@pytest.mark.parametrize("command", ["run", "results"])
def test_strategies(command):
    assert {"imp", "heads", "magnitude"} <= set(complete(command, "--strategies", ""))
    assert set(complete(command, "--strategies", "imp,magn")) == {"imp,magnitude", "imp,magnitude-init"}
    assert set(complete(command, "--strategies", "imp[rate=0.2,of=remaining],magnitude-")) == {
        "imp[rate=0.2,of=remaining],magnitude-init"
    }
    assert complete("compare", "imp", "magnitude-").keys() == {"magnitude-init"}


def test_options_of_strategies():
    assert complete("run", "--strategies", "heads,imp[ra") == {"heads,imp[rate=": "float"}
    assert {"imp[rate=", "imp[of=", "imp[rewind="} == set(complete("run", "--strategies", "imp["))
    assert {"imp[rate=0.2,of=", "imp[rate=0.2,rewind="} == set(complete("run", "--strategies", "imp[rate=0.2,"))
    assert complete("run", "--strategies", "nothing[") == {}


def test_strategies_of_a_plugin_file(tmp_path):
    file = plugin_file(tmp_path)
    assert complete("run", "--plugin", file, "--strategies", "mi") == {"mine": "My own method."}
    assert complete("run", "--strategies", "mi") == {}
    file.write_text("1 / 0")
    assert set(complete("run", "--plugin", file, "--strategies", "imp")) == {"imp"}


def test_values_of_other_options():
    assert set(complete("run", "--device", "")) == {"auto", "cpu", "cuda"}
    assert set(complete("run", "--precision", "b")) == {"bf16"}
    assert set(complete("run", "--executor", "")) >= {"here", "processes", "ray"}
    assert set(complete("run", "--model", "quick")) == {"quick-bert"}
    assert "distilbert/distilbert-base-uncased" in complete("run", "--model", "distilbert/")
    for option, value in {"--model": "./models", "--glue-dir": "", "--store": ""}.items():
        assert kinds("run", option, value) == {"dir"}
    assert kinds("run", "--plugin", "") == {"file"}
    assert set(complete("list", "s")) == {"strategies", "structures", "suites"}


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_script_of_each_shell(shell):
    script = call("completion", shell)
    assert (script.status, script.err) == (0, "")
    assert completion.VARIABLE in script.out
    assert shell in call("completion", "--help").out


def test_an_unknown_shell_is_one_line():
    refused(call("completion", "tcsh"), "'tcsh' is not one of 'bash', 'zsh', 'fish'")


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
def test_it_works_in_bash(tmp_path):
    """As readline would call it, with the words before the cursor."""
    program = tmp_path / "prunebench"
    program.write_text(f"#!{sys.executable}\nfrom prunebench.cli import main\nmain()\n")
    program.chmod(0o755)
    script = """
        eval "$(prunebench completion bash)"
        COMP_WORDS=(prunebench run --tasks rte,mr); COMP_CWORD=3
        _prunebench_completion prunebench
        echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, cwd=Path.cwd())
    assert (done.stdout, done.stderr) == ("rte,mrpc\n", "")
