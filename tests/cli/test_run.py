"""`prunebench run`: its output, its progress, and what it leaves in the store."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
from commands import call, cell_states
from plugin_files import plugin_file

from prunebench.store.store import Store


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_the_smoke_suite_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("run", "smoke", "--executor", "here", "--seeds", "1", "--device", "cpu", "--strategies", "imp,heads")
    assert result.status == 0
    assert "sentiment (generated language, dev): accuracy" in result.out
    assert {line.split()[0] for line in result.out.splitlines() if line.startswith(("imp", "heads"))} == {
        "imp",
        "heads",
    }
    assert call("leaderboard", "--out", "page").status == 0
    assert "generated language" in Path("page/README.md").read_text()


def test_the_first_run_shows_its_results_and_their_location(first):
    store, result = first
    assert result.status == 0
    lines = result.out.splitlines()
    assert lines[:4] == [
        "Asked for:     3 cells, 6 phases, 5 trainings",
        "After sharing: 4 phases, 3 trainings",
        "In the store:  0 phases",
        "To run:        4 phases, 3 trainings",
    ]
    assert any(line.startswith("rte (dev): accuracy × 100, mean ± std over seed 0") for line in lines)
    tables = [line.split()[0] for line in lines if line.startswith(("dense", "majority ", "magnitude "))]
    assert tables == ["dense", "majority", "magnitude", "dense", "dense[trainings=2]", "majority", "magnitude"]
    [ranking] = [i for i, line in enumerate(lines) if line.startswith("Ranking, unstructured: rte (dev)")]
    assert ranking < lines.index("rte (dev): accuracy × 100, mean ± std over seed 0")
    assert result.last == f"Stored in {store}. Pages and tables: prunebench leaderboard --store {store} --out DIR"


def test_progress_is_plain_lines_without_a_terminal(first):
    lines = first[1].err.splitlines()
    time = r"(\d+ min )?\d+ s, loss \d\.\d{3}, accuracy \d+\.\d"
    assert len(lines) == 3
    left = r"about (\d+ min )?\d+ s left"
    assert re.fullmatch(rf"\[2/4 phases\] rte, seed 0, dense: Train: {time}, {left}", lines[0])
    equal = r"dense\[trainings=2\]: Train Train"
    assert re.fullmatch(rf"\[3/4 phases\] rte, seed 0, {equal}: {time}, {left}", lines[1])
    assert re.fullmatch(rf"\[4/4 phases\] rte, seed 0, magnitude 0\.2: Train Prune\(0\.2\) Train: {time}", lines[2])
    assert not {"\x1b", "\r"} & set(first[1].out + first[1].err)


def test_progress_is_live_on_a_terminal(words, tmp_path, monkeypatch):
    from prunebench.execution import display

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    update = display.Live.update

    def drawn(self, progress):
        """Every update is drawn, however soon the next one comes."""
        update(self, progress)
        self.bars.refresh()

    monkeypatch.setattr(display.Live, "update", drawn)
    file = plugin_file(tmp_path, score="1 / 0")
    options = ["--strategies", "magnitude,mine", "--store", tmp_path / "store", "--plugin", file]
    result = call("run", *words, *options, stream=Screen)
    assert "\x1b[" in result.err
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", result.err)
    assert re.search(r"[1-5]/6 phases +\S+ accuracy \d+\.\d, about .* left", text)
    assert re.search(r"6/6 phases +\S+ +accuracy \d+\.\d", text) and not re.search(r"6/6 phases.* left", text)
    job = r"rte, seed 0, magnitude 0\.2: Train Prune\(0\.2\) Train +\S+ "
    for note in ("0/3 starting", "pruning, scoring"):
        assert re.search(job + " *" + note, text)
    assert "mine 0.2: Train Prune(0.2): strategy 'mine' raised ZeroDivisionError: division by zero" in text
    assert "/6 phases]" not in text


def test_the_second_run_trains_nothing_and_says_so(store, words, first, trainings):
    result = call("run", *words, "--store", "store")
    assert trainings == []
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert "To run:        0 phases, 0 trainings" in lines
    assert "Nothing is left to run: every result is in store" in lines
    assert result.last.startswith("Stored in store. ")
    table = first[1].out.split("\n\n")[1:3]
    assert result.out.split("\n\n")[1:3] == table


def test_a_larger_run_trains_only_what_is_new(store, words, trainings):
    result = call("run", *words, "--seeds", "3,0", "--strategies", "magnitude,magnitude-init", "--store", "store")
    assert result.status == 0
    assert "In the store:  4 phases" in result.out
    # magnitude-init of seed 0, and dense, dense[trainings=2], magnitude and magnitude-init of seed 3
    assert len(trainings) == 5
    assert set(cell_states(store).values()) == {"done"}
    assert {seed for _, _, seed in cell_states(store)} == {0, 3}


def test_options_override_the_suite(store, words, tiny_bert, tiny_glue, tmp_path):
    suite = tmp_path / "mine.toml"
    suite.write_text(
        f'tasks = ["mrpc"]\nstrategies = ["imp"]\nsparsities = [0.5]\nseeds = 5\nmodel = "{tiny_bert}"\nepochs = 9\n'
        f'glue-dir = "{tiny_glue}"\ndevice = "cpu"\nprecision = "fp32"\nbatch-size = 16\n'
    )
    alone = call("plan", suite, "--store", "store")
    assert "Asked for:     10 cells, 85 phases, 35 trainings" in alone.out
    result = call("run", suite, *words, "--seeds", "3,", "--store", "store")
    assert result.status == 0
    plan = Store.open(store).plans()[-1]
    assert plan.suite == "mine"
    assert {(cell.task, cell.label, cell.sparsity, cell.seed) for cell in plan.cells} == {
        ("rte", "dense", 0.0, 3),
        ("rte", "dense[trainings=2]", 0.0, 3),
        ("rte", "magnitude", 0.2, 3),
    }
    assert {cell.setting.protocol for cell in plan.cells} == {"glue-1 with epochs=1, batch_size=16"}
    assert plan.command.startswith(f"prunebench run {suite} --tasks rte")


def test_a_torn_record_is_reported_and_made_again(store, words, trainings):
    record = next(path for path in (store / "records").rglob("*.json") if '"phase": "Prune"' in path.read_text())
    whole = json.loads(record.read_text())["record"]["evaluations"]
    record.write_text(record.read_text()[:100])
    result = call("run", *words, "--store", "store")
    assert result.status == 0
    assert f"{record.relative_to(store.parent)} is torn or foreign" in result.err
    assert json.loads(record.read_text())["record"]["evaluations"] == whole


def test_other_numbers_of_threads_move_logits_by_less_than_a_ten_thousandth(tmp_path):
    """Sums round in another order, which a few steps in fp32 make little of. With equal threads no bit differs."""
    words = ["run", "--tasks", "sentiment", "--model", "quick-bert", "--strategies", "imp", "--sparsities", "0.2"]
    words += ["--seeds", "1", "--train-limit", "48", "--eval-limit", "16", "--epochs", "1", "--device", "cpu"]
    for threads in (1, 2):
        store = tmp_path / str(threads)
        options = ["--precision", "fp32", "--jobs", 1, "--cpus-per-job", threads, "--store", store]
        assert call(*words, *options).status == 0
        assert {record.environment["threads"] for record in Store.open(store).records()} == {threads}
    one, two = (Store.open(tmp_path / str(threads)) for threads in (1, 2))
    keys = [record.key for record in one.records()]
    assert len(keys) == 3
    for key in keys:
        assert np.abs(one.logits(key)["validation"] - two.logits(key)["validation"]).max() < 1e-4
