"""A Ray cluster of several nodes on this machine: the same records as without it, and what a lost node costs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from prunebench.execution.executors.base import Request, WorkersDied
from prunebench.execution.executors.ray import RayExecutor
from prunebench.planning import jobs
from prunebench.store.schema import WeightsRef
from prunebench.store.store import Store

WORDS = "run --tasks sentiment --model quick-bert --strategies imp,magnitude,random-pruning --sparsities 0.2 --seeds 2"
WORDS += " --train-limit 96 --eval-limit 32 --epochs 2 --precision fp32 --device cpu --cpus-per-job 1"


def prunebench(*words, **environment):
    """Start the command with these words."""
    from processes import start  # not above: Ray's workers import this module, and no other module of the tests

    return start(*WORDS.split(), *words, **environment)


def records(store):
    """The records of a store, in which no weights are left."""
    from commands import lasting

    assert Store.open(store).backend.names("weights") == []
    return lasting(store)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The records of worker processes on this machine."""
    store = tmp_path_factory.mktemp("expected") / "store"
    process = prunebench("--store", store, "--executor", "here")
    _, err = process.communicate()
    assert process.returncode == 0, err
    return records(store)


@pytest.fixture
def cluster():
    """A head without cores and two nodes with one core each."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield cluster
    cluster.shutdown()


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    """A folder that all nodes see, or object storage. Created before there is a cluster, which inherits its address."""
    return request.getfixturevalue("bucket").folder() if request.param == "s3" else str(tmp_path / "store")


@pytest.mark.cluster
def test_a_node_that_is_lost_during_a_run_costs_no_result(store, cluster, expected):
    """kill -9 of a working node: Ray runs its job again elsewhere, and the records are those of one machine."""
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
    """A node only claims to have a GPU, so that each job reports that there is none."""
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
@pytest.mark.cluster
def test_a_signal_stops_the_run_cleanly_and_the_same_command_goes_on(expected, tmp_path, number):
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


@pytest.mark.cluster
def test_a_job_that_the_memory_monitor_kills_is_tried_three_times(tmp_path):
    """With a threshold that is always passed. Ray counts these attempts apart from others, by default without limit."""
    pytest.importorskip("ray", reason="Ray is not installed")
    always = {"RAY_memory_monitor_refresh_ms": "250", "RAY_memory_usage_threshold": "0.001"}
    words = ["--executor", "ray", "--jobs", "1", "--seeds", "1", "--strategies", "dense"]
    with prunebench(*words, "--store", tmp_path / "store", **always) as process:
        _, err = process.communicate()
    assert process.returncode == 2
    assert "failed: sentiment, seed 0, dense: Train: its worker died 3 times" in err
    assert "low on memory" in err


def test_without_an_address_a_run_starts_a_cluster_of_its_own(expected, tmp_path):
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


@pytest.mark.cluster
def test_a_strategy_that_kills_its_workers_fails_alone(expected, tmp_path):
    """Ray tries three times by itself; then the training that it shares with others runs without it."""
    pytest.importorskip("ray", reason="Ray is not installed")
    (tmp_path / "dies.py").write_text(DIES)
    words = ["--executor", "ray", "--jobs", "2", "--plugin", tmp_path / "dies.py", "--strategies", "dies,magnitude"]
    process = prunebench(*words, "--seeds", "1", "--store", tmp_path / "store")
    _, err = process.communicate()
    assert process.returncode == 2, err
    assert "failed: sentiment, seed 0, dies 0.2: Train Prune(0.2): its worker died 3 times" in err
    assert "1 failure, 1 job left out because of that" in err
    stored = records(tmp_path / "store")
    assert len(stored) == 3, "dense once and twice, and the training of magnitude"
    assert stored == {key: expected[key] for key in stored}


def test_a_cluster_that_cannot_be_reached_is_reported_in_one_line(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    process = prunebench("--store", tmp_path / "store", "--executor", "ray", "--address", "127.0.0.1:1")
    _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith("prunebench: cannot reach a Ray cluster at '127.0.0.1:1'")
    assert err.count("\n") == 1


def node_of(job, folder, together):
    """The node that this runs on, as soon as so many jobs have run or are running together."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    Path(folder, node).write_text("")
    while len(list(Path(folder).iterdir())) < together:
        pass
    return node


def test_a_job_goes_to_the_node_that_has_the_weights_it_starts_from(planned, cluster, tmp_path):
    plan, store, _ = planned("dense")
    job = jobs.jobs_to_run(plan, store)[0].to_spec(plan.where)
    weights = {name: WeightsRef(training=name) for name in "ab"}
    folder = tmp_path / "nodes"
    folder.mkdir()
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    handler = signal.getsignal(signal.SIGTERM)
    with RayExecutor(Request(2, cpus=1, address=cluster.address)) as pool:
        assert signal.getsignal(signal.SIGTERM) is handler, "Ray takes it for itself"

        def submit(together, **fields):
            return pool.submit(node_of, job.model_copy(update=fields).model_dump(mode="json"), str(folder), together)

        makers = [submit(2, weights=[weights[name]]) for name in "ab"]
        nodes = {name: maker.result() for name, maker in zip("ab", makers, strict=True)}
        assert nodes["a"] != nodes["b"]
        for name in "abbaab":
            assert submit(1, reads=[weights[name]]).result() == nodes[name]


def test_a_worker_that_has_lost_its_gpu_ends(cluster):
    """Ray would give that process the next job; so it ends, and Ray retries the job in others as often as it may."""
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    with RayExecutor(Request(1, cpus=1, address=cluster.address)) as pool:
        first = pool.submit(os.getpid).result()
        with pytest.raises(WorkersDied):
            pool.submit(exec, "import torch; raise torch.AcceleratorError('an illegal memory access')").result()
        assert pool.submit(os.getpid).result() != first
