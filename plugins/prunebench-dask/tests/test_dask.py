"""The installed plugin: a run on Dask workers gives the records of a local run, even if a worker is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from distributed import LocalCluster
from prunebench_dask.cluster import DaskExecutor, room

from prunebench import PrunebenchError, Request
from prunebench.store.store import Store

WORDS = "run --tasks sentiment --model quick-bert --strategies imp,magnitude --sparsities 0.2 --seeds 2"
WORDS += " --train-limit 96 --eval-limit 32 --epochs 2 --precision fp32 --device cpu --cpus-per-job 1"


def prunebench(*words):
    code = "from prunebench.cli import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code, *WORDS.split(), *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen(command, **pipes, preexec_fn=restore_sigint)


def restore_sigint():
    """Handle SIGINT again. Tests that run in the background ignore it, and their child processes inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def records(store):
    """The records of a store by key, without what may differ between two runs of the same thing."""
    varying = ("seconds", "peak_memory_mb")
    return {
        record.key: {name: value for name, value in record.to_json().items() if name not in varying}
        for record in Store.open(store).records()
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = tmp_path_factory.mktemp("expected") / "store"
    process = prunebench("--store", store, "--executor", "processes", "--jobs", "1")
    _, err = process.communicate()
    assert process.returncode == 0, err
    return records(store)


def test_a_killed_worker_costs_no_result(expected, tmp_path):
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        words = ("--store", tmp_path / "store", "--executor", "dask", "--address", cluster.scheduler_address)
        with prunebench(*words) as process:
            assert any("phases]" in line for line in iter(process.stderr.readline, ""))
            cluster.workers[0].process.process.kill()
            out, err = process.communicate()
        assert process.returncode == 0, err
    assert "At a time:     2 jobs" in out
    assert records(tmp_path / "store") == expected


def test_a_run_without_an_address_starts_its_own_workers(expected, tmp_path):
    process = prunebench("--store", tmp_path / "store", "--executor", "dask", "--jobs", "2")
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert records(tmp_path / "store") == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_and_the_same_command_goes_on(expected, tmp_path, number):
    """SIGINT to the whole process group, as a terminal sends it, or SIGTERM to the first process, during a run."""
    words = ("--store", tmp_path / "store", "--executor", "dask", "--jobs", "2")
    with prunebench(*words) as process:
        assert any("phases]" in line for line in iter(process.stderr.readline, ""))
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        _, err = process.communicate()
    assert process.returncode == 128 + number
    assert err.splitlines()[-1].startswith("prunebench: stopped; what is done is stored")
    assert "Traceback" not in err
    with prunebench(*words) as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert records(tmp_path / "store") == expected


def test_jobs_for_a_gpu_go_to_workers_that_declare_one():
    request = Request(1, cpus=1, gpus=0.5)
    none = pytest.raises(PrunebenchError, match=r"no worker of the Dask cluster at .* says that it has 0\.5 GPUs")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster, none:
        room(replace(request, address=cluster.scheduler_address))
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", resources={"GPU": 1}) as cluster:
        addressed = replace(request, address=cluster.scheduler_address)
        assert room(addressed) == 1
        with DaskExecutor(addressed) as executor:
            assert executor.submit(abs, -1).result() == 1
    with DaskExecutor(request) as executor:
        assert executor.submit(abs, -1).result() == 1, "its own workers have what their jobs ask for"


def test_an_unreachable_scheduler_is_reported_in_one_line(tmp_path):
    process = prunebench("--store", tmp_path / "store", "--executor", "dask", "--address", "nowhere://x")
    _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith("prunebench: cannot reach a Dask scheduler at 'nowhere://x'")
    assert err.count("\n") == 1
