"""`prunebench doctor`: the installation, and whether a store is sound."""

from __future__ import annotations

import importlib.metadata
import re

from commands import call, refused

VERSION = importlib.metadata.version("prunebench")


def test_a_sound_store(store):
    result = call("doctor", "--store", store)
    assert result.status == 0, result.err
    assert re.search(r"^store: +\S+: 3 records, 1 mask$", result.out, re.MULTILINE)
    assert f"prunebench {VERSION}" in result.out
    assert result.last == "Nothing is wrong. Try it: prunebench run smoke"


def test_damaged_files_are_reported_and_set_aside(store):
    [mask] = (store / "masks").iterdir()
    record = sorted((store / "records").glob("*/*.json"))[0]
    mask.write_bytes(mask.read_bytes()[:-1])
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    logits = sorted((store / "records").glob("*/*.npz"))[1]
    logits.write_bytes(logits.read_bytes()[:-30])
    (store / "models" / "a.safetensors").parent.mkdir(exist_ok=True)
    (store / "models" / "a.safetensors").write_bytes(b"no model")
    others = refused(call("doctor", "--store", store), "4 things are wrong")
    assert [line for line in others if str(record) in line and "does not match its checksum" in line]
    assert [line for line in others if str(logits) in line]
    for damaged in (mask, store / "models" / "a.safetensors"):
        assert [line for line in others if str(damaged) in line and "is damaged and was set aside" in line]
    assert call("doctor", "--store", store).status == 0


def test_no_store(tmp_path):
    result = call("doctor", "--store", tmp_path / "nowhere")
    assert result.status == 0
    assert f"store:      none in {tmp_path / 'nowhere'} yet" in result.out
    assert not (tmp_path / "nowhere").exists()
