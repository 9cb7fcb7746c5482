"""Bundles of a store: they hold what the store holds, and every page looks the same."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import call, contents
from sharing.forgery import REGISTRY, alter, members, pack_store, what_is_wrong
from stores import edit_plans

from prunebench.results.rows import load_rows
from prunebench.sharing.bundle import reader
from prunebench.sharing.bundle.verify import verify
from prunebench.store.store import Store


def test_a_bundle_is_verified_and_says_what_it_holds(store, good, tiny_glue, tmp_path):
    path = tmp_path / "b.zip"
    status, out, _ = call("bundle", "--store", store, "--out", path)
    assert status == 0 and path.read_bytes() == good
    assert out.splitlines()[-1] == f"Written: {path}, {len(good):,} bytes. Check it with: prunebench verify {path}"
    status, out, err = call("verify", path, "--glue-dir", tiny_glue)
    assert (status, err) == (0, "")
    # 2 tasks × 2 seeds × (dense, dense again, imp 0.1, imp 0.2, its control, heads): one training each.
    assert "20 cells: rte, stsb; dense, dense[trainings=2], heads, imp, random-pruning; seeds 0, 1" in out
    assert "holds: 20 cells have their records, 0 failures are declared" in out
    number = len(reader.load(good).records)
    assert f"the metrics of {number} of {number} records follow from their predictions" in out
    assert out.splitlines()[-1].startswith(f"Verified: {path}. Draw it with: prunebench leaderboard --bundle")


def test_the_same_store_gives_the_same_bytes(store, good, tmp_path):
    assert pack_store(Store.open(store)) == good
    moved = shutil.copytree(store, tmp_path / "elsewhere")
    assert pack_store(Store.open(moved)) == good


def test_a_bundle_holds_every_record_cell_and_prediction_of_the_store(store, good):
    opened, bundle = Store.open(store), reader.load(good)
    assert bundle.records == {record.key: record for record in opened.records()}
    assert load_rows(bundle.plans(), bundle) == load_rows(opened.plans(), opened)
    for key, record in bundle.records.items():
        with np.load(store / "records" / key[:2] / f"{key}.npz") as logits:
            for name in record.evaluations:
                array = bundle.predictions(key)[name]
                if record.experiment.task == "stsb":
                    assert array.dtype == np.float32 and (array == logits[name][:, 0]).all()
                else:
                    assert array.dtype == np.uint8 and (array == logits[name].argmax(axis=1)).all()


def test_anyone_can_read_it_with_numpy_and_the_standard_library(good, tiny_glue):
    """The README says so: a zip of JSON and npy files, from which the accuracy comes out by hand."""
    labels = [line.split("\t")[-1] for line in (tiny_glue / "RTE/dev.tsv").read_text().splitlines()[1:]]
    expected = np.array([["entailment", "not_entailment"].index(label) for label in labels])
    with zipfile.ZipFile(io.BytesIO(good)) as file:
        for line in file.read("records.jsonl").splitlines():
            value = json.loads(line)
            if value["record"]["root"]["task"] == "rte":
                row = value["predictions"]["validation"]
                array = np.load(io.BytesIO(file.read(row["array"])), allow_pickle=False)
                accuracy = value["record"]["evaluations"]["validation"]["metrics"]["accuracy"]
                assert (array[row["row"]] == expected).mean() == accuracy


# A paragraph of its own, or a field.
VERIFICATION = re.compile(r'^Unverified: .*\n\n|(?<="verification": ")Unverified[^"]*', re.MULTILINE)


def test_a_page_of_a_bundle_equals_the_page_of_the_store(store, good, tmp_path, tiny_glue):
    """The store has the labels, and the bundle takes them from the data."""
    (tmp_path / "b.zip").write_bytes(good)
    formats = ("--format", "md,csv,json")
    assert call("leaderboard", "--store", store, "--out", tmp_path / "one", *formats)[0] == 0
    formats = (*formats, "--glue-dir", tiny_glue)
    assert call("leaderboard", "--bundle", tmp_path / "b.zip", "--out", tmp_path / "two", *formats)[0] == 0
    one, two = (contents(tmp_path / folder) for folder in ("one", "two"))
    assert one.keys() == two.keys() >= {"README.md", "results.csv", "results.json"}
    for name, data in one.items():
        of_store, of_bundle = data.decode(), two[name].decode()
        assert VERIFICATION.sub("", of_bundle) == of_store
        assert name not in ("README.md", "results.json") or of_bundle != of_store


def test_methods_are_compared_example_by_example_as_in_the_store(store, good, tmp_path, tiny_glue):
    (tmp_path / "b.zip").write_bytes(good)
    words = ("imp", "random-pruning", "--tasks", "rte", "--mcnemar", "--glue-dir", tiny_glue, "--format", "json")
    status, there, err = call("compare", *words, "--store", store)
    assert status == 0 and "mcnemar" in there.lower(), err
    assert VERIFICATION.sub("", call("compare", *words, "--bundle", tmp_path / "b.zip")[1]) == there


def test_a_selection_holds_no_more_than_was_selected(store, tmp_path, tiny_glue):
    path = tmp_path / "b.zip"
    assert call("bundle", "--store", store, "--tasks", "rte", "--strategies", "imp", "--out", path)[0] == 0
    bundle = reader.open_bundle(path)
    assert {(cell.task, cell.label) for cell in bundle.cells} == {("rte", "dense"), ("rte", "imp")}
    assert {record.experiment.task for record in bundle.records.values()} == {"rte"}
    assert call("verify", path, "--glue-dir", tiny_glue)[0] == 0


def test_a_suite_is_one_that_was_run(store, tmp_path):
    status, _, err = call("bundle", "quikc", "--store", store, "--out", tmp_path / "b.zip")
    assert status == 2 and "unknown suite 'quikc'" in err


@pytest.mark.parametrize(
    ("others", "part"),
    [
        (["--store", "nowhere"], "no store in 'nowhere'"),
        (["--tasks", "rtee"], "unknown task 'rtee'"),
        (["--out", "b.tar"], "expected the name of a zip file"),
    ],
)
def test_bad_input_to_bundle_is_one_line(store, tmp_path, others, part):
    status, _, err = call("bundle", "--store", store, "--out", tmp_path / "b.zip", *others)
    assert status == 2 and part in err and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_what_is_planned_and_not_done_is_not_bundled(store, tmp_path):
    copy = shutil.copytree(store, tmp_path / "store")
    key = next(cell.key for cell in Store.open(copy).plans()[0].cells if cell.label == "imp")
    (copy / "records" / key[:2] / f"{key}.json").unlink()
    status, _, err = call("bundle", "--store", copy, "--out", tmp_path / "b.zip")
    assert status == 2 and "is planned but not done" in err and "prunebench run" in err
    assert call("bundle", "--store", copy, "--strategies", "heads", "--out", tmp_path / "b.zip")[0] == 0


def test_what_has_failed_is_bundled_as_failed(store, tmp_path, tiny_glue):
    copy = shutil.copytree(store, tmp_path / "store")
    opened = Store.open(copy)
    key = next(cell.key for cell in opened.plans()[0].cells if cell.label == "heads")
    (copy / "records" / key[:2] / f"{key}.json").unlink()
    opened.add_failure(key, "it ran out of memory", "Traceback …/home/somebody/secret")
    data = pack_store(Store.open(copy))
    assert b"somebody" not in b"".join(members(data).values())
    verdict = verify(reader.load(data), REGISTRY, str(tiny_glue))
    assert verdict.wrong == [] and verdict.notes[0] == "1 failures are part of it; the first: it ran out of memory"
    rows = load_rows(reader.load(data).plans(), reader.load(data))
    assert {row.status for row in rows if row.cell.key == key} == {"failed: it ran out of memory"}


@pytest.mark.parametrize(("kind", "part"), [("masks", "is gone"), ("npz", "it is gone")])
def test_missing_files_of_the_store_are_an_error(store, tmp_path, kind, part):
    copy = shutil.copytree(store, tmp_path / "store")
    path = next(copy.rglob("*.npz") if kind == "npz" else (copy / "masks").iterdir())
    path.unlink()
    status, _, err = call("bundle", "--store", copy, "--out", tmp_path / "b.zip")
    assert status == 2 and part in err


def test_a_store_is_bundled_after_its_strategies_were_edited(run_words, tmp_path, tiny_glue):
    """The plan stores the code of its strategies; without it, keys cannot be computed again."""
    code = (Path(__file__).parents[2] / "plugins/prunebench-gradual/prunebench_gradual/__init__.py").read_text()
    plugin = tmp_path / "mine.py"
    plugin.write_text(code.replace('"gradual"', '"mine"'))
    some = [*run_words, "--tasks", "rte", "--strategies", "mine", "--seeds", "1", "--plugin", plugin]
    status, _, err = call("run", *some, "--store", tmp_path / "store")
    assert status == 0, err
    before = tmp_path / "before.zip"
    assert call("bundle", "--store", tmp_path / "store", "--plugin", plugin, "--out", before)[0] == 0
    plugin.write_text(code.replace('"gradual"', '"mine"') + "\n# edited\n")
    after = tmp_path / "after.zip"
    assert call("bundle", "--store", tmp_path / "store", "--plugin", plugin, "--out", after)[0] == 0
    assert before.read_bytes() == after.read_bytes()
    status, _, err = call("verify", after, "--glue-dir", tiny_glue, "--plugin", plugin)
    assert status == 0 and "mine comes from mine.py" in err and "its recipe is not checked" in err
    # Plans of earlier versions lack the code of their strategies.
    edit_plans(tmp_path / "store", lambda plan: plan.update(strategies={}))
    status, _, err = call("bundle", "--store", tmp_path / "store", "--plugin", plugin, "--out", after)
    assert status == 2 and "was made by a version of mine that is not installed" in err


def test_transfers_are_bundled_on_request(run_words, store, tmp_path, tiny_glue):
    """A mask that another task's recipe has bundle: its key is computed anew across the two trees."""
    copy = shutil.copytree(store, tmp_path / "store")
    options = [*run_words[:2], *run_words[6:]]  # all but strategies and sparsities
    transfer = ("transfer", *options, "--sparsity", "0.2", "--seeds", "1", "--format", "csv,svg")
    status, _, err = call(*transfer, "--store", copy, "--out", tmp_path / "one")
    assert status == 0, err
    path = tmp_path / "b.zip"
    assert call("bundle", "--store", copy, "--out", path)[0] == 0
    assert not any(cell.mask_from for cell in reader.open_bundle(path).cells)
    assert call("bundle", "--store", copy, "--transfers", "--out", path)[0] == 0
    bundle = reader.open_bundle(path)
    assert {cell.mask_from for cell in bundle.cells} >= {"rte", "stsb", "random-pruning"}
    status, _, err = call("verify", path, "--glue-dir", tiny_glue)
    assert status == 0, err
    opened = Store.open(copy)
    for kind in ("run", "transfer"):
        assert load_rows(bundle.plans(kind), bundle) == load_rows(opened.plans(kind), opened)
    adopting = next(key for key, record in bundle.records.items() if record.phases[0].phase == "Adopt")
    status, _, err = call(*transfer, "--bundle", path, "--out", tmp_path / "two")
    assert status == 0, err
    for name in ("transfer.csv", "transfer.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    forged = alter(path.read_bytes(), "records.jsonl", lambda values: foreign_mask(values, adopting))
    assert "no recipe of the bundle makes the mask" in what_is_wrong(forged, tiny_glue)
    forged = alter(path.read_bytes(), "cells.jsonl", another_source)
    assert "says that its mask is of stsb, but it is of rte" in what_is_wrong(forged, tiny_glue)


def foreign_mask(values, key):
    next(value for value in values if value["record"]["key"] == key)["record"]["phases"][0]["mask"] = "0" * 32


def another_source(values):
    next(value for value in values if value["mask_from"] == "rte" and value["task"] == "stsb")["mask_from"] = "stsb"
