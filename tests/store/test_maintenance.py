"""Removing, collecting and merging what real small stores hold, on every kind of backend."""

from __future__ import annotations

import csv
import json
import os
import platform
import re
from pathlib import Path

import numpy as np
import pytest
from commands import call, contents, lasting
from plugin_files import plugin_file

from prunebench import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning import experiment
from prunebench.planning.suite import resolve
from prunebench.sharing.bundle.reader import open_bundle
from prunebench.store import claims, maintenance, merging
from prunebench.store.contents import kind_of, overview, size_text
from prunebench.store.schema import WeightsRef
from prunebench.store.store import Store

# Columns of the long table that differ between two runs of the same thing.
TIMES = re.compile("second|memory|command|written|speed")


@pytest.fixture(scope="module")
def words(on_tiny):
    """Options of a run with one-shot pruning, iterative pruning and a control, on the tiny model and data."""
    what = ["--tasks", "rte", "--strategies", "magnitude,imp,random-pruning", "--sparsities", "0.2,0.3"]
    return [*what, *on_tiny, "--epochs", "1", "--batch-size", "16"]


@pytest.fixture(scope="module")
def template(words, tmp_path_factory):
    """The folder of a store after a run of two seeds. Tests do not change it."""
    folder = tmp_path_factory.mktemp("stores") / "template"
    assert call("run", *words, "--seeds", "2", "--store", folder).status == 0
    return folder


@pytest.fixture
def store(lab, template):
    """A copy of that store, on each kind of backend."""
    for name, data in contents(template).items():
        lab.write(name, data)
    return Store.open(lab.url)


def remove(store, choose):
    """Remove the cells that `choose` accepts; returns what went."""
    plans = maintenance.read_plans(store)
    removal = maintenance.removal(store, plans, [c for plan in plans.values() for c in plan.cells if choose(c)])
    with maintenance.exclusive(store) as running:
        maintenance.apply(store, removal, running)
    return removal


def collect(store):
    removal = maintenance.garbage(store)
    with maintenance.exclusive(store) as running:
        maintenance.apply(store, removal, running)
    return removal


def result_files(names):
    """The files of records and masks."""
    return {name for name in names if kind_of(name) in ("records", "masks")}


def table(name, *words):
    """The long table of a store or bundle, without times and commands."""
    exported = call("results", *words, "--store" if not str(name).endswith(".zip") else "--bundle", name)
    assert exported.status == 0, exported.err
    rows = list(csv.DictReader(exported.out.splitlines()))
    return [{key: value for key, value in row.items() if not TIMES.search(key)} for row in rows]


# What a store holds


def test_an_overview_counts_plans_cells_and_bytes(store, lab):
    result = overview(store)
    [(plan, states)] = result.plans
    assert plan.command.startswith("prunebench run --tasks rte")
    assert states == result.cells == {"done": 14}
    assert result.methods == ["dense", "imp", "magnitude", "random-pruning"]
    assert result.codes == [plan.cells[0].setting.code]
    assert [model.partition(" (")[0] for model in result.models] == ["tiny-bert"]
    for kind, (number, size) in result.files.items():
        names = [name for name in lab.names() if name.startswith(f"{kind}/")]
        assert size == sum(len(lab.read(name)) for name in names) > 0
        assert number == len(names) / (2 if kind == "records" else 1)
    assert set(result.files) == {"plans", "records", "masks"}


def test_sizes_are_shown_with_three_digits_or_so():
    assert [size_text(size) for size in (0, 999, 1000, 3_450_000, 10**15)] == [
        "0 bytes", "999 bytes", "1.0 kB", "3.5 MB", "1000.0 TB",
    ]  # fmt: skip


def test_cells_that_are_not_done_are_failed_or_missing(store, lab):
    cells = {(cell.label, cell.sparsity, cell.seed): cell for cell in store.plans()[0].cells}
    for name in ("magnitude", "imp"):
        lab.remove(f"records/{cells[name, 0.2, 0].key[:2]}/{cells[name, 0.2, 0].key}.json")
    store.add_failure(cells["magnitude", 0.2, 0].key, "it was wrong")
    assert overview(store).cells == {"done": 12, "failed": 1, "missing": 1}


# What cells refer to


def test_the_keys_on_a_path_are_those_of_the_plan(template, words):
    """They are computed from records alone; here they are compared with the plan's own."""
    suite = resolve(None, {**_options(words), "seeds": "2"}, Registry())
    nodes = {node.key: node for node in experiment.plan(suite, Registry()).nodes()}
    store = Store.open(template)
    [plan] = store.plans()
    for record in store.records():
        path = [node.key for node in nodes[record.key].path()]
        assert maintenance.path_keys(record, plan.strategies) == path
        assert not any(entry.strategy for entry in record.phases) or maintenance.path_keys(record, {}) == []
    needed = maintenance.references(store, [plan])
    assert needed.complete
    assert needed.records == {*store.keys("records")}
    assert needed.masks >= {*store.keys("masks")}


def _options(words):
    pairs = zip(words[::2], words[1::2], strict=True)
    named = {name.removeprefix("--").replace("-", "_"): value for name, value in pairs}
    return {name: value for name, value in named.items() if name != "executor"}


# Removing


def test_what_is_left_is_what_a_run_without_them_makes(store, lab, words, tmp_path):
    """Records and masks that another method shares stay; those of the removed methods alone go."""
    removal = remove(store, lambda cell: cell.label in ("imp", "random-pruning"))
    assert {kind_of(name) for name in removal.files} == {"records", "masks"}
    other = [*words, "--strategies", "magnitude", "--seeds", "2"]
    assert call("run", *other, "--store", tmp_path / "other").status == 0
    assert result_files(lab.names()) == result_files(contents(tmp_path / "other"))
    [plan] = Store.open(lab.url).plans()
    assert {cell.label for cell in plan.cells} == {"dense", "magnitude"}
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
    assert (len(records), len(store.keys("masks"))) == (8, len(masks) / 2)
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
    store.add_bytes("models", store.plans()[0].cells[0].key, b"model")
    store.add_bytes("weights", WeightsRef(training=store.plans()[0].cells[0].key, at=0.5).name, b"weights")
    removal = remove(store, lambda cell: True)
    assert str(removal).startswith("1 plan, 16 records, 10 masks, 1 weight file, 1 model: ")
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
    assert {cell.label for cell in store.plans()[0].cells} == {"dense", "magnitude"}


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
        with pytest.raises(PrunebenchError, match=r"plans/0123.json is no plan.*nothing is removed"):
            attempt()
    assert sorted(lab.names()) == before


# Collecting


FOREIGN = "ab" + "0" * 30


def test_a_fresh_store_has_no_garbage(store, lab):
    before = {name: lab.read(name) for name in lab.names()}
    assert not collect(store)
    assert {name: lab.read(name) for name in lab.names()} == before


def test_what_no_plan_refers_to_is_collected(store, lab):
    before = sorted(lab.names())
    [plan] = store.plans()
    waste = [f"records/ab/{FOREIGN}.json", f"records/ab/{FOREIGN}.npz", "records/ab/torn.damaged"]
    waste += [f"{kind}/{FOREIGN}.safetensors" for kind in ("masks", "weights", "models", "checkpoints")]
    waste += [f"weights/{plan.cells[0].key}-at-0.5.safetensors", f"checkpoints/{plan.cells[0].key}.safetensors"]
    waste += [f"failures/{FOREIGN}.json", f"failures/{plan.cells[0].key}.json"]
    kept = [f"models/{plan.cells[0].key}.safetensors", "notes.txt", "masks/README"]
    for name in waste + kept:
        lab.write(name, b"x")
    removal = collect(store)
    assert sorted(removal.files) == sorted(waste)
    assert str(removal) == (
        "1 record, 1 mask, 2 weight files, 1 model, 2 checkpoints, 2 failures, 1 damaged file: 11 bytes"
    )
    assert sorted(lab.names()) == sorted(before + kept)


def test_temporary_files_are_collected_after_a_day(template, tmp_path):
    for name, data in contents(template).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    for name in ("old", "new"):
        (tmp_path / "masks" / f".part-{name}").write_bytes(b"x")
    os.utime(tmp_path / "masks" / ".part-old", (0, 0))
    assert list(maintenance.garbage(Store.open(tmp_path)).files) == ["masks/.part-old"]


def test_what_may_belong_to_a_cell_that_is_not_done_is_spared(store, lab):
    """A run that was killed needs its masks, weights and checkpoints to go on."""
    [plan] = store.plans()
    cell = next(cell for cell in plan.cells if cell.label == "imp" and cell.sparsity == 0.3)
    lab.remove(f"records/{cell.key[:2]}/{cell.key}.json")
    lab.write(f"masks/{FOREIGN}.safetensors", b"x")
    lab.write(f"checkpoints/{cell.key}.safetensors", b"x")
    lab.write(f"weights/{cell.trainings[0]}.safetensors", b"x")
    finished = next(other for other in plan.cells if other.label == "magnitude" and other.seed != cell.seed)
    lab.write(f"checkpoints/{finished.key}.safetensors", b"x")
    removal = collect(store)
    # Logits without their record are of no use.
    logits = f"records/{cell.key[:2]}/{cell.key}.npz"
    assert sorted(removal.files) == sorted([f"checkpoints/{finished.key}.safetensors", logits])
    assert removal.spared == 1


def test_a_record_of_another_version_of_a_strategy_makes_masks_unsure(store, lab):
    plans = maintenance.read_plans(store)
    [(name, plan)] = plans.items()
    lab.write(name, maintenance.serialization.encode_plan(plan.model_copy(update={"strategies": {}}))[1])
    assert maintenance.garbage(store).files == {}
    assert maintenance.garbage(store).spared > 0


# Merging


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
    assert _ranking(lab.url, "--all") == _ranking(template)
    assert not maintenance.garbage(Store.open(lab.url))


def _ranking(name, *words):
    board = call("leaderboard", *words, "--store", name)
    assert board.status == 0, board.err
    return board.out


def test_merging_again_adds_nothing(lab, halves):
    store = Store.create(lab.url)
    first = merging.merge_store(store, Store.open(halves[0]))
    assert str(first) == "1 plan, 8 records, 5 masks"
    before = {name: lab.read(name) for name in lab.names()}
    again = merging.merge_store(store, Store.open(halves[0]))
    assert str(again) == "nothing new; 8 records here already"
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
    assert len(merge.damaged) == 3
    assert any(str(torn) in line and "torn or foreign" in line for line in merge.damaged)
    assert any(str(mixed) in line and "logits that were not written with it" in line for line in merge.damaged)
    assert store.record(lone.stem) is not None and store.logits(lone.stem) == {}


def test_failures_are_merged_unless_there_is_a_record(lab, words, halves, tmp_path):
    file = plugin_file(tmp_path, score="1 / 0")
    options = [*words, "--strategies", "mine", "--seeds", "0,", "--store", tmp_path / "other", "--plugin", file]
    assert call("run", *options).status == 2
    other, store = Store.open(tmp_path / "other"), Store.create(lab.url)
    merging.merge_store(store, Store.open(halves[0]))
    [present] = [record.key for record in other.records()]
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


# Bundles


@pytest.fixture(scope="module")
def bundle(template, tmp_path_factory):
    file = tmp_path_factory.mktemp("bundles") / "two.zip"
    assert call("bundle", "--store", template, "--out", file).status == 0
    return file


def test_a_bundle_gives_records_plans_and_predictions(lab, template, bundle):
    store, opened = Store.create(lab.url), open_bundle(bundle)
    merge = merging.merge_bundle(store, opened, opened.plans())
    assert str(merge) == "1 plan, 16 records"
    assert lasting(lab.url) == lasting(template)
    assert table(lab.url) == table(template) == table(bundle)
    assert _ranking(lab.url) == _ranking(template)
    original = Store.open(template)
    for key in original.keys("records"):
        [one, other] = store.predictions(key).values(), original.predictions(key).values()
        for array, expected in zip(one, other, strict=True):
            assert array.dtype == expected.dtype and np.array_equal(array, expected)
    assert str(merging.merge_bundle(store, opened, opened.plans())) == "nothing new; 16 records here already"
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
    assert _ranking(lab.url, "--all") == _ranking(template)
