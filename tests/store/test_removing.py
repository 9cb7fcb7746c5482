"""Removing cells from a store, and what keeps a removal from running."""

from __future__ import annotations

import json
import os
import platform

import pytest
from commands import call, contents
from plugin_files import plugin_file
from samples import tensors
from stores import collect, remove, result_files, table

from prunebench import PrunebenchError
from prunebench.store import claims, maintenance
from prunebench.store.contents import kind_of
from prunebench.store.schema import WeightsRef
from prunebench.store.store import Store


def test_what_is_left_is_what_a_run_without_them_makes(store, lab, words, tmp_path):
    """Records and masks that another method shares stay; those of the removed methods alone go."""
    removal = remove(store, lambda cell: cell.label in ("imp", "random-pruning"))
    assert {kind_of(name) for name in removal.files} == {"records", "masks"}
    other = [*words, "--strategies", "magnitude", "--seeds", "2"]
    assert call("run", *other, "--store", tmp_path / "other").status == 0
    assert result_files(lab.names()) == result_files(contents(tmp_path / "other"))
    [plan] = Store.open(lab.url).plans()
    assert {cell.label for cell in plan.cells} == {"dense", "dense[trainings=2]", "magnitude"}
    assert plan.written == store.plans()[0].written
    assert table(lab.url) == table(tmp_path / "other")
    assert "To run:        0 phases" in call("plan", *other, "--store", lab.url).out
    assert not maintenance.garbage(Store.open(lab.url))


def test_a_control_keeps_the_masks_of_its_method(store, lab):
    """random-pruning needs the masks of imp and its trainings, except the last one at the highest sparsity."""
    masks = {*store.keys("masks")}
    [plan] = store.plans()
    [last] = [cell.key for cell in plan.cells if (cell.label, cell.sparsity, cell.seed) == ("imp", 0.3, 0)]
    remove(store, lambda cell: cell.seed == 1)
    records = {*store.keys("records")}
    assert (len(records), len(store.keys("masks"))) == (9, len(masks) / 2)
    removal = remove(store, lambda cell: cell.label == "imp")
    assert {maintenance.key_of(name) for name in removal.files} == {last}
    assert {*store.keys("records")} == records - {last}
    assert not maintenance.garbage(Store.open(lab.url))


def test_a_cell_of_another_plan_keeps_its_files(store, lab, words):
    one = [*words, "--strategies", "magnitude", "--seeds", "0,"]
    assert call("run", *one, "--store", lab.url).status == 0
    [first, second] = Store.open(lab.url).plans()
    plans = maintenance.read_plans(store)
    cells = [cell for plan in plans.values() if plan.written == first.written for cell in plan.cells]
    with maintenance.exclusive(store) as running:
        maintenance.apply(store, maintenance.removal(store, plans, cells), running)
    assert Store.open(lab.url).plans() == [second]
    assert {*store.keys("records")} == {key for cell in second.cells for key in cell.record_keys}


def test_everything_goes_with_the_last_cell(store, lab):
    store.add_bytes("models", store.plans()[0].cells[0].key, tensors())
    store.add_bytes("weights", WeightsRef(training=store.plans()[0].cells[0].key, at=0.5).name, tensors())
    removal = remove(store, lambda cell: True)
    assert str(removal).startswith("1 plan, 18 records, 10 masks, 1 weight file, 1 model, 1 label file: ")
    assert lab.names() == ["store.json"]


def test_failures_go_with_their_cells(words, tmp_path, monkeypatch):
    """Also those of phases that no plan lists, so that the same run tries again what was removed."""
    file = plugin_file(tmp_path, score="1 / 0")
    options = [*words, "--strategies", "mine,magnitude", "--seeds", "2", "--store", tmp_path / "store"]
    assert call("run", *options, "--plugin", file).status == 2
    store = Store.open(tmp_path / "store")
    assert len(store.keys("failures")) > len([cell for cell in store.plans()[0].cells if cell.label == "mine"])
    removal = remove(store, lambda cell: cell.label == "mine" and cell.seed == 0)
    assert "failures" in str(removal)
    assert store.keys("failures"), "those of the other seed have the same reason"
    remove(store, lambda cell: cell.label == "mine")
    assert store.keys("failures") == []
    again = call("plan", *options, "--plugin", file)
    assert "Failed before" not in again.out
    assert {cell.label for cell in store.plans()[0].cells} == {"dense", "dense[trainings=2]", "magnitude"}


def test_nothing_is_removed_while_another_run_is_active(store, lab):
    before = sorted(lab.names())
    with store.claims(), pytest.raises(PrunebenchError, match="another run is active"):
        remove(store, lambda cell: True)
    with store.claims(), pytest.raises(PrunebenchError, match="another run is active"):
        collect(store)
    assert sorted(lab.names()) == before


def test_nothing_is_removed_if_a_run_begins_or_stores_a_plan_in_between(store, lab):
    plans = maintenance.read_plans(store)
    removal = maintenance.removal(store, plans, [cell for plan in plans.values() for cell in plan.cells])
    before = result_files(lab.names())
    with maintenance.exclusive(store) as running:
        with store.claims(), pytest.raises(PrunebenchError, match="another run is active"):
            maintenance.apply(store, removal, running)
        store.add_plan(store.plans()[0].model_copy(update={"command": "another"}))
        with pytest.raises(PrunebenchError, match="has changed in between"):
            maintenance.apply(store, removal, running)
    assert result_files(lab.names()) == before


def test_a_run_that_was_killed_here_does_not_block(store, lab):
    moment = claims._now()
    run = {"started": moment, "beat": moment, "host": platform.node(), "pid": _free_pid(), "jobs": ["x"]}
    lab.write("runs/killed.json", json.dumps(run).encode())
    assert collect(store).files == {}


def _free_pid():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_a_run_with_another_clock_gets_the_time_for_a_heartbeat(store, lab, monkeypatch):
    """Its last heartbeat looks an hour old. If another one comes it is alive, and else it is dead."""
    monkeypatch.setattr(claims, "HEARTBEAT", 0.01)
    run = {"started": "2026-01-01T00:00:00+00:00", "host": "elsewhere", "pid": 1, "jobs": []}

    def beat(minute):
        hour_ago = claims.datetime.datetime.now(claims.datetime.UTC) - claims.datetime.timedelta(minutes=minute)
        lab.write("runs/other.json", json.dumps({**run, "beat": hour_ago.isoformat()}).encode())

    beat(60)
    collect(store)
    real = claims.RunClaims.pause

    def paused(self, seconds):
        beat(59)
        real(self, seconds)

    monkeypatch.setattr(claims.RunClaims, "pause", paused)
    with pytest.raises(PrunebenchError, match="another run is active"):
        collect(store)


def test_a_run_that_has_ended_is_not_waited_for(store, monkeypatch):
    pauses = []
    monkeypatch.setattr(claims.RunClaims, "pause", lambda self, seconds: pauses.append(seconds))
    with store.claims() as running:
        with store.claims():
            assert not running.is_alone()
        assert running.is_alone()
    assert pauses == []


def test_a_plan_that_cannot_be_read_stops_it(store, lab):
    lab.write("plans/0123.json", b"{")
    before = sorted(lab.names())
    for attempt in (lambda: remove(store, lambda cell: True), lambda: collect(store)):
        with pytest.raises(PrunebenchError, match=r"plans/0123.json has no checksum.*nothing is removed"):
            attempt()
    assert sorted(lab.names()) == before
