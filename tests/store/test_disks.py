"""Disks that fill up or become read-only during a run: a real small file system, which only root can mount."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from commands import lasting
from processes import start

WORDS = "run --tasks sentiment --model quick-bert --strategies imp --sparsities 0.3 --seeds 2 --train-limit 96"
WORDS += " --eval-limit 32 --epochs 2 --precision fp32 --device cpu"


@pytest.fixture
def disk(tmp_path):
    """A function that mounts a file system of so many kilobytes in memory and returns its folder."""
    mounted = []

    def mount(kilobytes):
        folder = tmp_path / "disk"
        folder.mkdir()
        process = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], capture_output=True, text=True
        )
        if process.returncode:
            pytest.skip(f"no file system can be mounted here: {process.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def remount(folder: Path, options: str) -> None:
    # Linux refuses to make a file system read-only while a file is open for writing.
    while subprocess.run(["mount", "-o", f"remount,{options}", folder], stderr=subprocess.DEVNULL).returncode:
        pass


HERE = ("--executor", "here")
PROCESSES = ("--executor", "processes", "--jobs", "2", "--cpus-per-job", "1")


def prunebench(store, *words):
    return start(*WORDS.split(), "--store", store, *words)


def check_sound(store: Path) -> None:
    """Check that no temporary file is left and that every record can be read."""
    assert not list(store.rglob(".part-*"))
    lasting(store)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = tmp_path_factory.mktemp("expected") / "store"
    with prunebench(store, *HERE) as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    return lasting(store)


@pytest.mark.parametrize("where", [HERE, PROCESSES], ids=["here", "processes"])
def test_a_disk_that_fills_up_during_a_run_costs_no_finished_work(disk, expected, where):
    """The error is one line. With more space the command goes on and gives the records of an undisturbed run."""
    folder = disk(500)  # the whole store takes 700
    with prunebench(folder / "store", *where) as process:
        _, err = process.communicate()
    assert process.returncode == 2, err
    last = err.strip().splitlines()[-1]
    assert "cannot write to the store" in last and "no space is left on its disk" in last
    assert "Traceback" not in err
    check_sound(folder / "store")
    records = lasting(folder / "store")
    assert 0 < len(records) < len(expected) and records.items() <= expected.items()
    remount(folder, "size=50m")
    with prunebench(folder / "store", *where, "--retry-failed") as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert lasting(folder / "store") == expected


def test_a_store_that_becomes_read_only_during_a_run_costs_no_finished_work(disk, expected):
    folder = disk(50_000)
    with prunebench(folder / "store", *HERE) as process:
        assert any("phases]" in line for line in iter(process.stderr.readline, ""))
        remount(folder, "ro")
        _, err = process.communicate()
    assert process.returncode == 2, err
    last = err.strip().splitlines()[-1]
    assert "cannot write to the store" in last and "its disk is read-only" in last
    assert "Traceback" not in err
    check_sound(folder / "store")
    remount(folder, "rw")
    with prunebench(folder / "store", *HERE, "--retry-failed") as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert lasting(folder / "store") == expected
