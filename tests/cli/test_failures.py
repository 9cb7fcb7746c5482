"""What fails in a run, and how the rest goes on."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from commands import call, cell_states, contents, refused
from plugin_files import plugin_file

from prunebench import cli
from prunebench.store.store import Store
from prunebench.training import loop


def test_a_strategy_that_raises_fails_only_its_own_cells(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = plugin_file(tmp_path, score="1 / 0")
    options = [*words, "--seeds", "2", "--strategies", "mine,magnitude", "--store", "store", "--plugin", file]
    result = call("run", *options)
    others = refused(
        result, "2 failures, 2 jobs left out because of that", "store/failures", "--retry-failed tries them"
    )
    line = 1 + file.read_text().split("\n").index("        return 1 / 0")
    reason = f"strategy 'mine' raised ZeroDivisionError: division by zero (mine.py, line {line})"
    assert [other for other in others if other.startswith("failed: ")] == [
        f"failed: rte, seed 0, mine 0.2: Train Prune(0.2) and 1 more: {reason}"
    ]
    assert result.last.startswith("Stored in store. ")
    assert cell_states(Path("store")) == {
        **{(label, 0.0, seed): "done" for label in ("dense", "dense[trainings=2]") for seed in (0, 1)},
        **{("magnitude", 0.2, seed): "done" for seed in (0, 1)},
        **{("mine", 0.2, seed): "failed" for seed in (0, 1)},
    }
    plugin_file(tmp_path)
    again = call("run", *options)
    assert again.status == 0
    assert set(cell_states(Path("store")).values()) == {"done"}


def test_failures_are_retried_on_request_only(words, tmp_path, monkeypatch):
    """A training that diverges always fails; another method that needs it fails with it, and costs nothing."""
    monkeypatch.chdir(tmp_path)
    options = [*words, "--lr", "1e30", "--store", "store"]
    refused(call("run", *options), "1 failure, 2 jobs left out because of that")
    again = call("run", *options, "--strategies", "magnitude,imp")
    others = refused(again, "prunebench: 10 phases left out that failed before", "--retry-failed")
    assert "Failed before: 10 phases; --retry-failed tries them again\nTo run:        0 phases" in again.out
    assert "Nothing is left to run: what has not failed is in store" in again.out
    [reason] = [line for line in others if line.startswith("failed before: rte, seed 0, dense: Train: ")]
    assert "diverged" in reason
    assert set(cell_states(Path("store")).values()) == {"failed"}
    rest = call("plan", *options, "--strategies", "magnitude,imp", "--retry-failed")
    assert "To run:        10 phases, 5 trainings" in rest.out
    refused(call("run", *options, "--retry-failed"), "1 failure, 2 jobs left out because of that")


@pytest.mark.parametrize(
    ("score", "parts"),
    [
        ("{}", ["strategy 'mine'", "no score for"]),
        ("{name: weight[0] for name, weight in ctx.weights.items()}", ["strategy 'mine'", "has shape (32,)"]),
        ("{name: weight * float('nan') for name, weight in ctx.weights.items()}", ["strategy 'mine'", "NaN"]),
    ],
    ids=["none", "shape", "nan"],
)
def test_an_invalid_score_is_one_line(store, words, tmp_path, score, parts):
    before = contents(store / "records")
    file = plugin_file(tmp_path, score=score)
    result = call("run", *words, "--strategies", "mine,magnitude", "--store", "store", "--plugin", file)
    [failed] = [line for line in refused(result) if line.startswith("failed: ")]
    assert all(part in failed for part in parts)
    assert contents(store / "records").items() >= before.items()


def test_an_unexpected_error_keeps_its_traceback_and_finished_results(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real = loop.train

    def breaks(model, data, protocol, seed, *args, **kwargs):
        if seed == 1:
            raise RuntimeError("not foreseen")
        return real(model, data, protocol, seed, *args, **kwargs)

    monkeypatch.setattr(loop, "train", breaks)
    with pytest.raises(RuntimeError, match="not foreseen") as error:
        cli.main(["run", *words, "--seeds", "3", "--store", "store"])
    assert any(entry.name == "breaks" for entry in error.traceback)
    states = cell_states(Path("store"))
    assert {seed for (_, _, seed), state in states.items() if state == "done"} == {0, 2}
    assert {seed for (_, _, seed), state in states.items() if state == "failed"} == {1}


def test_a_disk_that_fills_up_during_a_run(words, tmp_path, monkeypatch):
    """/dev/full answers every write with "no space left", as a full disk does; here from the first mask on."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    monkeypatch.chdir(tmp_path)
    real = tempfile.mkstemp

    def filled(**where):
        if Path(where["dir"]).name != "masks":
            return real(**where)
        name = Path(where["dir"], f"{where['prefix']}full")
        name.touch()
        return os.open("/dev/full", os.O_WRONLY), str(name)

    with monkeypatch.context() as disk:
        disk.setattr(tempfile, "mkstemp", filled)
        result = call("run", *words, "--store", "store")
    refused(result, "cannot write to the store 'store'", "no space is left", "what is stored is safe")
    # The job of dense has the mask too, so its weights are not there for the second training.
    states = {("dense", 0.0, 0): "done", ("dense[trainings=2]", 0.0, 0): "failed", ("magnitude", 0.2, 0): "failed"}
    assert cell_states(Path("store")) == states
    assert not [name for name in contents(Path("store")) if ".part-" in name]
    others = refused(call("run", *words, "--store", "store"), "3 phases left out that failed before")
    assert any("no space is left on its disk" in line for line in others)
    assert call("run", *words, "--store", "store", "--retry-failed").status == 0
    assert set(cell_states(Path("store")).values()) == {"done"}


@pytest.mark.parametrize("name", ["store", "another"])
def test_a_store_without_permission(first, words, monkeypatch, name):
    real = Store.create

    def as_nobody(folder):
        if os.geteuid() != 0:
            return real(folder)
        os.seteuid(65534)
        try:
            return real(folder)
        finally:
            os.seteuid(0)

    monkeypatch.setattr(Store, "create", as_nobody)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(first[0], root / "store")
        for path in [root, *root.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        untouched = contents(root)
        result = call("run", *words, "--seeds", "2", "--store", root / name)
        assert refused(result, f"cannot write to the store '{root / name}'", "no permission") == []
        assert contents(root) == untouched
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755)


def test_a_store_that_keeps_losing_weights_ends_the_run(words, tmp_path, monkeypatch):
    """It plans again a number of times, and then says so: it never ends as if everything were done."""
    from prunebench.execution import scheduler

    plans = []

    def always_replan(*arguments):
        plans.append(arguments)
        return scheduler.Report(replan=True)

    monkeypatch.setattr(scheduler, "run", always_replan)
    refused(call("run", *words, "--strategies", "imp", "--store", tmp_path / "store"), "10 times over", "another run")
    assert len(plans) == 10


def test_failures_before_planning_again_are_reported_in_the_end(words, tmp_path, monkeypatch):
    from prunebench.execution import scheduler

    real, passes = scheduler.run, []

    def replan_once(*arguments):
        passes.append(arguments)
        if len(passes) == 1:
            return scheduler.Report(failures={"rte, seed 0, mine 0.5": "it was wrong"}, skipped=2, replan=True)
        return real(*arguments)

    monkeypatch.setattr(scheduler, "run", replan_once)
    result = call("run", *words, "--strategies", "dense", "--store", tmp_path / "store")
    refused(result, "1 failure, 2 jobs left out because of that")
    assert "failed: rte, seed 0, mine 0.5: it was wrong" in result.err
    assert len(passes) == 2
