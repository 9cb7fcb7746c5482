"""Workers that die: a job is retried, and its third attempt runs in parts, so that one strategy costs only itself."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys

import pytest
from execution.runs import DyingExecutor, records_of, same, same_records
from samples import tensors

from prunebench.execution import scheduler
from prunebench.execution.clock import Clock
from prunebench.execution.display import Lines
from prunebench.execution.executors.base import Request, WorkersDied
from prunebench.execution.executors.deaths import describe_death
from prunebench.execution.executors.local import ProcessExecutor
from prunebench.execution.scheduler import Dispatch
from prunebench.planning import jobs
from prunebench.pruning import bitmask
from prunebench.store.store import Store

DIES = """
import os, signal
from dataclasses import dataclass
from pathlib import Path
from prunebench import Prune, Train, hookimpl

@dataclass(frozen=True)
class Dies:
    name = "dies"
    unit = "weight"
    times: int = 1
    exits: bool = False
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]
    def score(self, ctx):
        if os.environ.get("DIES"):
            with open(os.environ["DIES"], "a") as log:
                log.write("x")
            if Path(os.environ["DIES"]).stat().st_size <= self.times:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.exits:
                os._exit(7)
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Dies]
"""


@pytest.fixture
def deadly_plugin(tmp_path):
    """A strategy that kills its worker in its first calls, if $DIES names a file that counts them."""
    path = tmp_path / "dies.py"
    path.write_text(DIES)
    return path


def test_a_killed_worker_costs_no_result(run, tmp_path, monkeypatch, capsys, deadly_plugin):
    """kill -9 in the middle of a job, twice: the records are those of an undisturbed run."""
    words = {"strategies": "dies[times=2],imp", "plugins": [deadly_plugin]}
    whole, plan, _ = run(**words, store="whole", executor=ProcessExecutor(Request(2)))
    monkeypatch.setenv("DIES", str(tmp_path / "log"))
    store, plan, report = run(**words, executor=ProcessExecutor(Request(2)))
    assert report.failures == {}
    assert (tmp_path / "log").read_text() == "xxx"
    assert capsys.readouterr().err.count("its worker died: it was killed by SIGKILL") == 2
    for cell in plan.cells:
        assert same(store.record(cell.leaf.key)) == same(whole.record(cell.leaf.key))


def test_a_strategy_that_always_kills_its_worker_fails_alone(run, tmp_path, monkeypatch, capsys, deadly_plugin):
    """The third attempt runs in parts: the shared training, other branches of the job and what follows them succeed."""
    words = {"plugins": [deadly_plugin], "seeds": "2"}
    others = "imp,magnitude,random-pruning[of=heads],heads"
    whole, plan, _ = run(others, **words, store="whole", executor=ProcessExecutor(Request(2)))
    monkeypatch.setenv("DIES", str(tmp_path / "log"))
    store, mixed, report = run(f"dies[times=99],{others}", **words, executor=ProcessExecutor(Request(2)))
    assert set(report.failures) == {f"rte, seed {seed}, dies[times=99] 0.2: Train Prune(0.2)" for seed in (0, 1)}
    [reason] = set(report.failures.values())
    assert reason.startswith("its worker died 3 times: it was killed by SIGKILL (signal 9) (perhaps memory ran out")
    assert (tmp_path / "log").read_text() == "xxxxxx"
    lost = {label for (label, _, _), record in records_of(store, mixed).items() if record is None}
    assert lost == {"dies[times=99]"}
    for cell in plan.cells:
        assert same(store.record(cell.leaf.key)) == same(whole.record(cell.leaf.key))
    assert not list((store.backend.folder / "weights").glob("*"))
    assert capsys.readouterr().err.count("the job is run again") == 4


def test_a_strategy_that_ends_its_worker_is_charged_with_the_exit_status(run, tmp_path, monkeypatch, deadly_plugin):
    monkeypatch.setenv("DIES", str(tmp_path / "log"))
    words = {"plugins": [deadly_plugin], "executor": ProcessExecutor(Request(2))}
    store, plan, report = run("dies[times=0,exits=true],magnitude", **words)
    [(node, reason)] = report.failures.items()
    assert node == "rte, seed 0, dies[times=0,exits=true] 0.2: Train Prune(0.2)"
    assert reason.startswith("its worker died 3 times: it ended with status 7 (")
    assert "called exit or os._exit" in reason
    assert records_of(store, plan)["magnitude", 0.2, 0] is not None


@pytest.mark.parametrize(("dies_of_memory", "hint"), [(True, " (fewer --jobs need less memory)"), (False, "")])
def test_memory_is_named_only_where_the_system_counted_a_kill_for_it(planned, dies_of_memory, hint):
    error = functools.partial(WorkersDied, out_of_memory=dies_of_memory)
    plan, store, _ = planned("dense")
    todo = jobs.jobs_to_run(plan, store)
    with DyingExecutor(lambda job, times: True, error) as executor:
        report = scheduler.run(todo, executor, store, Lines(todo), Dispatch(plan.location))
    assert set(report.failures.values()) == {f"its worker died 3 times: as told{hint}"}


ENDS = {
    "os._exit(3)": ("it ended with status 3", "called exit or os._exit"),
    "os._exit(0)": ("it ended with status 0", "called exit or os._exit"),
    "raise SystemExit('no')": ("it ended with status 1", "its error stands above"),
    "os.kill(os.getpid(), signal.SIGKILL)": ("it was killed by SIGKILL (signal 9)", "perhaps memory ran out"),
    "os.kill(os.getpid(), signal.SIGTERM)": ("it was killed by SIGTERM (signal 15)", "batch system"),
    "import ctypes; ctypes.string_at(0)": (
        "it was killed by SIGSEGV (signal 11), a segmentation fault",
        "FAULT",
    ),
    "os.abort()": ("it was killed by SIGABRT (signal 6), an abort", "compiled code gave up"),
    "os.kill(os.getpid(), signal.SIGRTMIN + 3)": ("it was killed by signal", ""),
}


@pytest.mark.parametrize("code", ENDS)
def test_an_exit_status_is_told_as_what_it_is(code):
    ended = subprocess.run([sys.executable, "-c", f"import os, signal; {code}"], stderr=subprocess.DEVNULL)
    reason, hint = ENDS[code]
    death = describe_death(ended.returncode, out_of_memory=False)
    assert death.reason.startswith(reason)
    assert hint in death.hint and bool(hint) == bool(death.hint)
    assert not death.out_of_memory


def test_only_a_kill_is_charged_to_memory():
    """The system counts what it kills; a segmentation fault at the same time has another cause."""
    killed = describe_death(-signal.SIGKILL, out_of_memory=True)
    assert killed == (
        "it was killed by SIGKILL (signal 9), as the system ran out of memory",
        "fewer --jobs need less memory",
        True,
    )
    assert not describe_death(-signal.SIGSEGV, out_of_memory=True).out_of_memory


LEAF = """
from dataclasses import dataclass
from prunebench import Cubic, Prune, Train, hookimpl

@dataclass(frozen=True)
class Leaf:
    name = "leaf"
    unit = "weight"
    def recipe(self, sparsity):
        return [Train(sparsity=Cubic(sparsity / 2, updates=3)), Prune(sparsity)]
    def score(self, ctx):
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Leaf]
"""


def test_split_jobs_give_what_whole_jobs_give(run, tmp_path):
    """All kinds of phases, with rewinding to a step, models that are kept, and pruning that is scored as it stands."""
    (tmp_path / "leaf.py").write_text(LEAF)
    strategies = "imp,imp[rewind=0.5],imp[rewind=none],magnitude,magnitude-init,random-pruning,random-reinit"
    strategies += ",layer-shuffle,heads,heads[rescore=true],random-pruning[of=heads],leaf"
    words = {"strategies": strategies, "sparsities": "0.2,0.5", "epochs": "1", "keep": True}
    words["plugins"] = [tmp_path / "leaf.py"]
    whole, _, _ = run(**words, store="whole")
    executor = DyingExecutor(lambda job, times: not job.resumes and times < 2)
    store, _, report = run(**words, executor=executor)
    assert report.failures == {} and not report.replan
    assert executor.scored > 0, "parts that write records"
    assert same_records(store) == same_records(whole)
    for kind in ("masks", "models", "weights", "failures"):
        # A mask's file also has the seconds that its method took.
        read = bitmask.summary if kind == "masks" else bytes
        files, expected = (
            {path.name: read(path.read_bytes()) for path in (tmp_path / name / kind).glob("*")}
            for name in ("store", "whole")
        )
        assert files == expected
        assert bool(files) == (kind in ("masks", "models"))


def test_a_split_job_counts_once_in_the_time_that_is_left(planned, monkeypatch):
    """On a clock that stands still, a job that was started and is never finished would be left to the end."""

    def still(jobs, earlier, slots, guess):
        return Clock(jobs, earlier, slots, guess=lambda experiment: 100.0, now=lambda: 0.0)

    monkeypatch.setattr(scheduler, "Clock", still)
    plan, store, _ = planned("magnitude")
    todo = jobs.jobs_to_run(plan, store)
    display = Lines(todo)
    estimates = []
    display.finished = lambda job, seconds, left, failure: estimates.append(left)
    with DyingExecutor(lambda job, times: not job.resumes and times < 2) as executor:
        report = scheduler.run(todo, executor, store, display, Dispatch(plan.location))
    assert not report.failures
    assert executor.attempts[todo[0].key, True] == 1, "it was split"
    assert estimates[-1].seconds == 0.0


def test_a_training_that_dies_three_times_fails_with_what_follows_it(run):
    executor = DyingExecutor(lambda job, times: len(job.path) == 1 and job.path[0].phase["phase"] == "Train")
    store, plan, report = run("imp,magnitude-init", executor=executor)
    [reason] = set(report.failures.values())
    assert reason.startswith("its worker died 3 times: as told")
    assert max(executor.attempts.values()) == 3
    records = records_of(store, plan)
    assert {label for (label, _, _), record in records.items() if record is None} == {"dense", "imp"}


def test_pruning_at_theta0_that_dies_fails_only_with_what_starts_from_it(run):
    """An executor that retries by itself gets the parts of a job, but no job a second time as it is."""
    executor = DyingExecutor(lambda job, times: not job.path, WorkersDied)
    store, plan, report = run("imp,magnitude-init", executor=executor)
    assert list(report.failures) == ["rte, seed 0, magnitude-init 0.2: Prune(0.2)"]
    assert report.skipped == 1 and not report.replan
    records = records_of(store, plan)
    assert {label for (label, _, _), record in records.items() if record is None} == {"magnitude-init"}
    assert set(executor.attempts.values()) == {1}
    failed = jobs.failed_before(plan, store.snapshot([node.key for node in plan.nodes()]))
    assert {node.purpose for node in failed} == {"magnitude-init 0.2"}


def test_weights_that_a_killed_run_has_left_for_parts_of_a_job_are_discarded(run, tmp_path):
    _, plan, _ = run("imp", store="whole")
    dense = next(cell.leaf for cell in plan.cells if not cell.sparsity)
    store = Store.create(tmp_path / "store")
    store.add_bytes("weights", dense.key, tensors(b"as the first part of a split job leaves them"))
    run("imp")
    assert not list((tmp_path / "store" / "weights").iterdir())
