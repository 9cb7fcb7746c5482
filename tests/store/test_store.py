"""Opening a store, and the plans, failures and weights in it. Records have a file of their own."""

from __future__ import annotations

import json

import pytest
from samples import KEY, plan, record, tensors

from prunebench import PrunebenchError
from prunebench.store.schema import FORMAT, WeightsRef
from prunebench.store.store import Store


@pytest.fixture
def store(lab):
    return Store.create(lab.url)


# Opening and creating


def test_a_store_of_a_newer_version_is_refused(lab, store):
    lab.write("store.json", json.dumps({"format": FORMAT + 1, "prunebench": "9.0"}).encode())
    with pytest.raises(PrunebenchError, match=r"written by prunebench 9\.0.*upgrade"):
        Store.open(store.name)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_an_unreadable_head_is_named(lab, store, text):
    lab.write("store.json", text.encode())
    with pytest.raises(PrunebenchError, match=r"cannot read .*store\.json"):
        Store.open(store.name)


@pytest.mark.parametrize("name", ["thesis.tex", "papers/thesis.tex"])
def test_a_folder_with_other_files_is_left_alone(lab, name):
    lab.write(name, b"")
    with pytest.raises(PrunebenchError, match="not empty and no store"):
        Store.create(lab.url)
    with pytest.raises(PrunebenchError, match="no store in"):
        Store.open(lab.url)
    assert lab.names() == [name]


def test_a_view_of_an_absent_store_is_empty_and_writes_nothing(lab):
    view = Store.view(lab.url)
    assert not view.exists
    assert view.snapshot([KEY]).records == {}
    assert (view.plans(), view.record(KEY), view.failure(KEY)) == ([], None, None)
    assert lab.names() == []
    Store.create(lab.url).add_record(record(), b"")
    view = Store.view(lab.url)
    assert view.exists
    assert view.record(KEY) == record()


def test_a_store_can_be_created_after_a_kill_during_its_creation(lab):
    lab.write(".part-abc", b"{")
    assert Store.create(lab.url).plans() == []


# Plans


def test_plans_come_newest_last_and_once_each(store):
    store.add_plan(plan("one"))
    store.add_plan(plan("two"))
    assert [plan.suite for plan in store.plans()] == ["one", "two"]
    store.add_plan(plan("one"))
    assert [plan.suite for plan in store.plans()] == ["two", "one"]


def test_a_plan_is_read_back_with_the_time_of_its_command(store):
    store.add_plan(plan())
    [stored] = store.plans()
    assert stored.written
    assert stored == plan(written=stored.written)


def test_plans_of_another_kind_are_listed_apart(store):
    store.add_plan(plan("one"))
    store.add_plan(plan("two", kind="transfer"))
    assert [plan.suite for plan in store.plans()] == ["one"]
    assert [plan.suite for plan in store.plans("transfer")] == ["two"]


def test_an_unreadable_plan_is_left_out_and_named(lab, store):
    store.add_plan(plan("one"))
    for name, text in (("a", "{}"), ("b", "[1]"), ("c", "{")):
        lab.write(f"plans/{name}.json", text.encode())
    assert [plan.suite for plan in store.plans()] == ["one"]
    assert len(store.complaints) == 3


# Failures and weights


def test_a_record_replaces_its_failure(lab, store):
    store.add_failure(KEY, "it raised", "traceback")
    assert store.failure(KEY).reason == "it raised"
    assert store.failure(KEY).details == "traceback"
    lab.write("failures/torn.json", b"{")
    assert store.failures([KEY, "torn", "none"]) == {KEY: store.failure(KEY)}
    store.add_record(record(), b"")
    assert store.failure(KEY) is None


def test_weights_can_be_discarded_twice(lab, store):
    weights = WeightsRef(training=KEY, at=0.5)
    store.add_bytes("weights", weights.name, tensors())
    assert f"weights/{KEY}-at-0.5.safetensors" in lab.names()
    store.discard_weights(weights)
    store.discard_weights(weights)
    assert lab.names() == ["store.json"]
