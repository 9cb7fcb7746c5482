"""Collecting what no plan of a store refers to."""

from __future__ import annotations

import os

from commands import contents
from stores import collect

from prunebench.store import maintenance
from prunebench.store.store import Store

FOREIGN = "ab" + "0" * 30


def test_a_fresh_store_has_no_garbage(store, lab):
    before = {name: lab.read(name) for name in lab.names()}
    assert not collect(store)
    assert {name: lab.read(name) for name in lab.names()} == before


def test_what_no_plan_refers_to_is_collected(store, lab):
    before = sorted(lab.names())
    [plan] = store.plans()
    waste = [f"records/ab/{FOREIGN}.json", f"records/ab/{FOREIGN}.npz", "records/ab/torn.json.damaged"]
    waste += [f"{kind}/{FOREIGN}.safetensors" for kind in ("masks", "weights", "models", "checkpoints")]
    waste += [f"labels/{FOREIGN}-all.safetensors", f"labels/{FOREIGN}-8.safetensors"]
    waste += [f"weights/{plan.cells[0].key}-at-0.5.safetensors", f"checkpoints/{plan.cells[0].key}.safetensors"]
    waste += [f"failures/{FOREIGN}.json", f"failures/{plan.cells[0].key}.json"]
    kept = [f"models/{plan.cells[0].key}.safetensors", "notes.txt", "masks/README"]
    for name in waste + kept:
        lab.write(name, b"x")
    removal = collect(store)
    assert sorted(removal.files) == sorted(waste)
    assert str(removal) == (
        "1 record, 1 mask, 2 weight files, 1 model, 2 checkpoints, 2 label files, 2 failures, 1 damaged file: 13 bytes"
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
