"""Bundles with altered files (manifest, JSON, arrays, other members) are refused, and never raise anything else."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import pickle
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sharing.forgery import alter, lines, members, reseal, what_is_wrong

from prunebench.hooks.registry import Registry
from prunebench.sharing.bundle import archive, predictions, reader
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.schema import SCHEMA
from prunebench.store.schema import FORMAT


@pytest.mark.parametrize("member", ["records.jsonl", "cells.jsonl", "masks.jsonl", "predictions/0.npy"])
def test_a_member_that_the_manifest_does_not_know_is_refused(good, member):
    content = members(good)
    content[member] = content[member][:-2] + content[member][-1:]
    with pytest.raises(BadBundle, match="was altered: it does not match its checksum in the manifest"):
        reader.load(archive.write(content))


def manifest(good, **changes):
    content = members(good)
    return archive.write(
        {**content, "manifest.json": json.dumps(json.loads(content["manifest.json"]) | changes).encode()}
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": SCHEMA + 1, "prunebench": "9.9.9"}, "it was written by prunebench 9.9.9: upgrade prunebench"),
        ({"schema": 0}, "schema"),
        ({"schema": True}, "schema"),
        ({"schema": "1"}, "schema"),
        ({"kind": "something else"}, "is not that of a prunebench bundle"),
        ({"more": 1}, "more: extra inputs are not permitted"),
        ({"plans": []}, "has no plan"),
        ({"plans": None}, "plans"),
        ({"members": {}}, "disagree about"),
        ({"strategies": {}}, "which is not declared"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(good, tiny_glue, changes, reason):
    assert reason in what_is_wrong(manifest(good, **changes), tiny_glue)


def test_another_strategy_than_the_one_that_ran_is_refused(good, tiny_glue):
    strategies = json.loads(members(good)["manifest.json"])["strategies"]
    strategies["imp"]["source"] = "0" * 16
    assert "whose key is" in what_is_wrong(manifest(good, strategies=strategies), tiny_glue)


def test_a_summary_that_is_not_that_of_the_content_is_refused(good, tiny_glue):
    summary = json.loads(members(good)["manifest.json"])["summary"]
    summary["environment"]["hardware"] = ["a much larger machine"]
    assert "the manifest's summary" in what_is_wrong(manifest(good, summary=summary), tiny_glue)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"loss":', b'"loss": NaN, "x":', "NaN is not a finite number"),
        (b'"loss":', b'"loss": -Infinity, "x":', "-Infinity is not a finite number"),
        (b'"loss":', b'"loss": 1e999, "x":', "1e999 is not a finite number"),
        (b'"loss":', b'"steps": 1, "loss":', "the name 'steps' appears twice"),
        (b'"loss":', b'"loss": "', "is not valid JSON"),
        (b'"loss":', b'"loss": ' + b"[" * 5000 + b"]" * 5000 + b', "x":', "nested too deeply"),
        (b'"loss":', b'"loss": ' + b"1" * 5000 + b', "x":', "is not valid JSON"),
        (b'"loss":', b'"loss": "\xff", "x":', "is not valid JSON"),
        (b'"loss":', b'"loss": true, "x":', "loss"),
        (b'"status":"done"', b'"status":"failed"', "status"),
        (f'"format":{FORMAT}'.encode(), f'"format":{FORMAT + 1}'.encode(), "format"),
        (b"\n", b"", "not valid JSON"),
    ],
)
def test_json_that_is_none_is_refused(good, tiny_glue, old, new, reason):
    content = members(good)
    content["records.jsonl"] = content["records.jsonl"].replace(old, new, 1)
    manifest = json.loads(content["manifest.json"])
    manifest["members"]["records.jsonl"] = {
        "size": len(content["records.jsonl"]),
        "sha256": hashlib.sha256(content["records.jsonl"]).hexdigest(),
    }
    assert reason in what_is_wrong(
        archive.write({**content, "manifest.json": json.dumps(manifest).encode()}), tiny_glue
    )


def npy(array, pickled=False, **changes):
    with io.BytesIO() as file:
        np.lib.format.write_array(file, array, allow_pickle=pickled, **changes)
        return file.getvalue()


class Trap:
    """What `pickle.loads` would call."""

    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


def object_array():
    array = np.empty((2, 24), dtype=object)
    array[:] = Trap()
    return array


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (npy(object_array(), pickled=True), "holds pickled objects"),
        (pickle.dumps(Trap()), "is not an npy file"),
        (npy(np.zeros((2, 24), dtype=np.int64)), "is not an npy file of a bundle"),
        (npy(np.zeros((2, 24), dtype=">f4")), "is not an npy file of a bundle"),
        (npy(np.zeros((24,), dtype=np.uint8)), "is not an npy file of a bundle"),
        (npy(np.zeros((2, 24), dtype=np.uint8), version=(2, 0)), "is not an npy file of a bundle"),
        (npy(np.asfortranarray(np.zeros((2, 24), dtype=np.uint8))), "is not an npy file of a bundle"),
        (npy(np.full((2, 24), np.nan, dtype=np.float32)), "is not a finite number"),
        (npy(np.full((2, 24), np.inf, dtype=np.float32)), "is not a finite number"),
        (npy(np.zeros((2, 24), dtype=np.uint8))[:-1], "does not hold the"),
        (npy(np.zeros((0, 24), dtype=np.uint8)), "does not hold the"),
        (npy(np.zeros((2, 24), dtype=np.uint8)).replace(b"(2, 24)", b"(9, 24)"), "does not hold the"),
        (npy(np.zeros((2, 24), dtype=np.uint8)).replace(b"(2, 24)", b"(2,1e9"), "is not an npy file"),
        (npy(np.zeros((2, 24), dtype=np.uint8)), "are missing"),
        (b"PK\3\4", "is an archive itself"),
        (b"", "is not an npy file"),
    ],
)
def test_what_is_no_array_of_predictions_is_refused(good, tiny_glue, data, reason):
    assert reason in what_is_wrong(reseal({**members(good), "predictions/0.npy": data}), tiny_glue)


def test_a_class_that_the_task_does_not_have_is_refused(good, tiny_glue):
    content = members(good)
    name = next(
        name for name in content if name.endswith(".npy") and predictions.unpack(content[name], name).itemsize == 1
    )
    array = predictions.unpack(content[name], name).copy()
    array[0, 0] = 2
    assert "says a class 2" in what_is_wrong(reseal({**content, name: predictions.pack(list(array))}), tiny_glue)


@pytest.mark.parametrize("name", ["evil.py", "predictions/0.npz", "predictions/00000.npy", "plans.json"])
def test_a_foreign_file_is_refused(good, name):
    with pytest.raises(BadBundle, match="does not belong in a bundle"):
        reader.load(reseal({**members(good), name: b"hello"}))


def test_predictions_that_belong_to_no_record_are_refused(good):
    array = npy(np.zeros((2, 24), dtype=np.uint8))
    with pytest.raises(BadBundle, match="belong to no record"):
        reader.load(reseal({**members(good), "predictions/7.npy": array}))


@pytest.mark.parametrize("name", ["manifest.json", "records.jsonl", "failures.jsonl", "predictions/0.npy"])
def test_a_bundle_without_a_member_is_refused(good, name):
    content = members(good)
    del content[name]
    with pytest.raises(BadBundle):
        reader.load(archive.write(content))
    if name != "manifest.json":
        with pytest.raises(BadBundle):
            reader.load(reseal(content))


def parts(data):
    bundle = reader.load(data)
    arrays = {name: array.tobytes() for name, array in bundle.arrays.items()}
    return bundle.manifest, bundle.cells, bundle.records, bundle.masks, bundle.reasons, arrays


def test_any_byte_flipped_is_refused_or_says_the_same(good):
    """One random bit of every byte."""
    expected = parts(good)
    for at in range(len(good)):
        data = bytearray(good)
        data[at] ^= 1 << random.Random(at).randrange(8)
        with contextlib.suppress(BadBundle):
            assert parts(bytes(data)) == expected


values = st.one_of(st.none(), st.booleans(), st.integers(-2, 2**70), st.floats(0, 1), st.text(max_size=5), st.just([]))


def leaves(value, path=()):
    """The paths to all values in a JSON value that are neither lists nor objects."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    paths = [leaf for name, entry in pairs for leaf in leaves(entry, (*path, name))]
    return paths or ([path] if path else [])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_of_the_manifest_replaced_is_never_a_traceback(good, tiny_glue, data):
    content = members(good)
    manifest = json.loads(content["manifest.json"])
    path = data.draw(st.sampled_from(leaves(manifest)))
    parent = manifest
    for name in path[:-1]:
        parent = parent[name]
    old, parent[path[-1]] = parent[path[-1]], data.draw(values)
    wrong = what_is_wrong(archive.write({**content, "manifest.json": json.dumps(manifest).encode()}), tiny_glue)
    # No key depends on the source of a method that never chooses units.
    in_no_key = path[0] == "strategies" and not hasattr(Registry().strategy(path[1]), "score")
    assert wrong or old == parent[path[-1]] or path[0] in ("plans", "prunebench", "sources") or in_no_key


# Values that a forger can change without being refused: nothing depends on them, or only a rerun shows it.
UNCHECKED = {
    *("seconds", "peak_memory_mb", "loss", "environment", "encoder", "encoder_before", "checks", "doc", "source"),
    *("encoder_after", "sha256", "in_model"),
}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_replaced_is_refused_and_never_a_traceback(good, tiny_glue, data):
    member = data.draw(st.sampled_from(["records.jsonl", "cells.jsonl", "masks.jsonl"]))
    entries = lines(members(good)[member])
    index = data.draw(st.integers(0, len(entries) - 1))
    path = data.draw(st.sampled_from(leaves(entries[index])))
    new = data.draw(values)

    def change(entries):
        parent = entries[index]
        for name in path[:-1]:
            parent = parent[name]
        old, parent[path[-1]] = parent[path[-1]], new
        change.same = type(old) is type(new) and old == new

    wrong = what_is_wrong(alter(good, member, change), tiny_glue)
    assert wrong or change.same or UNCHECKED & set(map(str, path)) or path[0] == "checksum", (member, path, new)
