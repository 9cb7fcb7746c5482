"""Executors of this machine: the same records from worker processes, their threads, signals and output."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest
import torch
from execution.runs import same

from prunebench.errors import PrunebenchError
from prunebench.execution.executors import local
from prunebench.execution.executors.base import Request
from prunebench.execution.executors.local import ProcessExecutor, SerialExecutor
from prunebench.execution.executors.resources import Resources, make_executor, request_for
from prunebench.hooks.registry import Registry
from prunebench.planning.suite import Suite
from prunebench.runtime import devices, progress


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_worker_processes_give_the_same_records_bit_for_bit(run, monkeypatch, precision):
    """One thread in this process, and one in each of two workers."""
    monkeypatch.setattr(local, "cores", lambda: 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        serial, plan, _ = run("imp,magnitude", "0.2", store="serial", precision=precision)
    finally:
        torch.set_num_threads(threads)
    moments = []
    executor = ProcessExecutor(Request(2))
    with progress.temporary_listener(moments.append):
        workers, _, _ = run("imp,magnitude", "0.2", store="workers", executor=executor, precision=precision)
    trained = {record.key for record in workers.records() if record.steps}
    assert {moment.job for moment in moments if moment.step == moment.steps and not moment.score} == trained
    for cell in plan.cells:
        record = workers.record(cell.leaf.key)
        assert record.environment["threads"] == 1
        assert same(record) == same(serial.record(cell.leaf.key))


def test_threads_depend_on_the_capacity_and_not_on_the_jobs_that_are_left(monkeypatch):
    """Otherwise the last job of a run that goes on would sum in another order than beside others."""
    monkeypatch.setattr(devices, "cores", lambda: 8)
    registry, resources = Registry(), Resources(jobs=2)
    for left, jobs in ((10, 2), (1, 1)):
        request = request_for(resources, Suite().model, "cpu", registry, left)
        assert (request.jobs, request.cpus) == (jobs, 4)
    assert isinstance(make_executor(resources, request, registry), ProcessExecutor), "the worker of a lone job may die"


def test_a_job_in_this_process_has_the_threads_that_it_was_given():
    before = torch.get_num_threads()
    try:
        assert SerialExecutor(cpus=3).submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_an_executor_that_is_broken_ends_the_run_with_one_line(run):
    with pytest.raises(PrunebenchError, match=r"takes no more jobs.*the same command goes on"):
        run("dense", executor=_Broken())


class _Broken(SerialExecutor):
    def submit(self, fn, /, *args, **kwargs):
        raise BrokenExecutor("the pool is gone")


# Worker processes


def test_the_last_output_of_a_worker_is_flushed(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    code = (
        "from prunebench.execution.executors.base import Request\n"
        "from prunebench.execution.executors.local import ProcessExecutor\n"
        "with ProcessExecutor(Request(1, cpus=1)) as pool:\n"
        "    pool.submit(exec, \"print('half a line', end='')\").result()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("half a line", "")


def test_a_worker_has_the_environment_of_its_start(monkeypatch):
    """Workers are copies of a process that may have started when the environment was another one."""
    for value in ("one", "two"):
        monkeypatch.setenv("PRUNEBENCH_TEST", value)
        with ProcessExecutor(Request(1, cpus=1)) as pool:
            assert pool.submit(os.getenv, "PRUNEBENCH_TEST").result() == value


@pytest.mark.skipif(sys.platform != "linux", reason="workers are spawned")
def test_workers_are_copies_of_one_process_that_computes_nothing():
    with ProcessExecutor(Request(2, cpus=1)) as pool:
        parents = {future.result() for future in [pool.submit(os.getppid) for _ in range(4)]}
        [server] = parents
        assert server != os.getpid()
        [task] = Path(f"/proc/{server}/task").iterdir()
        assert task.name == str(server), "a thread would be lost in a copy"


STARTING = """
import multiprocessing
from pathlib import Path
from prunebench.execution.executors.base import Request
from prunebench.execution.executors.local import ProcessExecutor

if __name__ == "__main__":
    with ProcessExecutor(Request(1)) as pool:
        done = pool.submit(abs, -1)
        while not (workers := multiprocessing.active_children()):
            pass
        while not done.done():
            lines = dict(line.split(":", 1) for line in Path(f"/proc/{workers[0].pid}/status").read_text().splitlines())
            ignored = {what: int(lines[what], 16) >> 1 & 1 for what in ("SigBlk", "SigIgn")}
            assert any(ignored.values()), ignored
    print("ignored from the start")
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks /proc which signals a process hears")
def test_a_worker_ignores_ctrl_c_from_the_start(tmp_path):
    """In a process of its own, in which nothing of multiprocessing has been used before."""
    (tmp_path / "starting.py").write_text(STARTING)
    done = subprocess.run([sys.executable, tmp_path / "starting.py"], capture_output=True, text=True)
    assert done.stdout == "ignored from the start\n", done.stderr


def test_a_worker_ends_in_silence_where_its_output_is_closed():
    code = (
        "from prunebench.execution.executors.base import Request\n"
        "from prunebench.execution.executors.local import ProcessExecutor\n"
        "pool = ProcessExecutor(Request(1, 1)); pool.submit(int).result()"
    )
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", f"{code}; pool.shutdown()"]
    ended = subprocess.run(closed, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_worker_that_has_lost_its_gpu_fails_one_job_and_is_replaced():
    """CUDA would give the same error again for every later job of that process."""
    lose = "import torch; raise torch.AcceleratorError('an illegal memory access was encountered')"
    with ProcessExecutor(Request(1, cpus=1)) as pool:
        first = pool.submit(os.getpid).result()
        assert pool.submit(os.getpid).result() == first
        with pytest.raises(torch.AcceleratorError, match="illegal memory access"):
            pool.submit(exec, lose).result()
        second = pool.submit(os.getpid).result()
        assert second != first
        with pytest.raises(torch.OutOfMemoryError):
            pool.submit(exec, "import torch; raise torch.OutOfMemoryError('it is full')").result()
        assert pool.submit(os.getpid).result() == second
