"""`prunebench calibrate`: its trainings, its file, and what may use that."""

from __future__ import annotations

import re
import shutil

import pytest
from commands import call, refused

from prunebench.planning.protocol_file import read, select
from prunebench.store.store import Store

GRID = ["--epochs", "1,2", "--lr", "1e-3,3e-3", "--warmup", "0", "--seeds", "2", "--batch-size", "16"]


@pytest.fixture(scope="session")
def calibrated(on_tiny, tmp_path_factory):
    """A folder with `store` and the file `p.toml` of a calibration on two tasks, and what it printed."""
    folder = tmp_path_factory.mktemp("calibrated")
    where = ["--store", folder / "store", "--out", folder / "p.toml"]
    return folder, call("calibrate", "--tasks", "rte,stsb", *on_tiny, *GRID, *where)


@pytest.fixture
def folder(calibrated, tmp_path, monkeypatch):
    """A copy of that folder, which is the working folder."""
    shutil.copytree(calibrated[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def test_a_file_with_all_trials(calibrated):
    folder, result = calibrated
    assert result.status == 0, result.err
    file = read(str(folder / "p.toml"))
    assert set(file.tasks) == {"rte", "stsb"} and file.seeds == [0, 1]
    for name, task in file.tasks.items():
        assert [(t.epochs, t.lr, t.steps) for t in task.trials] == [
            (1, 1e-3, 3), (1, 3e-3, 3), (2, 1e-3, 6), (2, 3e-3, 6)
        ]  # fmt: skip
        assert (task.train, task.carved) == (38, 10)
        # The scores are those of the records in the store.
        records = [r for r in Store.open(folder / "store").records() if r.experiment.task == f"{name}:carved"]
        assert len(records) == 8
        for entry in task.trials:
            mine = [r for r in records if (r.experiment.protocol["epochs"], r.experiment.protocol["lr"]) == (
                entry.epochs, entry.lr
            )]  # fmt: skip
            by_seed = {r.experiment.seed: r.evaluations["validation"].metrics[task.metric] for r in mine}
            assert entry.scores == [by_seed[0], by_seed[1]]
        assert select(task.trials).cost == task.selected.cost
    assert "rte: accuracy × 100 on 10 examples carved from train, after training on 38 others, 2 seeds" in result.out
    assert result.last.startswith(f"Written: {folder / 'p.toml'}. Use it: prunebench run --model ")
    progress = r"\[\d+/16 phases\] rte:carved, seed 0, epochs=2, lr=0.003, warmup=0: Train: "
    assert re.search(progress, result.err)


def test_other_dev_labels_change_nothing(folder, on_tiny, tiny_glue, trainings):
    shutil.copytree(tiny_glue, folder / "glue")
    dev = folder / "glue" / "RTE" / "dev.tsv"
    swapped = {"\tentailment": "\tnot_entailment", "\tnot_entailment": "\tentailment"}
    dev.write_text(re.sub("\t(not_)?entailment", lambda match: swapped[match[0]], dev.read_text()))
    words = [word if word != str(tiny_glue) else str(folder / "glue") for word in on_tiny]
    result = call("calibrate", "--tasks", "rte,stsb", *words, *GRID, "--store", "store", "--out", "q.toml")
    assert (result.status, trainings) == (0, [])
    assert "Nothing is left to run" in result.out
    assert read("q.toml").tasks == read("p.toml").tasks


def test_a_run_under_the_file_is_comparable_across_tasks_and_verifies(folder, on_tiny):
    methods = ["--strategies", "random-pruning[of=magnitude-init]", "--sparsities", "0.2", "--seeds", "1"]
    words = ["--tasks", "rte,stsb", *on_tiny, *methods, "--store", "runs"]
    result = call("run", *words, "--protocol", "p.toml")
    assert result.status == 0, result.err
    [plan] = Store.open("runs").plans()
    tasks = read("p.toml").tasks
    assert {cell.task: cell.setting.protocol for cell in plan.cells} == {
        name: f"calibrated-1 with epochs={task.epochs}, lr={task.lr}, batch_size=16, warmup=0.0"
        for name, task in tasks.items()
    }
    board = call("leaderboard", "--store", "runs", "--protocol", "calibrated-1")
    assert board.status == 0 and "Average of 2 GLUE tasks (dev)" in board.out
    assert call("bundle", "--store", "runs", "--out", "b.zip").status == 0
    glue = on_tiny[on_tiny.index("--glue-dir") + 1]
    verified = call("verify", "b.zip", "--glue-dir", glue)
    assert verified.status == 0, verified.out + verified.err


def test_a_suite_names_a_file_beside_it(folder, on_tiny, tmp_path, monkeypatch):
    (folder / "mine.toml").write_text('tasks = ["rte"]\nstrategies = ["magnitude-init"]\nprotocol = "p.toml"\n')
    monkeypatch.chdir(tmp_path)
    assert call("plan", "copy/mine.toml", *on_tiny, "--store", "s").status == 0
    refused(call("plan", "copy/mine.toml", *on_tiny, "--epochs", "1", "--store", "s"), "epochs", "p.toml", "none")
    assert call("plan", "copy/mine.toml", *on_tiny, "--epochs", "1", "--protocol", "none", "--store", "s").status == 0
    refused(call("plan", "copy/mine.toml", *on_tiny, "--tasks", "cola", "--store", "s"), "no task 'cola'", "rte, stsb")


def test_another_model_is_refused(folder, on_tiny, tiny_models):
    words = [word if not word.endswith("tiny-bert") else str(tiny_models["electra"]) for word in on_tiny]
    result = call("plan", "--tasks", "rte", *words, "--protocol", "p.toml", "--store", "s")
    refused(result, "the protocol file is for the model tiny-bert", "not for tiny-electra", "prunebench calibrate")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--seeds", "1"], ["1 seed has no standard error", "--seeds 2 or more"]),
        (["--lr", "fast"], ["bad lr 'fast'"]),
        (["--out", "none/p.toml"], ["no folder 'none'"]),
        (["--tasks", "rtee"], ["unknown task 'rtee'"]),
    ],
)
def test_bad_input_is_one_line_before_any_training(tmp_path, monkeypatch, on_tiny, trainings, words, parts):
    monkeypatch.chdir(tmp_path)
    refused(call("calibrate", "--tasks", "rte", *on_tiny, *words), *parts)
    assert trainings == [] and list(tmp_path.iterdir()) == []


def test_a_dry_run_writes_nothing(tmp_path, monkeypatch, on_tiny):
    monkeypatch.chdir(tmp_path)
    result = call("calibrate", "--tasks", "rte", *on_tiny, "--dry-run")
    assert result.status == 0 and "36 trainings" in result.out
    assert list(tmp_path.iterdir()) == []
