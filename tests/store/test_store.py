"""The store: whole or not at all, never trusted blindly, never changed."""

from __future__ import annotations

import contextlib
import datetime
import io
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from prunebench import PrunebenchError
from prunebench.pruning import masks
from prunebench.store import backends, claims, serialization
from prunebench.store.serialization import FORMAT
from prunebench.store.store import InputMissing, Store, StoreError

KEY = "ab" + "0" * 30


def record(key=KEY, **values):
    return {"format": FORMAT, "key": key, "status": "done", "steps": 3, **values}


@pytest.fixture
def store(lab):
    return Store.create(lab.url)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def test_a_record_comes_back(lab, store):
    store.add_record(record(loss=0.5), b"logits")
    again = Store.open(store.name)
    assert again.record(KEY) == record(loss=0.5)
    assert again.has("records", KEY)
    assert lab.read(f"records/ab/{KEY}.npz") == b"logits"
    assert list(again.records()) == [record(loss=0.5)]
    assert not again.has("records", "cd" + KEY[2:])
    assert lab.names() == [f"records/ab/{KEY}.json", f"records/ab/{KEY}.npz", "store.json"]


def test_logits_come_back(store):
    logits = np.array([[0.25, -1.0], [2.0, 3.5]], dtype=np.float32)
    store.add_record(record(), npz(validation_matched=logits, validation_mismatched=-logits))
    found = Store.open(store.name).logits(KEY)
    assert sorted(found) == ["validation_matched", "validation_mismatched"]
    assert (found["validation_matched"] == logits).all()
    assert store.logits("cd" + KEY[2:]) == {}


@pytest.mark.parametrize("data", [b"", b"logits", npz(a=np.zeros(3))[:-9], npz(a=np.array([{}], dtype=object))])
def test_logits_that_are_none_are_refused_and_never_unpickled(store, data):
    store.add_record(record(), data)
    with pytest.raises(PrunebenchError, match=f"cannot trust .*{KEY}.npz.*set aside with its record"):
        store.logits(KEY)
    assert not store.has("records", KEY), "it is made again"
    store.add_record(record(), npz(a=np.zeros(3)))
    assert list(store.logits(KEY)) == ["a"]


def test_logits_in_the_place_of_others_are_not_trusted(lab, store):
    """Whole, and of the right shape: another record's, say. A record of before says nothing of its logits."""
    store.add_record(record(), npz(validation=np.zeros((3, 2))))
    name = f"records/ab/{KEY}"
    whole = lab.read(f"{name}.json")
    lab.write(f"{name}.npz", npz(validation=np.ones((3, 2))))
    with pytest.raises(PrunebenchError, match=f"cannot trust .*{KEY}.npz: it is another one than was written with its"):
        store.logits(KEY)
    assert not store.has("records", KEY), "it is made again"
    outer = json.loads(whole)
    del outer["logits"]
    lab.write(f"{name}.json", json.dumps(outer).encode())
    lab.write(f"{name}.npz", npz(validation=np.ones((3, 2))))
    assert (Store.open(store.name).logits(KEY)["validation"] == 1).all()


def test_a_record_that_was_laid_out_anew_is_the_same_record(lab, store, monkeypatch):
    """The checksum is of the content. A file as the store writes it is checked without encoding the record again."""
    kept = record(loss=0.1 + 0.2, text=' a\n b: \u00e9 "record": ', nested={"b": [1, {}, []], "a": None}, empty="")
    store.add_record(kept, b"")
    name = f"records/ab/{KEY}.json"
    lab.write(name, json.dumps(json.loads(lab.read(name))).encode())
    assert Store.open(store.name).record(KEY) == kept
    lab.remove(name)
    Store.open(store.name).add_record(kept, b"")
    monkeypatch.setattr("prunebench.store.serialization.checksum", lambda record: pytest.fail("encoded again"))
    assert Store.open(store.name).record(KEY) == kept


@pytest.mark.parametrize("few", [0, 16], ids=["listed", "looked for"])
def test_many_records_come_back_together(lab, store, monkeypatch, few):
    monkeypatch.setattr(backends, "FEW", few)
    keys = [f"{number:02x}" * 16 for number in range(5)]
    for key in keys[1:4]:
        store.add_record(record(key), b"")
    lab.write(f"records/03/{keys[3]}.json", b"{")
    lab.write("records/03/notes.json", b"{}")
    again = Store.open(store.name)
    assert again.fetch(keys) == {key: record(key) for key in keys[1:3]}
    assert len(again.complaints) == 1
    assert f"{store.name}/records/03/{keys[3]}.json is torn" in again.complaints[0]
    assert sorted(found["key"] for found in Store.open(store.name).records()) == keys[1:3]


def test_records_of_the_working_folder_come_back_together(tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "FEW", 0)
    monkeypatch.chdir(tmp_path)
    store = Store.create(".")
    store.add_record(record(), b"")
    assert Store.open(".").fetch([record()["key"], "0" * 32]) == {record()["key"]: record()}


def test_a_snapshot_says_what_is_there(store):
    store.add_record(record(), b"")
    store.add_bytes("masks", KEY, b"mask")
    store.add_bytes("weights", f"{KEY}-at-0.5", b"weights")
    held = Store.open(store.name).snapshot([KEY, "none"])
    for kind, name in (("records", KEY), ("masks", KEY), ("weights", f"{KEY}-at-0.5")):
        assert held.has(kind, name)
        assert not held.has(kind, "none")
    assert not Store.open(store.name).snapshot([]).has("records", KEY)


def test_what_others_write_and_remove_is_seen(lab, store):
    store.add_bytes("weights", "one", b"")
    store.add_record(record(), b"")
    assert not store.snapshot([]).has("weights", "two")
    assert not store.has("weights", "two")
    lab.write("weights/two.safetensors", b"weights")
    assert store.snapshot([]).has("weights", "two")
    assert store.has("weights", "two")
    assert store.load("weights", "two", bytes) == b"weights"
    assert len(list(store.records())) == 1
    neighbour = KEY[:-1] + "1"
    lab.write(f"records/ab/{neighbour}.json", lab.read(f"records/ab/{KEY}.json"))
    assert store.record(neighbour) is None
    assert f"{neighbour}.json holds the record of {KEY}" in store.complaints[0]
    assert store.snapshot([]).has("weights", "two")
    lab.remove("weights/two.safetensors")
    assert not store.has("weights", "two")
    assert not store.snapshot([]).has("weights", "two")


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


def spoil_version(data):
    """Sound in itself, and of a format that is not known here."""
    newer = {**json.loads(data)["record"], "format": 99}
    return serialization.sealed(newer)


def spoil_foreign(data):
    return b'{"some": "json"}'


def spoil_all(data):
    return b""


@pytest.mark.parametrize(
    "spoil", [spoil_cut, spoil_value, spoil_bit, spoil_key, spoil_version, spoil_foreign, spoil_all]
)
@pytest.mark.parametrize("ask", [Store.record, lambda store, key: store.fetch([key]).get(key)], ids=["one", "many"])
def test_a_spoilt_record_is_set_aside_and_named(lab, store, spoil, ask):
    store.add_record(record(), b"logits")
    name = f"records/ab/{KEY}.json"
    spoilt = spoil(lab.read(name))
    lab.write(name, spoilt)
    assert ask(store, KEY) is None
    assert name not in lab.names()
    assert lab.read(f"records/ab/{KEY}.damaged") == spoilt
    assert f"{store.name}/{name} " in store.complaints[0]
    store.add_record(record(), b"logits")
    assert ask(store, KEY) == record()


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda _: b""]
)
def test_a_spoilt_mask_is_set_aside_and_missed(lab, store, spoil):
    mask = {"a": torch.tensor([[True, False], [True, True]])}
    store.add_bytes("masks", KEY, masks.pack(mask))
    assert torch.equal(store.load("masks", KEY, masks.unpack)["a"], mask["a"])
    name = f"masks/{KEY}.safetensors"
    lab.write(name, spoil(lab.read(name)))
    with pytest.raises(InputMissing, match="damaged"):
        store.load("masks", KEY, masks.unpack)
    assert not store.has("masks", KEY)
    with pytest.raises(InputMissing, match="gone"):
        store.load("masks", KEY, masks.unpack)


def test_weights_are_discarded_once_or_twice(lab, store):
    store.add_bytes("weights", KEY, b"weights")
    store.discard_weights(KEY)
    store.discard_weights(KEY)
    assert lab.names() == ["store.json"]


def test_a_kill_while_the_store_is_made_does_not_block_it(lab):
    lab.write(".part-abc", b"{")
    assert Store.create(lab.url).plans() == []


def test_what_killed_writers_left_is_cleared_away_after_a_day(tmp_path):
    Store.create(tmp_path).add_bytes("masks", KEY, b"mask")
    for name, age in (("old", 25), ("new", 1)):
        part = tmp_path / "masks" / f".part-{name}"
        part.touch()
        os.utime(part, (time.time() - age * 3600,) * 2)
    Store.create(tmp_path)
    assert {path.name for path in (tmp_path / "masks").iterdir()} == {".part-new", f"{KEY}.safetensors"}


def test_a_record_replaces_its_failure(lab, store):
    store.add_failure(KEY, "it raised", "traceback")
    assert store.failure(KEY)["reason"] == "it raised"
    lab.write("failures/torn.json", b"{")
    assert store.failures([KEY, "torn", "none"]) == {KEY: store.failure(KEY)}
    store.add_record(record(), b"")
    assert store.failure(KEY) is None


def test_plans_come_newest_last_and_once_each(store):
    cells = [{"key": KEY}]
    store.add_plan(cells, "one", "prunebench run one")
    store.add_plan(cells, "two", "prunebench run two")
    assert [plan["suite"] for plan in store.plans()] == ["one", "two"]
    store.add_plan(cells, "one", "prunebench run one")
    assert [plan["suite"] for plan in store.plans()] == ["two", "one"]


def test_what_is_no_plan_is_left_out_and_named(lab, store):
    store.add_plan([{"key": KEY}], "one", "prunebench run one")
    for name, text in (("a", "{}"), ("b", "[1]"), ("c", "{")):
        lab.write(f"plans/{name}.json", text.encode())
    assert [plan["suite"] for plan in store.plans()] == ["one"]
    assert len(store.complaints) == 3


def test_a_store_of_a_newer_version_is_refused(lab, store):
    lab.write("store.json", json.dumps({"format": FORMAT + 1, "prunebench": "9.0"}).encode())
    with pytest.raises(PrunebenchError, match=r"written by prunebench 9\.0.*upgrade"):
        Store.open(store.name)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_a_head_that_cannot_be_read_is_named(lab, store, text):
    lab.write("store.json", text.encode())
    with pytest.raises(PrunebenchError, match=r"cannot read .*store\.json"):
        Store.open(store.name)


@pytest.mark.parametrize("name", ["thesis.tex", "papers/thesis.tex"])
def test_a_folder_of_something_else_is_left_alone(lab, name):
    lab.write(name, b"")
    with pytest.raises(PrunebenchError, match="not empty and no store"):
        Store.create(lab.url)
    with pytest.raises(PrunebenchError, match="no store in"):
        Store.open(lab.url)
    assert lab.names() == [name]


@pytest.mark.parametrize("scheme", ["file://", "local://"])
def test_the_url_of_a_folder_is_that_folder(tmp_path, scheme):
    Store.create(f"{scheme}{tmp_path}/store").add_record(record(), b"")
    store = Store.open(tmp_path / "store")
    assert store.record(KEY) == record()
    assert Store.open(f"{scheme}{tmp_path}/store").name == store.name
    assert (tmp_path / "store" / "store.json").stat().st_mode & 0o777 == 0o644, "readable by others of a shared store"


def test_a_path_through_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PrunebenchError, match="a part of its path is a file"):
        Store.create(tmp_path / "file" / "store")


def test_a_full_disk_is_one_line_and_leaves_nothing_torn(tmp_path):
    """/dev/full answers every write with "no space left", as a full disk does."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    code = (
        "import os, sys, tempfile\n"
        "from prunebench.store.store import Store\n"
        "def full(**where):\n"
        "    name = os.path.join(where['dir'], where['prefix'] + 'x'); open(name, 'w').close()\n"
        "    return os.open('/dev/full', os.O_WRONLY), name\n"
        "store = Store.open(sys.argv[1])\n"
        "tempfile.mkstemp = full\n"
        "store.add_bytes('masks', 'k', b'0' * 10)\n"
    )
    Store.create(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert "StoreError: cannot write to the store" in done.stderr
    assert "no space is left" in done.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["store.json"]


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


def test_runs_know_which_of_them_began_earlier(lab, store):
    """One that is just being announced, a torn one and one of the day before yesterday do not count; that one goes."""
    lab.write("runs/.part-now", b"")
    lab.write("runs/torn.json", b"{")
    lab.write("runs/old.json", b'{"begun": "2020-01-01T00:00:00.000000+00:00"}')
    with store.announced() as first, Store.open(store.name).announced() as second:
        assert [(run.before, run.runs) for run in (first, second)] == [(0, 1), (1, 2)]
        with Store.open(store.name).announced() as third:
            assert (third.before, third.runs) == (2, 3)
    assert [name for name in lab.names() if name.startswith("runs/")] == ["runs/.part-now", "runs/torn.json"]


def test_a_job_that_another_run_is_at_is_taken_until_it_says_otherwise(store):
    with store.announced() as one, Store.open(store.name).announced() as two:
        assert one.claim("a") and one.claim("b", {"a"})
        assert (one.taken(), two.taken()) == (set(), {"a", "b"})
        one.claims({"b", "c"})
        assert two.claim("a")
        assert (one.taken(), two.taken()) == ({"a"}, {"b", "c"})
    with store.announced() as three:
        assert three.taken() == set()


def test_of_two_claims_at_one_moment_the_earlier_run_s_holds(store, monkeypatch):
    """Neither has seen the other's when it says its own: the earlier one waits for the later one to step back."""
    with store.announced() as one, Store.open(store.name).announced() as two:
        answers = []
        monkeypatch.setattr(claims.Presence, "pause", lambda *_: answers.append(two.claim("a")))
        two.claims({"a"})
        assert one.claim("a")
        assert answers == [False]
        assert (one.taken(), two.taken()) == (set(), {"a"})


class InTurns:
    """A place of which every use by a thread waits until that thread is told to go on."""

    def __init__(self, place):
        self.place = place
        self.go = {}
        self.stopped = threading.Semaphore(0)

    def __getattr__(self, name):
        def used(*words):
            if go := self.go.get(threading.current_thread()):
                self.stopped.release()
                go.acquire()
            return getattr(self.place, name)(*words)

        return used

    def interleaved(self, calls, order):
        """What the calls give, when in each turn the one that `order` names goes on to its next use of the place."""
        answers = [None] * len(calls)

        def call(number):
            answers[number] = calls[number]()
            self.stopped.release()

        threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
        for thread in threads:
            self.go[thread] = threading.Semaphore(0)
            thread.start()
            self.stopped.acquire()
        for number in [*order, *(number for number in range(len(calls)) for _ in range(20))]:
            if answers[number] is None:
                self.go[threads[number]].release()
                self.stopped.acquire()
        return answers


def test_two_runs_never_hold_one_job_however_their_looks_fall(tmp_path, monkeypatch):
    """Each in turn writes what it claims and reads what others do: all the orders in which that can go."""
    monkeypatch.setattr(claims, "LOOKS", 2)
    monkeypatch.setattr(claims.Presence, "pause", lambda *_: None)
    monkeypatch.setattr(claims.Presence, "live", lambda _: None)
    place = InTurns(backends.at(tmp_path))
    seen = Counter()
    # The later run uses the place four times at the most: a claim, two uses to look, and to step back.
    for turns in itertools.combinations(range(10), 4):
        order = [int(turn in turns) for turn in range(10)]
        with claims.announced(place) as one, claims.announced(place) as two:
            answers = place.interleaved([partial(one.claim, "a"), partial(two.claim, "a")], order)
            assert [run.taken() for run in (two, one)] == [{"a"} if held else set() for held in answers]
        seen[tuple(answers)] += 1
    assert seen[True, True] == 0
    assert seen[True, False] and seen[False, True]


def said(lab, **changes):
    """What a run on another machine says, which was alive a moment ago."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    run = {"begun": now, "beat": now, "host": "elsewhere", "pid": 1, "jobs": ["a"], **changes}
    lab.write("runs/other.json", json.dumps(run).encode())


def test_a_run_that_gives_no_sign_of_life_has_no_claims(lab, store, monkeypatch):
    clock = time.monotonic()
    monkeypatch.setattr(claims.time, "monotonic", lambda: clock)
    said(lab)
    with store.announced() as here:
        assert here.taken() == {"a"}
        clock += claims.SILENCE + 1
        assert here.taken() == set()
        said(lab, beat=datetime.datetime.now(datetime.UTC).isoformat())
        assert here.taken() == {"a"}


def test_a_run_whose_clock_is_wrong_is_believed_from_its_next_sign_of_life_on(lab, store):
    an_hour_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    said(lab, beat=an_hour_ago.isoformat())
    with store.announced() as here:
        assert here.taken() == set()
        said(lab, beat=(an_hour_ago + datetime.timedelta(seconds=10)).isoformat())
        assert here.taken() == {"a"}


def test_a_run_that_was_killed_on_this_machine_has_no_claims_at_once(lab, store):
    ended = subprocess.Popen(["true"])
    ended.wait()
    with store.announced() as here:
        said(lab, host=platform.node(), pid=os.getpid())
        assert here.taken() == {"a"}
        said(lab, host=platform.node(), pid=ended.pid)
        assert here.taken() == set()


def test_signs_of_life_are_given_as_long_as_a_run_lasts(lab, store, monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.0)
    told = threading.Event()
    with store.announced() as here:
        [name] = [name for name in lab.names() if name.startswith("runs/") and name.endswith(".json")]
        first = store.place.read(name)
        assert any(store.place.read(name) != first or told.wait(0.001) for _ in range(10_000))
        here.claims({"a"})
        assert json.loads(store.place.read(name))["jobs"] == ["a"]
    assert not [name for name in lab.names() if name.startswith("runs/")]


def test_a_store_that_another_run_makes_at_the_same_moment_is_taken(tmp_path, monkeypatch):
    real = backends.Local.is_empty

    def meanwhile(self):
        monkeypatch.setattr(backends.Local, "is_empty", real)
        Store.create(tmp_path / "store")
        return self.is_empty()

    monkeypatch.setattr(backends.Local, "is_empty", meanwhile)
    assert list(Store.create(tmp_path / "store").records()) == []
