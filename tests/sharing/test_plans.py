"""The plan that a bundle holds shows what was planned before the first training and is not in it."""

from __future__ import annotations

import json
import shutil

import pytest
from commands import call
from sharing.forgery import alter, lines, members, reseal, to_lines, what_is_wrong

from prunebench.sharing.bundle import gaps, reader
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.store.schema import digest
from prunebench.store.store import Store


def test_every_record_names_the_plan_of_its_run(store, good):
    """The commitment by hand: the digest of kind, suite and the sorted cells."""
    opened = Store.open(store)
    (plan,) = opened.plans()
    cells = sorted([cell.task, cell.label, cell.sparsity, cell.seed, cell.key] for cell in plan.cells)
    assert {record.plan for record in opened.records()} == {digest(["run", "", cells])}
    bundle = reader.load(good)
    assert list(bundle.planned) == [plan.commitment]
    assert gaps.count_planned(bundle) == (len(plan.cells), 0)
    assert bundle.plans()[0].commitment == plan.commitment


def test_the_words_of_a_command_do_not_change_the_plan(run_words, store, tmp_path):
    """A second run of the same cells, with another way to run them, makes the same commitment."""
    copy = shutil.copytree(store, tmp_path / "store")
    assert call("run", *run_words, "--store", copy, "--retry-failed").status == 0
    plans = Store.open(copy).plans()
    assert len(plans) == 2 and len({plan.commitment for plan in plans}) == 1


@pytest.fixture(scope="module")
def selection(store, tmp_path_factory, tiny_glue):
    """A bundle of one of the two tasks, and what `verify` says about it."""
    path = tmp_path_factory.mktemp("selection") / "b.zip"
    assert call("bundle", "--store", store, "--tasks", "rte", "--out", path).status == 0
    return path, call("verify", path, "--glue-dir", tiny_glue)


def test_cells_that_were_planned_and_left_out_are_counted(selection, store):
    path, (status, _, err) = selection
    planned = len(Store.open(store).plans()[0].cells)
    assert status == 0
    assert f"the bundle lacks {planned // 2} of {planned} cells that were planned before the first training" in err
    assert "on stsb with seed 0" in err
    assert gaps.count_planned(reader.open_bundle(path)) == (planned, planned // 2)


def test_cells_that_were_removed_from_the_store_are_counted(store, tmp_path):
    copy = tmp_path / "store"
    assert call("store", "merge", store, "--store", copy).status == 0
    words = ("--store", copy, "--strategies", "heads", "--yes")
    assert call("store", "rm", *words).status == 0
    assert call("bundle", "--store", copy, "--out", tmp_path / "b.zip").status == 0
    planned, missing = gaps.count_planned(reader.open_bundle(tmp_path / "b.zip"))
    assert planned == 20 and missing == 4


def test_a_bundle_that_is_merged_and_packed_again_still_has_its_plan(good, tmp_path):
    (tmp_path / "b.zip").write_bytes(good)
    assert call("store", "merge", tmp_path / "b.zip", "--store", tmp_path / "store").status == 0
    plans = Store.open(tmp_path / "store").plans()
    assert [plan.commitment for plan in plans] == list(reader.load(good).planned)


def without_a_planned_cell(values):
    del values[0]


def test_a_plan_that_was_shortened_is_refused(good):
    with pytest.raises(BadBundle, match="was altered: its cells have another digest"):
        reader.load(alter(good, "plans.jsonl", without_a_planned_cell))


def test_a_plan_that_no_record_names_is_refused(good):
    def rename(values):
        for value in values:
            value["record"].pop("plan")

    with pytest.raises(BadBundle, match="no record names the plan"):
        reader.load(alter(good, "records.jsonl", rename))


def test_a_plan_that_is_missing_is_noted(good, tmp_path, tiny_glue):
    (tmp_path / "b.zip").write_bytes(alter(good, "plans.jsonl", lambda values: values.clear()))
    status, _, err = call("verify", tmp_path / "b.zip", "--glue-dir", tiny_glue)
    assert status == 0 and "note: the bundle lacks the plan " in err


def test_records_without_a_plan_are_noted(good, tmp_path, tiny_glue):
    content = members(alter(good, "plans.jsonl", lambda values: values.clear()))

    def rename(values):
        for value in values:
            value["record"].pop("plan")

    (tmp_path / "b.zip").write_bytes(alter(reseal(content), "records.jsonl", rename))
    status, _, err = call("verify", tmp_path / "b.zip", "--glue-dir", tiny_glue)
    assert status == 0 and "records name no plan, so that nothing shows what was left out" in err


def test_a_bundle_of_an_earlier_schema_has_no_plans(good, tiny_glue):
    """As version 0.1 wrote it: records and members of the first schema."""
    content = members(good)
    del content["plans.jsonl"]
    values = lines(content["records.jsonl"])
    for value in values:
        value["record"].pop("plan")
    content["manifest.json"] = json.dumps(json.loads(content["manifest.json"]) | {"schema": 2}).encode()
    old = alter(reseal(content | {"records.jsonl": to_lines(values)}), "records.jsonl", lambda values: None)
    assert what_is_wrong(old, tiny_glue) == ""
    assert gaps.count_planned(reader.load(old)) == (0, 0)
