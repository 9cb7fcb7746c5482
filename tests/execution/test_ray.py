"""A Ray cluster of several nodes on this machine: the same records as without it, and a node that dies in mid-run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from prunebench.execution.executors.base import Request, WorkersDied
from prunebench.execution.executors.ray import RayExecutor
from prunebench.store.store import Store

WORDS = "run --tasks sentiment --model quick-bert --strategies imp,magnitude,random-pruning --sparsities 0.2 --seeds 2"
WORDS += " --train-limit 96 --eval-limit 32 --epochs 2 --precision fp32 --device cpu --cpus-per-job 1"


def prunebench(*words, **environment):
    code = "from prunebench.cli import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code, *WORDS.split(), *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # Tests that run in the background are deaf to SIGINT, and so would be what they start.
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), "start_new_session": True}
    return subprocess.Popen(command, **pipes, **heard, env={**os.environ, **environment})


def records(store):
    """What is stored, and that no weights are left."""
    from commands import lasting  # not above: Ray's workers load this module, and have no other of the tests

    assert Store.open(store).place.names("weights") == []
    return lasting(store)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The records of worker processes on this machine."""
    store = tmp_path_factory.mktemp("expected") / "store"
    process = prunebench("--store", store, "--executor", "processes", "--jobs", "1")
    _, err = process.communicate()
    assert process.returncode == 0, err
    return records(store)


@pytest.fixture
def cluster():
    """A head without cores and two nodes with one core each."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield made
    made.shutdown()


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    """A folder that all nodes see, or object storage, with which they need none. Named before there is a cluster."""
    return request.getfixturevalue("bucket").folder() if request.param == "s3" else str(tmp_path / "store")


def test_a_node_that_is_lost_in_mid_run_costs_no_result(store, cluster, expected):
    """kill -9 of a node that is at work: Ray runs its job again elsewhere, and the records are those of one machine."""
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    with prunebench("--store", store, "--executor", "ray", "--ray-address", cluster.address) as process:
        assert any("phases]" in line for line in iter(process.stderr.readline, ""))
        cluster.remove_node(nodes[0], allow_graceful=False)
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert "At a time:     2 jobs" in out
    assert records(store) == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_jobs_for_a_gpu_are_planned_where_there_is_none(cluster, tmp_path):
    """A node says that it has one. Of what does not hold there each job tells."""
    words = ["--executor", "ray", "--ray-address", cluster.address, "--device", "cuda", "--store", tmp_path / "store"]
    words += ["--seeds", "1"]
    cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    with prunebench(*words, "--precision", "bf16") as process:
        _, err = process.communicate()
    assert process.returncode == 2
    assert "the Ray cluster has no room for a job (it has 2 CPUs, 0 GPUs; see --cpus-per-job)" in err
    cluster.add_node(num_cpus=1, num_gpus=1)
    cluster.wait_for_nodes()
    with prunebench(*words, "--precision", "bf16", "--gpus-per-job", "0.5") as process:
        out, err = process.communicate()
    assert process.returncode == 2
    assert "At a time:     2 jobs" in out
    assert "failed: sentiment, seed 0, dense: Train: there is no CUDA device here" in err
    with prunebench(*words, "--precision", "auto") as process:
        _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith("prunebench: there is no CUDA device here (use --device cpu or auto; for jobs on machines")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_and_the_same_command_goes_on(expected, tmp_path, number):
    pytest.importorskip("ray", reason="Ray is not installed")
    words = ["--store", tmp_path / "store", "--executor", "ray", "--jobs", "2"]
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


def test_what_the_memory_monitor_kills_is_tried_three_times_and_not_for_ever(tmp_path):
    """By a threshold that is always passed. Ray counts these attempts apart from others, and by itself never ends."""
    pytest.importorskip("ray", reason="Ray is not installed")
    always = {"RAY_memory_monitor_refresh_ms": "250", "RAY_memory_usage_threshold": "0.001"}
    words = ["--executor", "ray", "--jobs", "1", "--seeds", "1", "--strategies", "dense"]
    with prunebench(*words, "--store", tmp_path / "store", **always) as process:
        _, err = process.communicate()
    assert process.returncode == 2
    assert "failed: sentiment, seed 0, dense: Train: its worker died 3 times" in err
    assert "low on memory" in err


def test_a_cluster_of_its_own(expected, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    process = prunebench("--store", tmp_path / "store", "--executor", "ray", "--jobs", "2")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "At a time:     2 jobs" in out
    assert records(tmp_path / "store") == expected


DIES = """
import os, signal
from dataclasses import dataclass
from prunebench import Prune, Train, hookimpl

@dataclass(frozen=True)
class Dies:
    name = "dies"
    unit = "weight"
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]
    def score(self, ctx):
        os.kill(os.getpid(), signal.SIGKILL)

@hookimpl
def prunebench_strategies():
    return [Dies]
"""


def test_a_strategy_that_kills_its_workers_costs_the_others_nothing(expected, tmp_path):
    """Ray tries three times by itself; then the training that it shares with them is run without it."""
    pytest.importorskip("ray", reason="Ray is not installed")
    (tmp_path / "dies.py").write_text(DIES)
    words = ["--executor", "ray", "--jobs", "2", "--plugin", tmp_path / "dies.py", "--strategies", "dies,magnitude"]
    process = prunebench(*words, "--seeds", "1", "--store", tmp_path / "store")
    _, err = process.communicate()
    assert process.returncode == 2, err
    assert "failed: sentiment, seed 0, dies 0.2: Train Prune(0.2): its worker died 3 times" in err
    assert "1 failure, 1 job left out because of that" in err
    found = records(tmp_path / "store")
    assert len(found) == 2, "dense, and magnitude's training after it"
    assert found == {key: expected[key] for key in found}


def test_a_cluster_that_cannot_be_reached_is_one_line(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    process = prunebench("--store", tmp_path / "store", "--executor", "ray", "--address", "127.0.0.1:1")
    _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith("prunebench: cannot reach a Ray cluster at '127.0.0.1:1'")
    assert err.count("\n") == 1


def where(job, folder):
    """The node that this runs on, once as many jobs as `together` are at work."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    Path(folder, node).write_text("")
    while len(list(Path(folder).iterdir())) < job["together"]:
        pass
    return node


def test_a_job_goes_where_the_weights_are_that_it_starts_from(cluster, tmp_path):
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    handler = signal.getsignal(signal.SIGTERM)
    with RayExecutor(Request(2, cpus=1, address=cluster.address)) as pool:
        assert signal.getsignal(signal.SIGTERM) is handler, "Ray takes it for itself"
        makers = [pool.submit(where, {"together": 2, "weights": [name]}, str(tmp_path)) for name in ("a", "b")]
        nodes = {name: maker.result() for name, maker in zip(("a", "b"), makers, strict=True)}
        assert nodes["a"] != nodes["b"]
        for name in "abbaab":
            assert pool.submit(where, {"together": 1, "reads": name}, str(tmp_path)).result() == nodes[name]


def test_a_worker_that_has_lost_its_gpu_ends(cluster):
    """Ray would give that process the next job; so it dies, and Ray tries the job in others as far as it may."""
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    with RayExecutor(Request(1, cpus=1, address=cluster.address)) as pool:
        first = pool.submit(os.getpid).result()
        with pytest.raises(WorkersDied):
            pool.submit(exec, "import torch; raise torch.AcceleratorError('an illegal memory access')").result()
        assert pool.submit(os.getpid).result() != first
