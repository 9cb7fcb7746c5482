"""Ctrl-C, SIGTERM and SIGKILL in the middle of a run."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from commands import call, lasting
from plugin_files import PLUGIN, plugin_file
from processes import start

from prunebench.store.store import Store


def processes_of(session):
    """The living processes of a session, from /proc; one that has ended, reaped or not, has no command line there."""
    numbers = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            number = (folder / "stat").read_text().rpartition(")")[2].split()[3]
            if int(number) == session and (folder / "cmdline").read_bytes():
                numbers.append(int(folder.name))
    return numbers


@pytest.mark.parametrize(
    ("jobs", "number"), [(1, signal.SIGINT), (2, signal.SIGINT), (1, signal.SIGTERM), (2, signal.SIGTERM)]
)
def test_a_signal_stops_a_run_cleanly_with_a_hint(words, tmp_path, jobs, number):
    """SIGINT to the whole group of processes, as a terminal sends it, or SIGTERM to the first, in mid-training."""
    options = [*words, "--seeds", "30", "--epochs", "5", "--batch-size", "2", "--store", str(tmp_path / "store")]
    options += ["--executor", "processes" if jobs > 1 else "here"]
    process = start("run", *options, "--jobs", jobs)
    assert "dense: Train" in process.stderr.readline()
    assert "phases] rte, seed " in process.stderr.readline()
    if Path("/proc").is_dir():
        assert len(processes_of(process.pid)) > (jobs if jobs > 1 else 0)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    out, err = process.communicate()
    assert process.returncode == 128 + number
    assert err.strip() == "prunebench: stopped; what is done is stored, and the same command goes on from there"
    assert "Traceback" not in out
    assert processes_of(process.pid) == []
    store = Store.open(tmp_path / "store")
    assert list(store.records())
    assert store.complaints == []
    rest = call("plan", *options)
    assert "To run:        0 phases" not in rest.out
    assert "In the store:  0 phases" not in rest.out


DEAF = """    class Deaf:
        sent: ClassVar[list] = []

        def __del__(self):
            if not self.sent:
                self.sent.append(NUMBER)
                os.kill(os.getpid(), NUMBER)

    def score(self, ctx):
        self.Deaf()"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_finalizer_is_not_lost(words, tmp_path, number):
    """In a `__del__`, which the garbage collector may call at any time: `evaluate` has one."""
    text = PLUGIN.replace("    def score(self, ctx):", DEAF).replace("NUMBER", str(int(number)))
    file = plugin_file(tmp_path, text="import os\n" + text)
    options = [*words, "--strategies", "mine", "--seeds", "30", "--executor", "here", "--store", "store"]
    with start("run", *options, "--plugin", file, folder=tmp_path) as process:
        _, err = process.communicate()
    assert process.returncode == 128 + number, err
    assert err.endswith("prunebench: stopped; what is done is stored, and the same command goes on from there\n")
    assert "Exception ignored" not in err
    assert len(list(Store.open(tmp_path / "store").records())) < 60


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks /proc which processes live")
def test_kill_9_ends_the_workers_and_loses_no_result(words, tmp_path):
    """With two workers; the same command then ends with the records of an undisturbed run."""
    options = [*words, "--seeds", "4", "--epochs", "3", "--executor", "processes", "--jobs", "2"]
    with start("run", *options, "--store", tmp_path / "cut") as process:
        lines = [process.stderr.readline() for _ in range(2)]
        assert all("phases]" in line for line in lines), lines
        assert len(processes_of(process.pid)) > 2
        process.kill()
        process.stderr.read()  # ends once nobody holds the other end
        assert processes_of(process.pid) == []
    assert 0 < len(list(Store.open(tmp_path / "cut").records())) < 8
    assert call("run", *options, "--store", tmp_path / "cut").status == 0
    assert call("run", *options, "--store", tmp_path / "whole").status == 0
    assert lasting(tmp_path / "cut") == lasting(tmp_path / "whole")
    assert not list((tmp_path / "cut" / "weights").iterdir())
