"""`prunebench verify`: its verdict, what it could not check, and cells that are trained again."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from commands import call
from plugin_files import plugin_file

from prunebench.cli.complaints import LIMIT
from prunebench.execution.executors.local import SerialExecutor
from prunebench.sharing.bundle import archive, predictions, reader, rerun, retrain
from prunebench.store.schema import text


@pytest.fixture(scope="module")
def bundle(tiny_bert, tiny_glue, tmp_path_factory):
    """A bundle of runs and transfers: RTE and CoLA, one seed."""
    folder = tmp_path_factory.mktemp("lab")
    words = [
        *("--tasks", "rte,cola", "--seeds", "1", "--epochs", "1", "--batch-size", "16", "--lr", "1e-3"),
        *("--precision", "fp32", "--device", "cpu", "--model", tiny_bert, "--glue-dir", tiny_glue),
        *("--executor", "here", "--store", folder / "store"),
    ]
    status, _, err = call("run", *words, "--strategies", "imp,heads", "--sparsities", "0.2")
    assert status == 0, err
    status, _, err = call("transfer", *words, "--sparsity", "0.2")
    assert status == 0, err
    path = folder / "bundle.zip"
    assert call("bundle", "--store", folder / "store", "--transfers", "--out", path)[0] == 0
    return path


@pytest.fixture(scope="module")
def sources(tiny_bert, tiny_glue):
    """Where data and model lie, because a record has only the model's name."""
    return ["--glue-dir", tiny_glue, "--model", tiny_bert]


@pytest.fixture
def in_process(monkeypatch):
    """Run reruns in this process, which starts faster than a worker process."""
    monkeypatch.setattr(retrain, "_executor", lambda registry, threads: SerialExecutor())


def forge(path, out, change):
    """Write a bundle in which `change` altered records, masks and arrays, with all checksums made to fit."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    records, masks = (
        [json.loads(line) for line in members[f"{name}.jsonl"].splitlines()] for name in ("records", "masks")
    )
    arrays = {name: predictions.unpack(data, name).copy() for name, data in members.items() if name.endswith(".npy")}
    change(records, masks, arrays)
    for value in records:
        value["checksum"] = hashlib.sha256(text(value["record"])).hexdigest()
    members |= {name: predictions.pack(list(array)) for name, array in arrays.items()}
    for name, values in {"records": records, "masks": masks}.items():
        members[f"{name}.jsonl"] = "".join(json.dumps(value) + "\n" for value in values).encode()
    manifest = json.loads(members.pop("manifest.json"))
    manifest["summary"]["environment"] = {
        name: sorted({str(value["record"]["environment"][name]) for value in records})
        for name in manifest["summary"]["environment"]
    }
    manifest["members"] = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members.items()
    }
    out.write_bytes(archive.write({**members, "manifest.json": json.dumps(manifest).encode()}))
    return out


def drawn_cells(out):
    """The names of the cells that a rerun has drawn, from its output."""
    return re.findall(r"^ {10}(.+)$", out, re.MULTILINE)


def test_cells_trained_again_in_a_worker_process_are_the_same_bit_for_bit(bundle, sources):
    status, out, err = call("verify", bundle, *sources, "--rerun", "2", "--seed", "7")
    assert status == 0, err
    assert "drawn with --seed 7" in out and len(drawn_cells(out)) == 2
    assert re.search(r"holds: \d+ records were made again bit for bit\n", out)
    assert "not bit for bit" not in out


def test_all_cells_of_runs_and_transfers_can_be_trained_again(bundle, sources, in_process):
    number = len(reader.open_bundle(bundle).cells)
    status, out, err = call("verify", bundle, *sources, "--rerun", number)
    assert status == 0, err
    assert len(drawn_cells(out)) == number and any(
        "transfer[of=imp,mask=cola] at 0.2 on rte" in line for line in drawn_cells(out)
    )
    again = int(re.search(r"holds: (\d+) records were made again bit for bit", out)[1])
    assert again == len(reader.open_bundle(bundle).records)


def test_the_seed_that_is_printed_draws_the_same_cells(bundle):
    opened = reader.open_bundle(bundle)
    cells = opened.cells
    assert rerun.draw(opened, cells, 3, 5) == rerun.draw(opened, list(reversed(cells)), 3, 5)
    assert len({tuple(cell.key for cell in rerun.draw(opened, cells, 3, seed)) for seed in range(30)}) > 5


@pytest.mark.parametrize("seed", range(5))
def test_the_best_method_of_each_task_track_and_sparsity_is_drawn_first(bundle, seed):
    """By brute force: no other cell of the field has a higher score."""
    opened = reader.open_bundle(bundle)

    def score(cell):
        record = opened.records[cell.key]
        return np.mean([value for each in record.evaluations.values() for value in each.metrics.values()])

    def field(cell):
        return cell.plan, cell.task, cell.track, cell.sparsity

    pruned = [cell for cell in opened.cells if not cell.is_dense]
    number = len({field(cell) for cell in pruned})
    for cell in rerun.draw(opened, opened.cells, number, seed):
        assert not cell.is_dense
        assert all(score(other) <= score(cell) for other in pruned if field(other) == field(cell))
    assert len(rerun.draw(opened, opened.cells, 1000, seed)) == len(opened.cells)


def test_the_dense_run_of_the_same_task_and_seed_is_trained_too(bundle):
    opened = reader.open_bundle(bundle)
    cell = next(cell for cell in opened.cells if cell.label == "heads" and cell.task == "rte")
    cells = rerun.with_dense([cell], opened.cells)
    assert [(each.label, each.task, each.plan) for each in cells[1:]] == [("dense", "rte", cell.plan)]
    assert rerun.with_dense(cells, opened.cells) == cells


def test_a_rerun_exposes_forged_predictions(bundle, sources, tiny_glue, tmp_path, in_process):
    """Predictions that equal the labels, with metrics to match: only training again can tell."""
    labels = [line.split("\t")[-1] for line in (tiny_glue / "RTE/dev.tsv").read_text().splitlines()[1:]]
    right = np.array([["entailment", "not_entailment"].index(label) for label in labels], dtype=np.uint8)

    def change(records, masks, arrays):
        for value in records:
            if value["record"]["root"]["task"] == "rte":
                row = value["predictions"]["validation"]
                arrays[row["array"]][row["row"]] = right
                value["record"]["evaluations"]["validation"]["metrics"]["accuracy"] = 1.0

    path = forge(bundle, tmp_path / "b.zip", change)
    assert call("verify", path, "--glue-dir", tiny_glue)[0] == 0
    number = len(reader.open_bundle(path).cells)
    status, out, err = call("verify", path, *sources, "--rerun", number)
    assert status == 2 and "has other predictions for validation" in err and "away" in err
    assert "Verified" not in out

    def on_another_machine(records, masks, arrays):
        change(records, masks, arrays)
        for value in records:
            value["record"]["environment"]["hardware"] = "another machine"

    # The other task comes out bit for bit, whatever machine the bundle names.
    path = forge(bundle, tmp_path / "c.zip", on_another_machine)
    status, _, err = call("verify", path, *sources, "--rerun", number, "--tolerance", "1")
    assert status == 2 and "so that this machine does the arithmetic of the bundle, but" in err


def never_exact(value):
    """Change a loss as another machine does, so that nothing comes out bit for bit."""
    value["record"]["environment"]["hardware"] = "another machine"
    if value["record"]["loss"] is not None:
        value["record"]["loss"] *= 1 + 1e-7


def raise_scores(bundle, sources, tmp_path, number):
    """A bundle of RTE in which as many examples more are right in every record, from another machine."""
    labels = [line.split("\t")[-1] for line in (sources[1] / "RTE/dev.tsv").read_text().splitlines()[1:]]
    right = np.array([["entailment", "not_entailment"].index(label) for label in labels], dtype=np.uint8)

    def change(records, masks, arrays):
        for value in records:
            never_exact(value)
            row = value["predictions"]["validation"]
            array = arrays[row["array"]][row["row"]]
            wrong = np.flatnonzero(array != right)[:number]
            array[wrong] = right[wrong]
            value["record"]["evaluations"]["validation"]["metrics"]["accuracy"] = float((array == right).mean())

    path = tmp_path / "rte.zip"
    assert call("bundle", "--store", bundle.parent / "store", "--tasks", "rte", "--out", path)[0] == 0
    return forge(path, tmp_path / f"{number}.zip", change)


def test_scores_that_are_all_raised_a_little_are_exposed_on_any_machine(bundle, sources, tmp_path, in_process):
    """One more correct example in every record: each distance is allowed, but all have one sign."""
    path = raise_scores(bundle, sources, tmp_path, 1)
    number = len(reader.open_bundle(path).cells)
    status, _, err = call("verify", path, *sources, "--rerun", number)
    assert status == 2 and err.count("wrong: ") == 1
    assert re.search(r"the scores of all methods are \+0.0417 from those made again, in the mean of \d cells", err)


def test_the_scores_of_other_machines_may_be_as_far_away_as_the_option_says(bundle, sources, tmp_path, in_process):
    path = raise_scores(bundle, sources, tmp_path, 2)
    # One cell and its dense run are too few for a test of the mean: 2 of 24 examples.
    assert call("verify", path, *sources, "--rerun", "1", "--seed", "0", "--tolerance", "0.09")[0] == 0
    status, _, err = call("verify", path, *sources, "--rerun", "1", "--seed", "0", "--tolerance", "0.08")
    assert status == 2 and "has scores that are 0.0833 away, expected at most 0.0800" in err


def test_a_rerun_exposes_an_altered_mask(bundle, sources, tiny_glue, tmp_path, in_process):
    path = forge(bundle, tmp_path / "b.zip", lambda records, masks, arrays: masks[0].update(sha256="0" * 64))
    assert call("verify", path, "--glue-dir", tiny_glue)[0] == 0
    number = len(reader.open_bundle(path).cells)
    status, _, err = call("verify", path, *sources, "--rerun", number)
    assert status == 2 and "has another mask" in err


@pytest.mark.parametrize("what", ["hardware", "threads", "torch"])
def test_a_bundle_may_claim_any_machine(bundle, sources, tmp_path, in_process, what):
    def change(records, masks, arrays):
        for value in records:
            value["record"]["environment"][what] = 96 if what == "threads" else "another"

    path = forge(bundle, tmp_path / "b.zip", change)
    status, out, err = call("verify", path, *sources, "--rerun", "2")
    assert status == 0, err
    assert re.search(r"holds: \d+ records were made again bit for bit\n", out)


def test_on_another_machine_counts_must_be_equal_and_scores_close(bundle, sources, tmp_path, in_process):
    path = forge(bundle, tmp_path / "b.zip", lambda records, masks, arrays: list(map(never_exact, records)))
    status, out, err = call("verify", path, *sources, "--rerun", "2")
    assert status == 0, err
    assert "records were made again, not bit for bit: their counts are the same" in out
    assert "at most 0.0000 away" in out and "(one-sample t test, Holm): " in out


@pytest.mark.parametrize("what", ["steps", "tokens"])
def test_other_counts_are_refused_on_any_machine(bundle, sources, tmp_path, in_process, what):
    def change(records, masks, arrays):
        for value in records:
            value["record"]["environment"]["hardware"] = "another machine"
            if value["record"]["steps"]:
                value["record"][what] += 1

    path = forge(bundle, tmp_path / "b.zip", change)
    status, _, err = call("verify", path, *sources, "--rerun", "1")
    assert status == 2 and what in err


def test_cells_that_cannot_be_trained_here_are_reported(bundle, sources, tiny_glue, tiny_models):
    number = len(reader.open_bundle(bundle).cells)
    status, out, err = call("verify", bundle, *sources, "--rerun", number + 1)
    assert status == 2 and f"cannot train {number + 1} cells again: only {number} can be trained here" in err
    status, out, err = call("verify", bundle, *sources, "--rerun", "1", "--model", tiny_models["electra"])
    assert status == 2 and f"not for a rerun: {number} cells: the model" in err and "but the bundle's is" in err
    status, out, err = call("verify", bundle, "--glue-dir", tiny_glue, "--rerun", "1")
    assert status == 2 and f"not for a rerun: {number} cells: its model or device is not available" in err
    assert "Verified" not in out


def test_without_the_data_the_output_names_what_was_not_recomputed(bundle, tiny_bert, tiny_glue, tmp_path):
    folder = shutil.copytree(tiny_glue, tmp_path / "glue")
    shutil.rmtree(folder / "CoLA")
    status, out, err = call("verify", bundle, "--glue-dir", folder)
    assert status == 2 and "not recomputed: the metrics of cola: " in err
    assert "nothing is wrong with what was checked, but the metrics of cola were not recomputed" in err
    assert "Verified" not in out
    status, out, _ = call("verify", bundle, "--glue-dir", folder, "--no-data")
    assert status == 0 and f"Verified, but for the metrics of cola: {bundle}." in out
    number = len(reader.open_bundle(bundle).records)
    assert re.search(rf"the metrics of \d+ of {number} records", out)
    status, _, err = call("verify", bundle, "--glue-dir", folder, "--model", tiny_bert, "--no-data", "--rerun", "15")
    assert status == 2 and "the data of cola is not available" in err


def test_other_data_than_the_scored_ones_is_not_used(bundle, tiny_glue, tmp_path):
    folder = shutil.copytree(tiny_glue, tmp_path / "glue")
    text = (folder / "RTE/dev.tsv").read_text()
    (folder / "RTE/dev.tsv").write_text(text.replace("the", "a", 1))
    status, _, err = call("verify", bundle, "--glue-dir", folder)
    assert status == 2 and "not recomputed: the metrics of rte: the data of rte here is" in err


def test_a_bundle_of_another_engine_is_checked_all_the_same(bundle, sources, monkeypatch, in_process):
    """Keys are computed from what the bundle declares, not from what is installed."""
    from prunebench.sharing.bundle import agreement, verify

    monkeypatch.setattr(verify, "ENGINE", 1000)
    monkeypatch.setattr(agreement, "ENGINE", 1000)
    status, out, err = call("verify", bundle, *sources, "--rerun", "1")
    assert status == 0
    assert re.search(r"note: made by engine \d+, while this is engine 1000: keys are checked all the same", err)
    assert "records were made again bit for bit" in out


ESCAPE = "\x1b]0;owned\x07\r\nVerified\x9b31m"


def test_text_of_strangers_cannot_control_a_terminal(bundle, tiny_glue, tmp_path, monkeypatch):
    """Commands, names and reasons are printed on one line, with their control characters escaped."""
    with zipfile.ZipFile(bundle) as file:
        members = {name: file.read(name) for name in file.namelist()}
    manifest = json.loads(members["manifest.json"])
    manifest["plans"][0]["command"] += ESCAPE
    forged = tmp_path / "b.zip"
    forged.write_bytes(archive.write({**members, "manifest.json": json.dumps(manifest).encode()}))
    status, out, err = call("verify", forged, "--glue-dir", tiny_glue)
    assert status == 0 and "\\x1b]0;owned\\x07\\x0d\\x0aVerified\\x9b31m" in out
    manifest["strategies"][ESCAPE] = manifest["strategies"]["imp"]
    manifest[ESCAPE] = 1
    forged.write_bytes(archive.write({**members, "manifest.json": json.dumps(manifest).encode()}))
    status, refused, err = call("verify", forged, "--glue-dir", tiny_glue)
    assert status == 2 and len(err.splitlines()) == 1
    for output in (out, refused, err):
        assert all(character.isprintable() or character == "\n" for character in output)


def test_many_faults_are_not_all_listed(bundle, tiny_glue, tmp_path):
    def change(records, masks, arrays):
        for value in records:
            value["record"]["evaluations"]["validation"]["majority"] = {"accuracy": 0.123}
            value["record"]["evaluations"]["validation"]["degenerate"] = ["accuracy"]

    path = forge(bundle, tmp_path / "b.zip", change)
    status, out, err = call("verify", path, "--glue-dir", tiny_glue)
    assert status == 2 and err.count("\nwrong: ") + err.startswith("wrong: ") == LIMIT + 1
    assert re.search(r"wrong: and \d+ more\nprunebench: b.zip is refused: \d+ things are wrong in it", err)
    assert "holds:" not in out.replace("holds:    ", "")


@pytest.mark.parametrize(
    ("content", "part"),
    [(None, "no bundle"), (b"", "not a zip archive"), (b"hello", "not a zip archive")],
)
@pytest.mark.parametrize("words", [["verify"], ["leaderboard", "--bundle"], ["results", "--bundle"]])
def test_a_file_that_is_no_bundle_is_one_line(tmp_path, words, content, part):
    path = tmp_path / "b.zip"
    if content is not None:
        path.write_bytes(content)
    status, _, err = call(*words, path)
    assert status == 2 and part in err and "Traceback" not in err and len(err.splitlines()) == 1


def test_metrics_are_recomputed_without_the_code_of_a_method(tiny_bert, tiny_glue, tmp_path):
    """The file of the method is gone, and the process that verifies has never loaded it."""
    file, log = plugin_file(tmp_path), tmp_path / "log"
    file.write_text(f"with open({str(log)!r}, 'a') as log:\n    log.write('x')\n" + file.read_text())
    words = ["--tasks", "rte", "--seeds", "1", "--epochs", "1", "--precision", "fp32", "--device", "cpu"]
    words += ["--model", tiny_bert, "--glue-dir", tiny_glue, "--executor", "here", "--store", tmp_path / "store"]
    assert call("run", *words, "--strategies", "mine", "--sparsities", "0.2", "--plugin", file).status == 0
    bundle = tmp_path / "mine.zip"
    assert call("bundle", "--store", tmp_path / "store", "--plugin", file, "--out", bundle).status == 0
    assert log.read_text()
    log.unlink()
    command = [sys.executable, "-m", "prunebench", "verify", str(bundle), "--glue-dir", str(tiny_glue)]
    for _ in ("with the file", "without it"):
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert "the metrics of 3 of 3 records follow from their predictions" in result.stdout
        assert "mine comes from mine.py" in result.stderr
        assert not log.exists()
        file.unlink(missing_ok=True)
