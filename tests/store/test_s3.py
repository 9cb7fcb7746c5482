"""A store on object storage, on an S3-compatible server of this machine: requests, faults and a whole run."""

from __future__ import annotations

import contextlib

import fsspec
import moto.settings
import pytest
import s3fs
import torch
from commands import call
from moto.core.responses import ActionAuthenticatorMixin
from samples import record, tensors

from prunebench import PrunebenchError
from prunebench.execution.executors import local
from prunebench.pruning import bitmask
from prunebench.store import seals
from prunebench.store.backends import Damaged
from prunebench.store.schema import WeightsRef
from prunebench.store.store import Store, StoreError

KEYS = [f"{number:02x}" * 16 for number in range(20)]


@pytest.fixture
def requests(bucket):
    """The requests since this list was last cleared."""
    bucket.requests.clear()
    return bucket.requests


@pytest.fixture
def store(bucket):
    return Store.create(bucket.folder())


def test_a_file_is_written_by_one_put(store, requests):
    store.add_bytes("weights", "w", tensors(b"0" * 1000))
    folder = store.name.removeprefix("s3:/")
    assert [words for words in requests if words[:3] not in ("GET", "HEA")] == [f"PUT {folder}/weights/w.safetensors"]


def test_records_are_requested_once_and_listed_together(store, requests):
    for key in KEYS[::2]:
        store.add_record(record(key), b"")
    reopened = Store.open(store.name)
    requests.clear()
    snapshot = reopened.snapshot(KEYS)
    assert [snapshot.has("records", key) for key in KEYS] == [True, False] * 10
    assert sum(words.endswith(".json") for words in requests) == 10
    assert len(requests) <= 10 + 16, "listings of four folders, whatever there is in them"
    requests.clear()
    assert len(list(reopened.records())) == len(reopened.fetch(KEYS)) == 10
    assert all(reopened.record(key) for key in KEYS[::2])
    assert [words for words in requests if words.endswith(".json")] == []


def test_the_markers_of_folders_are_not_files(bucket):
    """Consoles mark a folder by an empty object."""
    url = bucket.folder()
    root = url.removeprefix("s3://lab/")
    fs = s3fs.S3FileSystem()
    fs.call_s3("put_object", Bucket="lab", Key=f"{root}/", Body=b"")
    store = Store.create(f"{url}/")
    assert store.name == url
    fs.call_s3("put_object", Bucket="lab", Key=f"{root}/masks/", Body=b"")
    assert store.snapshot([]).files == frozenset()


@pytest.fixture
def environment(monkeypatch, bucket):
    """A function that changes the environment. It clears the cache of clients, which is cleared again at the end."""

    def change(**values):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        # One attempt, and no look at the metadata service of a cloud.
        for name, value in {"AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true", **values}.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()

    yield change
    monkeypatch.undo()
    s3fs.S3FileSystem.clear_instance_cache()


KEYED = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({**KEYED, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "could not connect to the endpoint"),
        ({**KEYED, "AWS_ENDPOINT_URL": "nonsense"}, "invalid endpoint"),
        ({"AWS_CONFIG_FILE": "/dev/null"}, "unable to locate credentials"),
        ({"AWS_ACCESS_KEY_ID": "key"}, "missing: AWS_SECRET_ACCESS_KEY"),
        ({**KEYED, "AWS_PROFILE": "nobody"}, "profile (nobody) could not be found"),
    ],
)
@pytest.mark.parametrize("function", [Store.open, Store.create])
def test_an_unreachable_store_is_reported_in_one_line(store, environment, values, reason, function):
    environment(AWS_SHARED_CREDENTIALS_FILE="/dev/null", **values)
    with pytest.raises(StoreError) as caught:
        function(store.name)
    assert f"cannot use the store {store.name!r}" in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_permission_is_reported_in_one_line(store, monkeypatch):
    """After the first record the server starts to check keys, and accepts none."""
    store.add_record(record(KEYS[0]), b"")
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    for attempt in (
        lambda: Store.open(store.name),
        lambda: Store.create(store.name),
        lambda: store.add_bytes("masks", "m", tensors()),
        lambda: store.discard_weights(WeightsRef(training="m")),
        lambda: store.load("masks", "m", bytes),
        lambda: store.has("masks", "m"),
        lambda: store.fetch(KEYS),
        lambda: store.record(KEYS[0]),
        store.plans,
    ):
        with pytest.raises(StoreError, match=f"cannot use the store '{store.name}': no permission"):
            attempt()


def test_a_listed_record_that_cannot_be_read_does_not_count_as_absent(store, monkeypatch):
    """The server allows one more request, which is the listing, and refuses the rest."""
    store.add_record(record(KEYS[0]), b"")
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", ActionAuthenticatorMixin.request_count + 1)
    with pytest.raises(StoreError, match="no permission"):
        store.fetch(KEYS)


@pytest.mark.usefixtures("bucket")
def test_a_missing_bucket_is_reported_in_one_line():
    with pytest.raises(StoreError, match=r"cannot use the store 's3://none/lab': the specified bucket does not exist"):
        Store.create("s3://none/lab")
    with pytest.raises(PrunebenchError, match="no store in 's3://none/lab'"):
        Store.open("s3://none/lab")


def test_an_unknown_scheme_and_a_missing_package_are_reported_in_one_line():
    fsspec.register_implementation("elsewhere", "no_such_package.Elsewhere", clobber=True)
    for function in (Store.open, Store.create):
        with pytest.raises(PrunebenchError, match=r"cannot use 's4://lab/x' as a store: protocol not known: s4"):
            function("s4://lab/x")
        with pytest.raises(PrunebenchError, match=r"package that is not installed.*pip install no_such_package"):
            function("elsewhere://lab/x")


def test_a_programming_error_keeps_its_traceback(store):
    with pytest.raises(TypeError):
        store.add_bytes("masks", "m", None)


# A whole run


def succeed(*words):
    """The result of a command that must succeed."""
    result = call(*words)
    assert result.status == 0, result.err
    return result


def reproducible(records):
    """Records by key, without what may differ between two runs of the same thing."""
    varying = ("seconds", "peak_memory_mb", "environment", "plan")
    return {
        record.key: {name: value for name, value in record.to_json().items() if name not in varying}
        for record in records
    }


@pytest.fixture
def words(tiny_bert, tiny_glue):
    suite = ["--tasks", "rte", "--strategies", "imp,magnitude", "--sparsities", "0.2", "--seeds", "1", "--epochs", "1"]
    location = ["--model", tiny_bert, "--glue-dir", tiny_glue, "--device", "cpu", "--precision", "fp32"]
    return [*suite, *location, "--batch-size", "16"]


@pytest.fixture
def one_thread(monkeypatch):
    """One thread in this process and in each of two workers, so that all compute the same bits."""
    monkeypatch.setattr(local, "cores", lambda: 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_a_whole_run_on_object_storage(bucket, lab_at, words, tmp_path):
    """The results are those of a run in a folder. A second run does nothing; a third one repairs damaged files."""
    url, folder = bucket.folder(), tmp_path / "folder"
    files = lab_at(url)
    assert f"Stored in {url}" in succeed("run", *words, "--jobs", "2", "--store", url).out
    succeed("run", *words, "--executor", "here", "--store", folder)
    expected = reproducible(Store.open(folder).records())
    assert len(expected) == 5  # dense and its second training, IMP twice, magnitude
    assert reproducible(Store.open(url).records()) == expected
    # The name of a plan depends on the command, which names the store.
    names = {name for name in files.names() if not name.startswith("plans/")}
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {name for name in paths if not name.startswith("plans/")}
    # Without the seconds that a mask's file has beside its bits.
    masks = {name: bitmask.summary(files.read(name)) for name in names if name.startswith("masks/")}
    assert masks == {name: bitmask.summary((folder / name).read_bytes()) for name in masks}

    bucket.requests.clear()
    assert (
        f"Nothing is left to run: every result is in {url}" in succeed("run", *words, "--jobs", "2", "--store", url).out
    )
    root = url.removeprefix("s3:/")
    written = {request.partition(f"{root}/")[2] for request in bucket.requests if request[:3] == "PUT"}
    assert written == {".part-probe", *(name for name in files.names() if name.startswith("plans/"))}
    assert succeed("leaderboard", "--store", url) == succeed("leaderboard", "--store", folder)

    [plan] = Store.open(url).plans()
    damaged = next(cell.key for cell in plan.cells if cell.label == "imp")
    name = f"records/{damaged[:2]}/{damaged}.json"
    files.write(name, files.read(name).replace(b'"task": "rte"', b'"task": "rtf"'))
    for mask in masks:
        files.write(mask, files.read(mask)[:-1])
    complaints = succeed("run", *words, "--executor", "here", "--store", url).err
    assert f"{url}/{name} does not match its checksum" in complaints
    assert "planning again" in complaints
    assert reproducible(Store.open(url).records()) == expected
    assert sum(_is_sound(mask, files.read(mask)) for mask in masks) == 2, "those that imp trains under"


def _is_sound(file, data):
    with contextlib.suppress(Damaged):
        seals.check(file, data)
        return True
    return False
