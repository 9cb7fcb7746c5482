"""Every kind of file in a store is bound to its key: flips and swaps are never used, and never a traceback."""

from __future__ import annotations

import json
import random

import pytest
import safetensors.torch
import torch
from commands import contents
from samples import tensors

from prunebench import PrunebenchError
from prunebench.pruning import bitmask
from prunebench.store import heads, seals, serialization
from prunebench.store.files import SUFFIX
from prunebench.store.schema import FORMAT, Failure, text
from prunebench.store.store import InputMissing, Store

KINDS = ("masks", "weights", "models", "checkpoints", "labels")
FLIPS = 60


@pytest.fixture(scope="module")
def full(template, tmp_path_factory):
    """The files of a finished run, with two files of each kind that a finished run does not have."""
    folder = tmp_path_factory.mktemp("full") / "store"
    store = Store.create(folder)
    for name, data in contents(template).items():
        if name != "store.json":
            store.backend.write(name, data)
    for number, key in enumerate(store.keys("records")[:2]):
        for kind in ("weights", "models"):
            store.add_bytes(kind, key, safetensors.torch.save({"w": torch.full((3,), float(number))}))
        store.write_checkpoint(key, safetensors.torch.save({"w": torch.full((3,), float(number))}))
        store.add_failure(f"failed{number}", f"reason {number}", "a traceback")
    return contents(folder)


@pytest.fixture
def files(full, tmp_path):
    """A function that gives a new store with the given files in place of those of the full one."""

    def with_changes(changes, name="store"):
        folder = tmp_path / name
        for file, data in {**full, **changes}.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)
        return folder

    return with_changes


def read(store, name):
    """What a store gives of a file, or None where it complains about the file."""
    kind, key = name.partition("/")[0], name.rpartition("/")[2].partition(".")[0]
    before = len(store.complaints)
    try:
        if kind in KINDS:
            return store.load(kind, key, bytes)
        if kind == "failures":
            return store.failure(key)
        if kind == "plans":
            return next((plan for plan in store.plans(None) if serialization.encode_plan(plan)[0] == name), None)
        if name.endswith(".npz"):
            return {name: array.tobytes() for name, array in store.logits(key).items()} or None
        return store.record(key)
    except (InputMissing, PrunebenchError) as error:
        store.complaints.append(str(error))
        return None
    finally:
        store.complaints[:before] = []


def of_kind(full, kind):
    if kind == "logits":
        return sorted(name for name in full if name.endswith(".npz"))
    return sorted(name for name in full if name.startswith(f"{kind}/") and name.endswith(SUFFIX[kind]))


@pytest.mark.parametrize("kind", [*SUFFIX, "logits"])
def test_a_flipped_bit_is_never_used(full, files, kind):
    """What is read is the file as it was, or nothing, with a complaint."""
    folder = files({})
    names = of_kind(full, kind)
    expected = {name: read(Store.open(folder), name) for name in names}
    assert names and None not in expected.values()
    rng = random.Random(kind)
    for _ in range(FLIPS):
        name = rng.choice(names)
        data = bytearray(full[name])
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (folder / name).write_bytes(data)
        store = Store.open(folder)
        result = read(store, name)
        if kind == "records" and result is not None:
            # The flip is in the checksum of the logits.
            assert result == expected[name]
            result = read(store, name.replace(".json", ".npz"))
        assert result is None and len(store.complaints) == 1
        assert name.rpartition("/")[2].partition(".")[0] in store.complaints[0]
        for file in (name, name.replace(".npz", ".json"), name.replace(".json", ".npz")):
            if file in full:
                (folder / file).write_bytes(full[file])


@pytest.mark.parametrize("kind", [*SUFFIX, "logits"])
def test_two_files_that_change_places_are_noticed(full, files, kind):
    names = of_kind(full, kind)
    if len(names) == 1:
        names.append(names[0].replace("/", "/0", 1))
    one, two = names[:2]
    folder = files({one: full.get(two, full[one]), two: full[one]})
    for name in (one, two)[len(set(names) - full.keys()) :]:
        store = Store.open(folder)
        assert read(store, name) is None
        assert len(store.complaints) == 1


# Stores of earlier formats


def as_before(full):
    """The same store as format 2 had it: without seals, and records without the checksum of their logits."""
    old = {}
    for name, data in full.items():
        if name.endswith(".safetensors"):
            loaded = safetensors.torch.load(data)
            about = {key: value for key, value in bitmask.metadata(data).items() if key not in ("checksum", "file")}
            old[name] = safetensors.torch.save(loaded, about or None)
        elif name.startswith(("plans/", "failures/")):
            fields = json.loads(seals.unseal_json(name, data))
            old[name] = text(fields | ({"format": 2} if "format" in fields else {}))
        elif name.startswith("records/") and name.endswith(".json"):
            record = serialization.parse_record(data, name[-37:-5]).record.model_copy(update={"format": 2})
            old[name] = text({"checksum": record.checksum, "record": record.to_json()})
        else:
            old[name] = data
    return old | {"store.json": text({"format": 2, "prunebench": "0.1.0"})}


def test_a_store_of_an_earlier_format_is_read_as_it_is(full, files):
    old = as_before(full)
    folder = files(old)
    store = Store.open(folder)
    for kind in ("records", "masks", "models", "plans", "failures", "logits"):
        assert all(read(store, name) is not None for name in of_kind(full, kind) if kind != "plans")
    assert len(store.plans()) == 1
    for kind in ("weights", "checkpoints"):
        with pytest.raises(InputMissing, match="has no checksum"):
            store.load(kind, store.keys(kind)[0], bytes)
    assert contents(folder)["store.json"] == old["store.json"]


def test_the_first_command_that_writes_seals_a_store_of_an_earlier_format(full, files):
    old = as_before(full)
    damaged = of_kind(full, "masks")[0]
    folder = files({**old, damaged: old[damaged][:-1]})
    store = Store.create(folder)
    assert store.format == FORMAT == heads.read(store.backend)
    assert read(Store.open(folder), damaged) is None, "a seal on a damaged file would hide the damage"
    for kind in ("masks", "models", "failures"):
        for name in of_kind(full, kind):
            assert name == damaged or (folder / name).read_bytes() == full[name]
    [plan] = store.plans()
    assert plan.cells == serialization.parse_plan(*next(iter_plans(full))).cells
    assert not store.complaints
    assert Store.create(folder).format == FORMAT


def iter_plans(full):
    return ((name, full[name]) for name in of_kind(full, "plans"))


def test_a_store_of_this_format_has_no_file_without_a_seal(files, full):
    old = as_before(full)
    folder = files({name: data for name, data in old.items() if name != "store.json"})
    store = Store.open(folder)
    for kind in ("masks", "models", "failures", "plans"):
        assert all(read(store, name) is None for name in of_kind(full, kind))


# Two writers


def test_what_a_later_writer_brings_is_left_out(lab):
    """Two runs hold the same store, and neither knows what the other has written since."""
    one, two = Store.create(lab.url), Store.create(lab.url)
    assert one.backend.create("masks/a.safetensors", b"first")
    assert not two.backend.create("masks/a.safetensors", b"second")
    assert lab.read("masks/a.safetensors") == b"first"
    one.add_bytes("weights", "w", tensors(b"first"))
    two.add_bytes("weights", "w", tensors(b"second"))
    assert safetensors.torch.load(lab.read("weights/w.safetensors"))["content"].numpy().tobytes() == b"first"


def test_a_failure_under_the_name_of_another_is_refused(lab):
    store = Store.create(lab.url)
    lab.write("failures/a.json", seals.seal_json("failures/a.json", text(Failure(key="b", reason="r").model_dump())))
    assert store.failure("a") is None
    assert "holds the failure of b" in store.complaints[0]
