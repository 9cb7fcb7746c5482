"""Records, logits and masks: a file is there whole or not at all, and what is stored never changes."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from samples import KEY, content, record, tensors

from prunebench import PrunebenchError
from prunebench.pruning import masks
from prunebench.store import backends, seals, serialization
from prunebench.store.schema import FORMAT, PhaseEntry, Record
from prunebench.store.store import InputMissing, Store


@pytest.fixture
def store(lab):
    return Store.create(lab.url)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def test_a_stored_record_is_read_back(lab, store):
    store.add_record(record(loss=0.5), b"logits")
    reopened = Store.open(store.name)
    assert reopened.record(KEY) == record(loss=0.5)
    assert reopened.has("records", KEY)
    assert lab.read(f"records/ab/{KEY}.npz") == b"logits"
    assert list(reopened.records()) == [record(loss=0.5)]
    assert not reopened.has("records", "cd" + KEY[2:])
    assert lab.names() == [f"records/ab/{KEY}.json", f"records/ab/{KEY}.npz", "store.json"]


def test_the_first_writer_wins(store):
    store.add_record(record(loss=0.5), b"first")
    store.add_record(record(loss=0.7), b"second")
    assert store.record(KEY).loss == 0.5
    store.add_bytes("masks", KEY, tensors(b"first"))
    store.add_bytes("masks", KEY, tensors(b"second"))
    assert store.load("masks", KEY, content) == b"first"


# Logits


def test_stored_logits_are_read_back(store):
    logits = np.array([[0.25, -1.0], [2.0, 3.5]], dtype=np.float32)
    store.add_record(record(), npz(validation_matched=logits, validation_mismatched=-logits))
    arrays = Store.open(store.name).logits(KEY)
    assert sorted(arrays) == ["validation_matched", "validation_mismatched"]
    assert (arrays["validation_matched"] == logits).all()
    assert store.logits("cd" + KEY[2:]) == {}


@pytest.mark.parametrize("data", [b"logits", npz(a=np.zeros(3))[:-9], npz(a=np.array([{}], dtype=object))])
def test_unreadable_logits_are_refused_and_never_unpickled(store, data):
    store.add_record(record(), data)
    with pytest.raises(PrunebenchError, match=f"cannot trust .*{KEY}.npz.*set aside with its record"):
        store.logits(KEY)
    assert not store.has("records", KEY), "it is made again"
    store.add_record(record(), npz(a=np.zeros(3)))
    assert list(store.logits(KEY)) == ["a"]


def test_logits_of_another_record_are_refused(lab, store):
    """The file is whole and its shapes fit, but the checksum in the record differs. Old records hold no checksum."""
    store.add_record(record(), npz(validation=np.zeros((3, 2))))
    name = f"records/ab/{KEY}"
    record_file = lab.read(f"{name}.json")
    lab.write(f"{name}.npz", npz(validation=np.ones((3, 2))))
    with pytest.raises(PrunebenchError, match=f"cannot trust .*{KEY}.npz: it was not written with its record"):
        store.logits(KEY)
    assert not store.has("records", KEY), "it is made again"
    fields = json.loads(record_file)
    del fields["logits"]
    fields["record"]["format"] = 2
    fields["checksum"] = Record.model_validate(fields["record"]).checksum
    lab.write(f"{name}.json", json.dumps(fields).encode())
    lab.write(f"{name}.npz", npz(validation=np.ones((3, 2))))
    assert (Store.open(store.name).logits(KEY)["validation"] == 1).all()


# Many at once


@pytest.mark.parametrize("few", [0, 16], ids=["listed", "looked for"])
def test_many_records_are_read_together(lab, store, monkeypatch, few):
    monkeypatch.setattr(backends, "FEW", few)
    keys = [f"{number:02x}" * 16 for number in range(5)]
    for key in keys[1:4]:
        store.add_record(record(key), b"")
    lab.write(f"records/03/{keys[3]}.json", b"{")
    lab.write("records/03/notes.json", b"{}")
    reopened = Store.open(store.name)
    assert reopened.fetch(keys) == {key: record(key) for key in keys[1:3]}
    assert len(reopened.complaints) == 1
    assert f"{store.name}/records/03/{keys[3]}.json is torn" in reopened.complaints[0]
    assert sorted(record.key for record in Store.open(store.name).records()) == keys[1:3]


def test_many_records_are_read_from_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "FEW", 0)
    monkeypatch.chdir(tmp_path)
    store = Store.create(".")
    store.add_record(record(), b"")
    assert Store.open(".").fetch([KEY, "0" * 32]) == {KEY: record()}


def test_a_snapshot_knows_what_is_there(store):
    store.add_record(record(), b"")
    store.add_bytes("masks", KEY, tensors())
    store.add_bytes("weights", f"{KEY}-at-0.5", tensors())
    snapshot = Store.open(store.name).snapshot([KEY, "none"])
    for kind, name in (("records", KEY), ("masks", KEY), ("weights", f"{KEY}-at-0.5")):
        assert snapshot.has(kind, name)
        assert not snapshot.has(kind, "none")
    assert not Store.open(store.name).snapshot([]).has("records", KEY)


def test_changes_by_other_processes_are_noticed(lab, store):
    store.add_bytes("weights", "one", tensors())
    store.add_record(record(), b"")
    assert not store.snapshot([]).has("weights", "two")
    assert not store.has("weights", "two")
    lab.write("weights/two.safetensors", seals.seal_tensors("weights/two.safetensors", tensors(b"two")))
    assert store.snapshot([]).has("weights", "two")
    assert store.has("weights", "two")
    assert store.load("weights", "two", content) == b"two"
    assert len(list(store.records())) == 1
    neighbour = KEY[:-1] + "1"
    lab.write(f"records/ab/{neighbour}.json", lab.read(f"records/ab/{KEY}.json"))
    assert store.record(neighbour) is None
    assert f"{neighbour}.json holds the record of {KEY}" in store.complaints[0]
    assert store.snapshot([]).has("weights", "two")
    lab.remove("weights/two.safetensors")
    assert not store.has("weights", "two")
    assert not store.snapshot([]).has("weights", "two")


# Damage


def test_a_reformatted_record_is_still_valid(lab, store, monkeypatch):
    """The checksum is of the content. A file as the store writes it is checked without encoding the record again."""
    original = record(
        loss=0.1 + 0.2,
        phases=[PhaseEntry(phase="Train", strategy="", nested={"b": [1, {}, []], "a": None})],
        environment={"text": ' a\n b: \u00e9 "record": ', "empty": ""},
    )
    store.add_record(original, b"")
    name = f"records/ab/{KEY}.json"
    lab.write(name, json.dumps(json.loads(lab.read(name))).encode())
    assert Store.open(store.name).record(KEY) == original
    lab.remove(name)
    Store.open(store.name).add_record(original, b"")
    monkeypatch.setattr(Record, "checksum", property(lambda _: pytest.fail("the record was encoded again")))
    assert Store.open(store.name).record(KEY) == original


def cut(data):
    return data[: len(data) // 2]


def change_a_value(data):
    return data.replace(b'"steps": 3', b'"steps": 4')


def flip_a_bit(data):
    middle = data.index(b"rte")
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def change_the_status(data):
    return data.replace(b'"done"', b'"gone"')


def make_a_value_infinite(data):
    return data.replace(b'"sparsity": null', b'"sparsity": 1e999')


def change_the_key(data):
    return data.replace(KEY.encode(), b"cd" + KEY[2:].encode())


def raise_the_format(data):
    """Valid in itself, and of a format that this version does not know."""
    newer = Record.model_validate(json.loads(data)["record"]).model_copy(update={"format": 99})
    return serialization.encode_record(newer)


def test_a_record_of_a_newer_version_stays(lab, store):
    """Neither a command that reads nor one that computes the result again touches it, and a run says why it stops."""
    store.add_record(record(), b"logits")
    name = f"records/ab/{KEY}.json"
    newer = raise_the_format(lab.read(name))
    lab.write(name, newer)
    reader = Store.open(store.name)
    assert reader.record(KEY) is None and reader.fetch([KEY]) == {}
    assert reader.complaints == [
        f"{reader.backend.location(name)} is of format 99, newer than {FORMAT}: it stays, and counts as absent"
    ]
    with pytest.raises(PrunebenchError, match="newer version of prunebench"):
        reader.snapshot([KEY])
    reader.add_record(record(), b"others")
    assert lab.read(name) == newer
    assert lab.read(f"records/ab/{KEY}.npz") == b"logits"


def replace_by_other_json(data):
    return b'{"some": "json"}'


def empty(data):
    return b""


DAMAGE = {
    cut: "is torn or foreign",
    change_a_value: "does not match its checksum",
    flip_a_bit: "does not match its checksum",
    change_the_status: "is torn or foreign",
    make_a_value_infinite: "is torn or foreign",
    change_the_key: f"holds the record of cd{KEY[2:]}",
    replace_by_other_json: "is torn or foreign",
    empty: "is torn or foreign",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("read", [Store.record, lambda store, key: store.fetch([key]).get(key)], ids=["one", "many"])
def test_a_damaged_record_is_set_aside_and_named(lab, store, damage, read):
    store.add_record(record(), b"logits")
    name = f"records/ab/{KEY}.json"
    damaged = damage(lab.read(name))
    lab.write(name, damaged)
    assert read(store, KEY) is None
    assert name not in lab.names()
    assert lab.read(f"{name}.damaged") == damaged
    assert lab.read(f"records/ab/{KEY}.npz.damaged") == b"logits", "both halves are kept under their own names"
    assert f"{store.name}/{name} {DAMAGE[damage]}: " in store.complaints[0]
    store.add_record(record(), b"logits")
    assert read(store, KEY) == record()


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda _: b""]
)
def test_a_damaged_mask_is_set_aside_and_missing(lab, store, damage):
    mask = {"a": torch.tensor([[True, False], [True, True]])}
    store.add_bytes("masks", KEY, masks.pack(mask))
    assert torch.equal(store.load("masks", KEY, masks.unpack)["a"], mask["a"])
    name = f"masks/{KEY}.safetensors"
    lab.write(name, damage(lab.read(name)))
    with pytest.raises(InputMissing, match=r"does not match its checksum|is empty"):
        store.load("masks", KEY, masks.unpack)
    assert not store.has("masks", KEY)
    with pytest.raises(InputMissing, match="gone"):
        store.load("masks", KEY, masks.unpack)
