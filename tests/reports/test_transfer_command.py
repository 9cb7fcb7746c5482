"""`prunebench transfer`."""

from __future__ import annotations

import pytest
from commands import call


@pytest.fixture(scope="module")
def words(on_tiny):
    return [*on_tiny, "--seeds", "1", "--epochs", "1", "--batch-size", "16"]


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_command_reuses_a_run_and_adds_nothing_to_a_leaderboard(words, tmp_path):
    """A second call does nothing and writes the same files."""
    store = ["--store", tmp_path / "store"]
    tasks = ["--tasks", "rte,stsb"]
    assert call("run", *words, *tasks, *store, "--strategies", "imp", "--sparsities", "0.1")[0] == 0
    page = ["leaderboard", *store, "--format", "md,csv", "--out"]
    assert call(*page, tmp_path / "before")[0] == 0
    before = files(tmp_path / "store")
    arguments = ["transfer", *words, *tasks, *store, "--sparsity", "0.1", "--out", tmp_path / "out"]
    status, text, _ = call(*arguments, "--dry-run")
    # For each task, IMP and its dense run are done; a random mask, θ0's and the other task's are left.
    assert status == 0 and "To run:        12 phases, 6 trainings" in text and "Expected cost: about" in text
    assert files(tmp_path / "store") == before
    status, text, err = call(*arguments)
    assert status == 0, err
    assert "To run:        12 phases, 6 trainings" in text
    assert "imp at sparsity 0.1: difference from dense × 100" in text
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md", "transfer.csv", "transfer.png", "transfer.svg"
    ]  # fmt: skip
    assert text.splitlines()[-1].startswith(f"Written: {tmp_path / 'out'}/transfer.svg")
    assert "prunebench transfer" in (tmp_path / "out" / "README.md").read_text()
    assert call(*page, tmp_path / "after")[0] == 0
    for name in ("README.md", "results.csv"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()
    first = files(tmp_path / "out")
    status, text, _ = call(*arguments, "--delta", "2.5", "--out", tmp_path / "lax")
    assert status == 0 and "δ is 2.5 points of 100." in text
    assert "Here δ is 2.5 points of 100." in (tmp_path / "lax" / "README.md").read_text()
    status, text, _ = call(*arguments)
    assert status == 0 and "Nothing is left to run" in text
    assert files(tmp_path / "out") == first


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--tasks", "rte"], ["nothing to transfer", "'rte' is the only task"]),
        (["--tasks", "rte,mrpc", "--sources", "rtee"], ["unknown task 'rtee'", "did you mean 'rte'?"]),
        (["--tasks", "rte,mrpc", "--strategy", "imq"], ["unknown strategy 'imq'", "did you mean 'imp'?"]),
        (["--tasks", "rte,mrpc", "--strategy", "random-pruning"], ["a control", "--controls"]),
        (["--tasks", "rte,mrpc", "--sparsity", "70"], ["sparsity 70", "outside [0, 1)"]),
        (["--tasks", "rte,mrpc", "--delta", "0"], ["δ is 0 points", "more than 0 and less than 100"]),
        (["--tasks", "rte,mrpc", "--format", "gif"], ["unknown format 'gif'"]),
        (["--tasks", "rte,mrpc", "--controls", "heads"], ["'heads' prunes heads", "same units"]),
    ],
)
def test_a_bad_option_is_one_line(words, tmp_path, options, parts):
    status, _, err = call("transfer", *words, *options, "--store", tmp_path / "store")
    assert status == 2
    assert err.startswith("prunebench: ") and len(err.splitlines()) == 1
    assert all(part in err for part in parts), err
    assert not (tmp_path / "store").exists()


def test_sources_and_targets_alone_name_the_tasks(words, tmp_path):
    arguments = ["--sources", "rte", "--targets", "mrpc", "--controls", "none", "--sparsity", "0.1", "--dry-run"]
    status, text, err = call("transfer", *words, *arguments, "--store", tmp_path / "store")
    assert status == 0, err
    # mrpc: dense, IMP's round; rte: the training that leads to its mask; its mask on mrpc.
    assert "After sharing: 8 phases, 4 trainings" in text
