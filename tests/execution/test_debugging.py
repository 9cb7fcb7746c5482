"""`--debug` and `--profile`: the same results, with a method's own traceback, its prompt and its cost."""

from __future__ import annotations

import re

import pytest
import torch
from commands import call
from plugin_files import SCORE, plugin_file

from prunebench.execution.profiling import PeakBytes
from prunebench.testing import run_tiny


@pytest.fixture
def run_mine(tiny_model, tiny_task, tmp_path):
    """Runs the method of a plugin file, with a score of its own."""

    def run_file(score, **options):
        file = plugin_file(tmp_path, score=score)
        return run_tiny(
            "mine", "0.5", model=tiny_model, task=tiny_task, store=tmp_path / "store", plugins=[file], **options
        )

    return run_file


def test_debug_raises_the_error_as_it_is(run_mine):
    with pytest.raises(ZeroDivisionError) as error:
        run_mine("1 / 0", debug=True)
    assert error.traceback[-1].path.name == "mine.py"
    # Without it, the error is one line about its method.
    [reason] = run_mine("1 / 0").failures.values()
    assert reason.startswith("strategy 'mine' raised ZeroDivisionError")


def test_a_method_has_the_terminal(run_mine, capsys):
    """A debugger's prompt has no newline at its end, so that a line would never be reported."""
    results = run_mine(f"print('(Pdb)', end=' ') or {SCORE}", debug=True)
    assert not results.failures
    assert capsys.readouterr().out == "(Pdb) "
    run_mine(f"print('(Pdb)', end=' ') or {SCORE} or 0")
    assert capsys.readouterr().out == "", "without it, lines go to the display"


def test_a_profile_counts_calls_and_bytes_and_changes_no_number(tiny_model, tiny_task, tmp_path):
    file = plugin_file(tmp_path, score="{n: torch.zeros(500_000) is None or w.abs() for n, w in ctx.weights.items()}")
    file.write_text(f"import torch\n{file.read_text()}")
    words = ["--tasks", "sst2", "--strategies", "mine,platon", "--sparsities", "0.5", "--seeds", "1", "--epochs", "1"]
    words += ["--model", tiny_model, "--glue-dir", tiny_task, "--plugin", file, "--device", "cpu", "--batch-size", "20"]
    profiled = call("run", *words, "--profile", "--store", tmp_path / "profiled")
    assert profiled.status == 0, profiled.err
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in profiled.out.splitlines() if len(line.split()) == 5}
    calls, seconds, megabytes = rows["mine", "score"]
    # One vector of 2 MB at a time.
    assert calls == "1" and float(seconds) > 0 and 2.0 <= float(megabytes) < 2.2
    # Two steps.
    assert rows["platon", "after_backward"][0] == rows["platon", "after_step"][0] == "2"
    plain = call("run", *words, "--executor", "here", "--store", tmp_path / "plain")
    scores = re.compile(r"^(mine|platon) .*", re.MULTILINE)
    tables = [[match[0] for match in scores.finditer(each.out.partition("\nmethod ")[0])] for each in (profiled, plain)]
    assert tables[0] == tables[1] and tables[0]
    assert "Nothing was called" in call("run", *words, "--profile", "--store", tmp_path / "profiled").out


def test_the_bytes_that_live_at_the_same_time_are_counted():
    with PeakBytes() as memory:
        one = torch.zeros(1000)
        other = one + 1
        view = other[:10]
        del one, other
        assert memory.peak == 8000 and memory.now == 4000
        del view
        torch.zeros(500)
    assert (memory.peak, memory.now) == (8000, 0)
