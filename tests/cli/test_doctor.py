"""`prunebench doctor`: the installation, and whether a store is sound."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import tempfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from commands import call, contents, refused
from stores import user_without_rights

from prunebench.pruning import masks
from prunebench.store import seals, serialization
from prunebench.store.store import Store

VERSION = importlib.metadata.version("prunebench")


def test_a_sound_store(store):
    result = call("doctor", "--store", store)
    assert result.status == 0, result.err
    assert re.search(r"^store: +\S+: 3 records, 1 mask, 1 label file$", result.out, re.MULTILINE)
    assert f"prunebench {VERSION}" in result.out
    assert result.last == "Nothing is wrong. Try it: prunebench run smoke"


def wrong(store):
    """What `doctor` says is wrong, after a check of its exit status."""
    result = call("doctor", "--store", store)
    lines = [line.removeprefix("wrong: ") for line in result.err.splitlines()]
    assert result.status == (1 if lines else 0), result
    assert "Traceback" not in result.out + result.err
    assert ("Nothing is wrong" in result.out) is not bool(lines)
    assert not lines or re.fullmatch(r"(1 thing is|\d+ things are) wrong, see above", lines[-1])
    return lines[:-1]


def files(store, kind, suffix=".json"):
    return sorted((store / kind).glob(f"**/*{suffix}"))


def test_damaged_files_are_reported_and_set_aside(store, words):
    [mask] = (store / "masks").iterdir()
    record, logits = files(store, "records")[0], files(store, "records", ".npz")[1]
    model = store / "models" / "a.safetensors"
    mask.write_bytes(mask.read_bytes()[:-1])
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    logits.write_bytes(logits.read_bytes()[:-30])
    model.parent.mkdir(exist_ok=True)
    model.write_bytes(b"no model")
    lines = wrong(store)
    assert any(str(record) in line and "does not match its checksum: moved to" in line for line in lines)
    assert any(str(logits) in line and "was not written with its record" in line for line in lines)
    for damaged, reason in ((mask, "does not match its checksum"), (model, "has no checksum")):
        assert any(f"{damaged} {reason}: moved to {damaged.name}.damaged" in line for line in lines)
    for half in (record, logits, record.with_suffix(".npz"), logits.with_suffix(".json")):
        assert half.with_name(f"{half.name}.damaged").exists() and not half.exists()
    assert call("run", *words, "--store", store).status == 0
    assert wrong(store) == [], "the run has made all again"


# What belongs together


def test_a_cell_without_its_mask_is_reported(store, words):
    [mask] = (store / "masks").iterdir()
    mask.unlink()
    [line] = wrong(store)
    assert f"magnitude at 0.2 on rte with seed 0: its mask {mask.stem} is gone" in line
    assert call("run", *words, "--store", store).status == 0
    assert wrong(store) == []


def test_a_record_without_its_logits_is_reported(store, words):
    logits = files(store, "records", ".npz")[0]
    logits.unlink()
    [line] = wrong(store)
    assert str(logits) in line and "it is gone" in line
    assert call("run", *words, "--store", store).status == 0
    assert wrong(store) == []


def test_a_mask_of_another_size_than_its_record_is_reported(store):
    """Whole in itself and sealed for this name, so that only the comparison shows it."""
    [file] = (store / "masks").iterdir()
    mask = masks.unpack(file.read_bytes())
    name, keep = next(iter(mask.items()))
    mask[name] = torch.ones_like(keep)
    file.write_bytes(seals.seal_tensors(f"masks/{file.name}", masks.pack(mask)))
    [line] = wrong(store)
    assert f"its mask {file.stem} prunes" in line and "and its record says" in line


def test_a_model_with_weights_that_its_mask_prunes_is_reported(store):
    cell = next(cell for cell in Store.open(store).plans()[0].cells if cell.label == "magnitude")
    mask = masks.unpack((store / "masks" / f"{cell.mask}.safetensors").read_bytes())
    name = next(name for name, keep in mask.items() if not keep.all())
    target = Store.open(store)
    weights = {each: keep.float() for each, keep in mask.items()}
    target.add_bytes("models", cell.key, safetensors.torch.save(weights))
    assert wrong(store) == []
    (store / "models" / f"{cell.key}.safetensors").unlink()
    weights[name] = torch.ones_like(weights[name])
    target.add_bytes("models", cell.key, safetensors.torch.save(weights))
    [line] = wrong(store)
    assert f"its model has weights in {name} that its mask prunes" in line


def test_logits_of_other_examples_than_the_record_are_reported(store):
    target = Store.open(store)
    [record, *_] = target.records()
    file = store / "records" / record.key[:2] / f"{record.key}.npz"
    logits = serialization.encode_arrays({name: array[:-1] for name, array in target.logits(record.key).items()})
    file.write_bytes(logits)
    file.with_suffix(".json").write_bytes(serialization.encode_record(record, logits))
    [line] = wrong(store)
    assert line == f"the record {record.key} has logits of 23 validation (expected 24 validation)"


def test_a_cell_with_the_record_of_another_task_is_reported(store):
    target = Store.open(store)
    [plan] = target.plans()
    changed = plan.model_copy(update={"cells": [cell.model_copy(update={"seed": 7}) for cell in plan.cells]})
    target.add_plan(changed.model_copy(update={"command": "another"}))
    lines = wrong(store)
    assert len(lines) == 3
    assert any(
        "dense at 0 on rte with seed 7: its record" in line and "is of rte with seed 0" in line for line in lines
    )


# The head, and what cannot be read


def without_id(head):
    return {name: value for name, value in json.loads(head).items() if name != "id"}


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "[" * 100_000, '{"format": 1e400}', '{"format": 3}'])
def test_a_lost_head_is_written_anew(store, words, text):
    head = store / "store.json"
    before = seals.unseal_json("store.json", head.read_bytes())
    head.unlink() if text is None else head.write_text(text)
    for command in (("results",), ("run", *words)):
        refused(call(*command, "--store", store), str(head), "`prunebench doctor` writes a new one")
    [line] = wrong(store)
    assert str(head) in line and line.endswith("written anew")
    # It is a new one, as its id says: nobody knows the old one.
    after = seals.unseal_json("store.json", head.read_bytes())
    assert without_id(after) == without_id(before)
    assert wrong(store) == []
    assert text is None or (store / "store.json.damaged").read_text() == text


def test_the_head_of_a_store_of_an_earlier_format_is_written_anew_as_such(store):
    """Its files have no checksums, and would all be refused in a store of this format."""
    for file in files(store, "plans"):
        name = f"plans/{file.name}"
        file.write_bytes(seals.unseal_json(name, file.read_bytes()))
    (store / "store.json").unlink()
    assert len(wrong(store)) == 1
    assert Store.open(store).format == 2
    assert wrong(store) == []


@pytest.mark.parametrize("kind", ["records", "masks", "plans", "failures", "runs"])
def test_a_folder_that_cannot_be_read_is_no_all_clear(store, kind):
    """A file stands in its place, which root cannot read as a folder either."""
    folder = store / kind
    if folder.exists():
        folder.rename(store.parent / kind)
    folder.write_text("")
    lines = wrong(store)
    assert lines and all("cannot read the store" in line and kind in line for line in lines)
    result = call("results", "--store", store)
    assert result.status in (0, 2) and "Traceback" not in result.err


def test_missing_permission_is_no_all_clear(store):
    with tempfile.TemporaryDirectory() as name:  # below a folder that a user without rights may enter
        copy = Path(name) / "store"
        shutil.copytree(store, copy)
        Path(name).chmod(0o755)
        [mask] = (copy / "masks").iterdir()
        mask.chmod(0)
        (copy / "plans").chmod(0)
        with user_without_rights():
            lines = wrong(copy)
            refused(call("results", "--store", copy), "cannot read the store", "no permission to read")
    assert len(lines) == 2
    assert any(str(mask) in line and "no permission to read" in line for line in lines)
    assert any("plans" in line and "no permission to read" in line for line in lines)


def test_a_complaint_on_a_read_only_store_says_that_nothing_was_moved(store):
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "store"
        shutil.copytree(store, copy)
        Path(name).chmod(0o755)
        record = files(copy, "records")[0]
        record.write_text("{}")
        [mask] = (copy / "masks").iterdir()
        mask.write_bytes(b"")
        for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
            folder.chmod(0o555)
        before = contents(copy)
        with user_without_rights():
            lines = wrong(copy)
        assert contents(copy) == before
    for file in (record, mask):
        [line] = [line for line in lines if str(file) in line]
        assert "it cannot be moved aside: there is no permission" in line


def test_no_store(tmp_path):
    result = call("doctor", "--store", tmp_path / "nowhere")
    assert result.status == 0
    assert f"store:      none in {tmp_path / 'nowhere'} yet" in result.out
    assert not (tmp_path / "nowhere").exists()
