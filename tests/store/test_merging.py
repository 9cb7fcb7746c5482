"""Merging stores and bundles into a store."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from commands import call, contents, lasting
from plugin_files import plugin_file
from stores import ranking, result_files, table

from prunebench import PrunebenchError
from prunebench.sharing.bundle.reader import open_bundle
from prunebench.store import maintenance, merging
from prunebench.store.contents import overview
from prunebench.store.store import Store


@pytest.fixture(scope="module")
def halves(words, tmp_path_factory):
    """Two stores, each with one of the two seeds."""
    folder = tmp_path_factory.mktemp("halves")
    for seed in (0, 1):
        assert call("run", *words, "--seeds", f"{seed},", "--store", folder / str(seed)).status == 0
    return folder / "0", folder / "1"


def test_a_merged_store_gives_the_leaderboard_of_a_single_run(lab, template, halves):
    for half in halves:
        merging.merge_store(Store.create(lab.url), Store.open(half))
    assert result_files(lab.names()) == result_files(contents(template))
    assert lasting(lab.url) == lasting(template)
    assert table(lab.url, "--all") == table(template)
    assert ranking(lab.url, "--all") == ranking(template)
    assert not maintenance.garbage(Store.open(lab.url))


def test_merging_again_adds_nothing(lab, halves):
    store = Store.create(lab.url)
    first = merging.merge_store(store, Store.open(halves[0]))
    assert str(first) == "1 plan, 9 records, 5 masks, 1 label file"
    before = {name: lab.read(name) for name in lab.names()}
    again = merging.merge_store(store, Store.open(halves[0]))
    assert str(again) == "nothing new; 9 records here already"
    assert (again.differing, again.damaged) == ([], [])
    assert {name: lab.read(name) for name in lab.names()} == before


def test_a_remote_store_is_merged_into_a_folder(store, template, tmp_path):
    merging.merge_store(Store.create(tmp_path / "here"), store)
    assert (
        contents(tmp_path / "here").items()
        >= {name: data for name, data in contents(template).items() if name != "store.json"}.items()
    )


def test_the_first_record_wins_and_a_difference_is_reported(store, lab, tmp_path):
    other = Store.create(tmp_path / "other")
    records = {record.key: record for record in store.records()}
    dense = next(record for record in records.values() if len(record.phases) == 1)
    score = dense.evaluations["validation"]
    changed = score.model_copy(update={"metrics": {"accuracy": score.metrics["accuracy"] / 2}})
    for record in records.values():
        model = record.experiment.model.model_copy(update={"name": "another/path"})
        experiment = record.experiment.model_copy(update={"model": model})
        update = {"seconds": {"train": 9.0}, "environment": {"hardware": "another"}, "experiment": experiment}
        if record is dense:
            update |= {"evaluations": {"validation": changed}, "loss": 9.0}
        other.add_record(record.model_copy(update=update), b"")
    before = {name: lab.read(name) for name in lab.names()}
    merge = merging.merge_store(store, other)
    assert merge.differing == [
        f"the record {dense.key} (rte, seed {dense.experiment.seed}, Train) differs in evaluations, loss:"
        " the one of this store stays"
    ]
    assert merge.present == len(records)
    assert {name: lab.read(name) for name in lab.names()} == before


def test_damaged_files_of_the_other_store_are_left_out(lab, halves, tmp_path):
    other = tmp_path / "other"
    merging.merge_store(Store.create(other), Store.open(halves[0]))
    torn, mixed, lone = sorted(other.glob("records/*/*.json"))[:3]
    torn.write_bytes(torn.read_bytes()[:-100])
    mixed.with_suffix(".npz").write_bytes(lone.with_suffix(".npz").read_bytes() + b"x")
    lone.with_suffix(".npz").unlink()
    (other / "plans" / "0123.json").write_text("{}")
    untouched = contents(other)
    store = Store.create(lab.url)
    merge = merging.merge_store(store, Store.open(other))
    assert contents(other) == untouched
    assert merge.added["records"] == 6
    assert len(merge.damaged) == 4
    assert any(str(torn) in line and "torn or foreign" in line for line in merge.damaged)
    assert any(str(mixed) in line and "logits that were not written with it" in line for line in merge.damaged)
    assert any(str(lone) in line and "has no logits" in line for line in merge.damaged)


def test_failures_are_merged_unless_there_is_a_record(lab, words, halves, tmp_path):
    file = plugin_file(tmp_path, score="1 / 0")
    options = [*words, "--strategies", "mine", "--seeds", "0,", "--store", tmp_path / "other", "--plugin", file]
    assert call("run", *options).status == 2
    other, store = Store.open(tmp_path / "other"), Store.create(lab.url)
    merging.merge_store(store, Store.open(halves[0]))
    [present] = [record.key for record in other.records() if len(record.phases) == 1]
    other.add_failure(present, "an old failure")
    merge = merging.merge_store(store, other)
    assert merge.added["failures"] == len(other.keys("failures")) - 1
    assert store.failure(present) is None
    assert overview(store).cells["failed"] == 2


def test_a_store_is_not_merged_into_itself(store, template):
    with pytest.raises(PrunebenchError, match="is the store itself"):
        merging.merge_store(store, Store.open(store.name))
    with pytest.raises(PrunebenchError, match="is the store itself"):
        merging.merge_store(Store.open(template), Store.open(Path(os.path.relpath(template))))


@pytest.fixture(scope="module")
def bundle(template, tmp_path_factory):
    file = tmp_path_factory.mktemp("bundles") / "two.zip"
    assert call("bundle", "--store", template, "--out", file).status == 0
    return file


def test_a_bundle_gives_records_plans_and_predictions(lab, template, bundle):
    store, opened = Store.create(lab.url), open_bundle(bundle)
    merge = merging.merge_bundle(store, opened, opened.plans())
    assert str(merge) == "1 plan, 18 records"
    assert lasting(lab.url) == lasting(template)
    assert table(lab.url) == table(template) == table(bundle)
    assert ranking(lab.url) == ranking(template)
    original = Store.open(template)
    for key in original.keys("records"):
        [one, other] = store.predictions(key).values(), original.predictions(key).values()
        for array, expected in zip(one, other, strict=True):
            assert array.dtype == expected.dtype and np.array_equal(array, expected)
    assert str(merging.merge_bundle(store, opened, opened.plans())) == "nothing new; 18 records here already"
    assert call("doctor", "--store", lab.url).status == 0


def test_examples_are_compared_from_a_bundles_predictions(lab, template, bundle, tiny_glue):
    opened = open_bundle(bundle)
    merging.merge_bundle(Store.create(lab.url), opened, opened.plans())
    words = ["imp", "magnitude", "--mcnemar", "--glue-dir", tiny_glue]
    one, other = (call("compare", *words, "--store", name) for name in (lab.url, template))
    assert one.status == 0
    assert one.out == other.out


def test_scores_of_a_regression_come_from_a_bundle_too(words, tmp_path):
    options = [*words, "--tasks", "stsb", "--strategies", "magnitude", "--seeds", "1"]
    assert call("run", *options, "--store", tmp_path / "store").status == 0
    assert call("bundle", "--store", tmp_path / "store", "--out", tmp_path / "one.zip").status == 0
    opened = open_bundle(tmp_path / "one.zip")
    merged, original = Store.create(tmp_path / "merged"), Store.open(tmp_path / "store")
    merging.merge_bundle(merged, opened, opened.plans())
    for key in original.keys("records"):
        assert merged.predictions(key)["validation"].dtype == np.float32
        assert np.array_equal(merged.predictions(key)["validation"], original.predictions(key)["validation"])


def test_a_store_and_a_bundle_make_one_leaderboard(lab, template, halves, tmp_path):
    assert call("bundle", "--store", halves[1], "--out", tmp_path / "one.zip").status == 0
    store, opened = Store.create(lab.url), open_bundle(tmp_path / "one.zip")
    merging.merge_store(store, Store.open(halves[0]))
    merging.merge_bundle(store, opened, opened.plans())
    assert table(lab.url, "--all") == table(template)
    assert ranking(lab.url, "--all") == ranking(template)
