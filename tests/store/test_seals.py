"""Seals: any change of a file is noticed, as is another name, and other tools read the file as before."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import KEY, tensors

from prunebench.pruning import masks
from prunebench.store import seals
from prunebench.store.backends import Damaged

FILE = f"masks/{KEY}.safetensors"
TENSORS = masks.pack({"b": torch.tensor([True, False, True]), "a": torch.ones(9, 3, dtype=torch.bool)})
SEALED = {
    FILE: seals.seal_tensors(FILE, TENSORS),
    "plans/é.json": seals.seal_json("plans/é.json", b'{"suite": "one",\n "cells": []}\n'),
}


@given(name=st.sampled_from(sorted(SEALED)), data=st.data())
def test_any_flipped_bit_is_noticed(name, data):
    sealed = bytearray(SEALED[name])
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Damaged):
        seals.check(name, bytes(sealed))


@given(name=st.sampled_from(sorted(SEALED)), data=st.data())
def test_a_file_that_is_cut_or_extended_is_noticed(name, data):
    sealed = SEALED[name]
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for changed in (cut, sealed + data.draw(st.binary(min_size=1))):
        with pytest.raises(Damaged):
            seals.check(name, changed)


def test_a_file_under_the_name_of_another_is_noticed():
    for name, sealed in SEALED.items():
        seals.check(name, sealed)
        with pytest.raises(Damaged, match=r"holds (masks/|plans/)"):
            seals.check("masks/another.safetensors", sealed)


def test_the_checksum_is_that_of_the_file_without_its_digits():
    """As anybody can compute it; the digits stand where the description says."""
    sealed = SEALED["plans/é.json"]
    digits = json.loads(sealed)["checksum"].encode()
    assert hashlib.sha256(sealed.replace(digits, b"", 1)).hexdigest().encode() == digits
    sealed = SEALED[FILE]
    header = json.loads(sealed[8 : 8 + int.from_bytes(sealed[:8], "little")])
    digits = header["__metadata__"]["checksum"].encode()
    assert hashlib.sha256(sealed.replace(digits, b"", 1)).hexdigest().encode() == digits


def test_other_tools_read_a_sealed_file():
    assert json.loads(SEALED["plans/é.json"])["suite"] == "one"
    assert seals.unseal_json("plans/é.json", SEALED["plans/é.json"]) == b'{"suite": "one",\n "cells": []}\n'
    plain, sealed = safetensors.numpy.load(TENSORS), safetensors.numpy.load(SEALED[FILE])
    assert plain.keys() == sealed.keys() and all((plain[name] == sealed[name]).all() for name in plain)
    assert [*masks.unpack(SEALED[FILE])] == ["b", "a"], "its own metadata is still there"


@given(st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=4), st.dictionaries(st.text(), st.text()))
def test_tensors_and_metadata_survive_and_a_new_seal_replaces_the_old_one(sizes, about):
    arrays = {name: np.arange(size, dtype=np.float32) for name, size in sizes.items() if name != "__metadata__"}
    about = {name: value for name, value in about.items() if name not in ("checksum", "file")}
    data = safetensors.numpy.save(arrays, metadata=about or None)
    sealed = seals.seal_tensors(FILE, data)
    seals.check(FILE, sealed)
    assert (len(sealed) - sum(array.nbytes for array in arrays.values())) % 8 == 0, "tensors are aligned"
    loaded = safetensors.numpy.load(sealed)
    assert loaded.keys() == arrays.keys() and all((loaded[name] == arrays[name]).all() for name in arrays)
    moved = seals.seal_tensors("weights/x.safetensors", sealed)
    assert moved == seals.seal_tensors("weights/x.safetensors", data)
    header = json.loads(moved[8 : 8 + int.from_bytes(moved[:8], "little")])["__metadata__"]
    assert {name: header[name] for name in about} == about


@pytest.mark.parametrize("data", [b"", b"{}", TENSORS, tensors(), b'{"checksum": "', b"[" * 100_000])
def test_a_file_without_a_seal_is_refused(data):
    with pytest.raises(Damaged):
        seals.check(FILE, data)
