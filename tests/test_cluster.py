"""A Ray cluster of several nodes on this machine: the same records as without it, and a node that dies in mid-run."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prunebench.cluster import RayExecutor
from prunebench.executors import Request

WORDS = "run --tasks sentiment --model quick-bert --strategies imp,magnitude,random-pruning --sparsities 0.2 --seeds 2"
WORDS += " --train-limit 96 --eval-limit 32 --epochs 2 --precision fp32 --device cpu --cpus-per-job 1"


def prunebench(*words):
    code = "from prunebench.cli import main; main()"
    command = [sys.executable, "-W", "ignore", "-c", code, *WORDS.split(), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def records(store):
    """What is stored, and that no weights are left."""
    from commands import lasting  # not above: Ray's workers load this module, and have no other of the tests

    assert not list(store.glob("weights/*"))
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


def test_a_node_that_is_lost_in_mid_run_costs_no_result(cluster, expected, tmp_path):
    """kill -9 of a node that is at work: Ray runs its job again elsewhere, and the records are those of one machine."""
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    with prunebench("--store", tmp_path / "store", "--executor", "ray", "--ray-address", cluster.address) as process:
        assert any("phases]" in line for line in iter(process.stderr.readline, ""))
        cluster.remove_node(nodes[0], allow_graceful=False)
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert "At a time:     2 jobs" in out
    assert records(tmp_path / "store") == expected


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
