"""Stores in folders: URLs, permissions, full disks, and files of writers that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from samples import KEY, record, tensors
from stores import user_without_rights

from prunebench import PrunebenchError
from prunebench.store import backends
from prunebench.store.store import Store, StoreError


@pytest.mark.parametrize("scheme", ["file://", "local://"])
def test_the_url_of_a_folder_is_that_folder(tmp_path, scheme):
    Store.create(f"{scheme}{tmp_path}/store").add_record(record(), b"")
    store = Store.open(tmp_path / "store")
    assert store.record(KEY) == record()
    assert Store.open(f"{scheme}{tmp_path}/store").name == store.name
    assert (tmp_path / "store" / "store.json").stat().st_mode & 0o777 == 0o644, "readable by others of a shared store"


def test_a_file_that_is_being_written_has_no_name_yet(lab):
    """It is a file of the store all the same, so that it can be counted and collected."""
    Store.create(lab.url).add_bytes("masks", KEY, tensors())
    lab.write("masks/.part-abc", b"ma")
    backend = Store.open(lab.url).backend
    assert backend.names("masks") == [f"masks/{KEY}.safetensors"]
    assert {name for name in backend.files() if name.startswith("masks/")} == {
        name for name in lab.names() if "/" in name
    }
    assert "masks/.part-abc" in backend.files()


def test_files_of_killed_writers_are_removed_after_a_day(tmp_path):
    Store.create(tmp_path).add_bytes("masks", KEY, tensors())
    for name, age in (("old", 25), ("new", 1)):
        part = tmp_path / "masks" / f".part-{name}"
        part.touch()
        os.utime(part, (time.time() - age * 3600,) * 2)
    Store.create(tmp_path)
    assert {path.name for path in (tmp_path / "masks").iterdir()} == {".part-new", f"{KEY}.safetensors"}


def test_a_store_that_another_run_creates_meanwhile_is_used(tmp_path, monkeypatch):
    real = backends.LocalBackend.is_empty

    def create_first(self):
        monkeypatch.setattr(backends.LocalBackend, "is_empty", real)
        Store.create(tmp_path / "store")
        return self.is_empty()

    monkeypatch.setattr(backends.LocalBackend, "is_empty", create_first)
    assert list(Store.create(tmp_path / "store").records()) == []


def test_a_path_through_a_file_is_reported_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PrunebenchError, match=r"cannot use '.*/file/store' as a store: '.*/file' is a file"):
        Store.create(tmp_path / "file" / "store")


def test_a_full_disk_is_reported_in_one_line_and_leaves_no_torn_file(tmp_path):
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
        "store.add_failure('k', 'a reason')\n"
    )
    Store.create(tmp_path)
    process = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert "StoreError: cannot write to the store" in process.stderr
    assert "no space is left" in process.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["store.json"]


def test_missing_permission_is_reported_in_one_line():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Store.create(folder / "store").add_record(record(), b"logits")
        folder.chmod(0o755)
        for path in (folder / "store").rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        (folder / "store").chmod(0o555)
        with user_without_rights():
            with pytest.raises(StoreError, match="no permission"):
                Store.create(folder / "store")
            with pytest.raises(StoreError, match="no permission"):
                Store.create(folder / "another")
            assert Store.open(folder / "store").record(KEY) == record()


def test_of_many_writers_at_once_one_wins(lab):
    """Each has an object of its own, as another process has, and starts at the same moment."""
    if lab.url.startswith("memory"):
        pytest.skip("it has no exclusive creation, and no second process")
    writers = 8
    together = threading.Barrier(writers)

    def create(number):
        backend = backends.at(lab.url)
        together.wait()
        return backend.create("masks/a.safetensors", b"%d" % number)

    for _ in range(5):
        with ThreadPoolExecutor(writers) as pool:
            won = [number for number, first in enumerate(pool.map(create, range(writers))) if first]
        assert len(won) == 1 and lab.read("masks/a.safetensors") == b"%d" % won[0]
        lab.remove("masks/a.safetensors")
