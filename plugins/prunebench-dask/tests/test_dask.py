"""The installed plugin: runs on Dask give the records of a run without it, even if a worker is killed."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
from distributed import LocalCluster
from processes import start
from prunebench_dask.cluster import DaskExecutor, capacity

from prunebench import PrunebenchError, Request
from prunebench.store.store import Store

WORDS = "run --tasks sentiment --model quick-bert --strategies imp,magnitude --sparsities 0.2 --seeds 2"
WORDS += " --train-limit 96 --eval-limit 32 --epochs 2 --precision fp32 --device cpu --cpus-per-job 1"


def prunebench(*words):
    return start(*WORDS.split(), *words)


def records(store):
    """All records, without the fields that differ between two runs of the same jobs."""
    varying = ("seconds", "peak_memory_mb", "plan")
    return {
        record.key: {name: value for name, value in record.to_json().items() if name not in varying}
        for record in Store.open(store).records()
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = tmp_path_factory.mktemp("expected") / "store"
    process = prunebench("--store", store, "--executor", "here")
    _, err = process.communicate()
    assert process.returncode == 0, err
    return records(store)


@pytest.mark.cluster
def test_a_killed_worker_loses_no_result(expected, tmp_path):
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        words = ("--store", tmp_path / "store", "--executor", "dask", "--address", cluster.scheduler_address)
        with prunebench(*words) as process:
            assert any("phases]" in line for line in iter(process.stderr.readline, ""))
            cluster.workers[0].process.process.kill()
            out, err = process.communicate()
        assert process.returncode == 0, err
    assert "At a time:     2 jobs" in out
    assert records(tmp_path / "store") == expected


def test_a_new_cluster(expected, tmp_path):
    process = prunebench("--store", tmp_path / "store", "--executor", "dask", "--jobs", "2")
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert records(tmp_path / "store") == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.cluster
def test_a_signal_stops_a_run_cleanly_and_the_same_command_resumes_it(expected, tmp_path, number):
    """In the middle of a run: SIGINT to the whole process group, as from a terminal, or SIGTERM to the main process."""
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


@pytest.mark.cluster
def test_jobs_for_a_gpu_run_on_workers_with_one():
    request = Request(1, cpus=1, gpus=0.5)
    none = pytest.raises(PrunebenchError, match=r"no worker of the Dask cluster at .* has 0\.5 GPUs")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster, none:
        capacity(replace(request, address=cluster.scheduler_address))
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", resources={"GPU": 1}) as cluster:
        remote = replace(request, address=cluster.scheduler_address)
        assert capacity(remote) == 1
        with DaskExecutor(remote) as pool:
            assert pool.submit(abs, -1).result() == 1
    with DaskExecutor(request) as pool:
        assert pool.submit(abs, -1).result() == 1, "the workers of a new cluster have the GPUs of their jobs"


def test_the_error_of_an_unreachable_scheduler_is_one_line(tmp_path):
    process = prunebench("--store", tmp_path / "store", "--executor", "dask", "--address", "nowhere://x")
    _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith("prunebench: cannot reach a Dask scheduler at 'nowhere://x'")
    assert err.count("\n") == 1
