"""The store: whole or not at all, never trusted blindly, never changed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from prunebench import PrunebenchError, masks
from prunebench.store import FORMAT, InputMissing, Store, StoreError

KEY = "ab" + "0" * 30


def record(key=KEY, **values):
    return {"format": FORMAT, "key": key, "status": "done", "steps": 3, **values}


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "store")


def test_a_record_comes_back(store):
    store.add_record(record(loss=0.5), b"logits")
    again = Store.open(store.folder)
    assert again.record(KEY) == record(loss=0.5)
    assert again.has("records", KEY)
    assert store.path("records", KEY).with_suffix(".npz").read_bytes() == b"logits"
    assert list(again.records()) == [record(loss=0.5)]
    assert store.path("records", KEY).stat().st_mode & 0o777 == 0o644, "readable by others of a shared store"
    assert not again.has("records", "cd" + KEY[2:])


def test_the_first_writer_wins(store):
    store.add_record(record(loss=0.5), b"first")
    store.add_record(record(loss=0.7), b"second")
    assert store.record(KEY)["loss"] == 0.5
    store.add_bytes("masks", KEY, b"first")
    store.add_bytes("masks", KEY, b"second")
    assert store.load("masks", KEY, bytes) == b"first"


def spoil_cut(data):
    return data[: len(data) // 2]


def spoil_value(data):
    return data.replace(b'"steps": 3', b'"steps": 4')


def spoil_bit(data):
    middle = data.index(b"done")
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def spoil_key(data):
    return data.replace(KEY.encode(), b"cd" + KEY[2:].encode())


def spoil_foreign(data):
    return b'{"some": "json"}'


@pytest.mark.parametrize("spoil", [spoil_cut, spoil_value, spoil_bit, spoil_key, spoil_foreign])
def test_a_spoilt_record_is_set_aside_and_named(store, spoil):
    store.add_record(record(), b"logits")
    path = store.path("records", KEY)
    path.write_bytes(spoil(path.read_bytes()))
    assert store.record(KEY) is None
    assert path.with_suffix(".damaged").exists()
    assert str(path) in store.complaints[0]
    store.add_record(record(), b"logits")
    assert store.record(KEY) == record()


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda _: b""]
)
def test_a_spoilt_mask_is_set_aside_and_missed(store, spoil):
    mask = {"a": torch.tensor([[True, False], [True, True]])}
    store.add_bytes("masks", KEY, masks.pack(mask))
    assert torch.equal(store.load("masks", KEY, masks.unpack)["a"], mask["a"])
    path = store.path("masks", KEY)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputMissing, match="damaged"):
        store.load("masks", KEY, masks.unpack)
    assert not store.has("masks", KEY)
    with pytest.raises(InputMissing, match="gone"):
        store.load("masks", KEY, masks.unpack)


def test_a_kill_while_the_store_is_made_does_not_block_it(tmp_path):
    (tmp_path / ".part-abc").write_text("{")
    assert Store.create(tmp_path).plans() == []


def test_a_record_replaces_its_failure(store):
    store.add_failure(KEY, "it raised", "traceback")
    assert store.failure(KEY)["reason"] == "it raised"
    store.add_record(record(), b"")
    assert store.failure(KEY) is None


def test_plans_come_newest_last_and_once_each(store):
    cells = [{"key": KEY}]
    store.add_plan(cells, "one", "prunebench run one")
    store.add_plan(cells, "two", "prunebench run two")
    assert [plan["suite"] for plan in store.plans()] == ["one", "two"]
    store.add_plan(cells, "one", "prunebench run one")
    assert [plan["suite"] for plan in store.plans()] == ["two", "one"]


def test_what_is_no_plan_is_left_out_and_named(store):
    store.add_plan([{"key": KEY}], "one", "prunebench run one")
    for name, text in (("a", "{}"), ("b", "[1]"), ("c", "{")):
        (store.folder / "plans" / f"{name}.json").write_text(text)
    assert [plan["suite"] for plan in store.plans()] == ["one"]
    assert len(store.complaints) == 3


def test_a_store_of_a_newer_version_is_refused(store):
    (store.folder / "store.json").write_text(json.dumps({"format": FORMAT + 1, "prunebench": "9.0"}))
    with pytest.raises(PrunebenchError, match=r"written by prunebench 9\.0.*upgrade"):
        Store.open(store.folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_a_head_that_cannot_be_read_is_named(store, text):
    (store.folder / "store.json").write_text(text)
    with pytest.raises(PrunebenchError, match=r"cannot read .*store\.json"):
        Store.open(store.folder)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(PrunebenchError, match="not empty and no store"):
        Store.create(tmp_path)
    with pytest.raises(PrunebenchError, match="no store in"):
        Store.open(tmp_path)


def test_a_path_through_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PrunebenchError, match="a part of its path is a file"):
        Store.create(tmp_path / "file" / "store")


def test_a_full_disk_is_one_line_and_leaves_nothing_torn(store):
    """/dev/full answers every write with "no space left", as a full disk does."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    code = (
        "import os, sys, tempfile\n"
        "from prunebench.store import Store\n"
        "def full(**where):\n"
        "    name = os.path.join(where['dir'], where['prefix'] + 'x'); open(name, 'w').close()\n"
        "    return os.open('/dev/full', os.O_WRONLY), name\n"
        "store = Store.open(sys.argv[1])\n"
        "tempfile.mkstemp = full\n"
        "store.add_bytes('masks', 'k', b'0' * 10)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.folder)], capture_output=True, text=True)
    assert "StoreError: cannot write to the store" in done.stderr
    assert "no space is left" in done.stderr
    assert [path.name for path in store.folder.rglob("*") if path.is_file()] == ["store.json"]


@contextlib.contextmanager
def nobody():
    """A user without rights, also where the tests are run by root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_store_without_permission_is_one_line():
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        Store.create(place / "store").add_record(record(), b"logits")
        place.chmod(0o755)
        for path in (place / "store").rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        (place / "store").chmod(0o555)
        with nobody():
            with pytest.raises(StoreError, match="no permission"):
                Store.create(place / "store")
            with pytest.raises(StoreError, match="no permission"):
                Store.create(place / "another")
            assert Store.open(place / "store").record(KEY) == record()
