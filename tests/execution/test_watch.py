"""A job that shows no sign of life is named, with what it is at and how many jobs wait for it."""

from __future__ import annotations

import re

import pytest
from execution.runs import records_of
from plugin_files import plugin_file

from prunebench.execution import watch
from prunebench.execution.executors.base import Request
from prunebench.execution.executors.local import ProcessExecutor
from prunebench.execution.watch import Watch, dependents
from prunebench.planning import jobs
from prunebench.runtime.progress import Progress

SLEEPS = "(time.sleep(SECONDS), {name: weight.abs() for name, weight in ctx.weights.items()})[1]"


def sleeping_plugin(folder, seconds):
    file = plugin_file(folder, score=SLEEPS.replace("SECONDS", str(seconds)))
    file.write_text("import time\n" + file.read_text())
    return file


@pytest.fixture
def clock(monkeypatch):
    """The time of the watch in seconds, which tests set."""
    now = [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def todo(planned):
    plan, store, _ = planned("magnitude,imp", "0.2")
    return jobs.jobs_to_run(plan, store)


def test_the_jobs_that_wait_for_one_are_those_behind_it(todo):
    """By brute force: a job waits for another if a chain of needs leads there."""

    def leads(job, other):
        return other in job.needs or any(leads(need, other) for need in job.needs)

    for job in todo:
        assert dependents(job, todo) == {other for other in todo if leads(other, job)}
    assert max(len(dependents(job, todo)) for job in todo) == len(todo) - 1


def test_a_silent_job_is_named_ever_more_rarely(todo, clock):
    watching = Watch(lambda: todo[1:])
    watching.start(todo[0])
    named = []
    for minute in range(45):
        clock[0] = 60.0 * minute
        named += [(minute, line) for line in watching.lines()]
    assert [minute for minute, _ in named] == [5, 10, 20, 40]
    number = len(todo) - 1
    assert named[0][1] == f"rte, seed 0, dense: Train: still at its start for 5 min 00 s; {number} jobs wait for it"


def test_a_sign_of_life_starts_the_time_again(todo, clock):
    watching, key = Watch(lambda: ()), todo[0].nodes[0].key
    watching.start(todo[0])
    for minute, report in enumerate(
        [Progress(0, 0, 0.0, key, stage="Train"), Progress(10, 90, 0.5, key), Progress(20, 90, 0.5, key)], start=4
    ):
        clock[0] = 60.0 * minute
        assert not list(watching.lines())
        watching.update(report)
    watching.update(Progress(30, 90, 0.5, "another job"))
    clock[0] += 200
    watching.update(Progress(0, 0, 0.0, key, text="what its method prints is no sign that it gets on"))
    clock[0] += 100
    assert list(watching.lines()) == ["rte, seed 0, dense: Train: still at Train, step 20 of 90 for 5 min 00 s"]
    watching.finish(todo[0])
    clock[0] += 9999
    assert not list(watching.lines())


def test_a_strategy_that_hangs_is_named_in_a_log(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(watch, "FIRST_REPORT", 0.8)
    monkeypatch.setattr(watch, "LOOK", 0.1)
    run("mine", plugins=[sleeping_plugin(tmp_path, 1.2)], epochs="1")
    lines = [line for line in capsys.readouterr().err.splitlines() if "mine for" in line]
    assert lines == ["rte, seed 0, dense: Train: still at Prune(0.2) of mine for 1 s; 2 jobs wait for it"]


@pytest.mark.parametrize("executor", [lambda: None, lambda: ProcessExecutor(Request(1))], ids=["here", "processes"])
def test_a_job_at_its_limit_fails_with_one_line(run, tmp_path, executor):
    """It is not tried again, and only what starts from it is missing."""
    words = {"plugins": [sleeping_plugin(tmp_path, 99)], "epochs": "1", "dispatch": {"job_minutes": 0.05}}
    store, plan, report = run("mine", **words, executor=executor())
    [reason] = report.failures.values()
    # Where the machine is busy, a worker may still load libraries at this limit.
    assert re.fullmatch(
        r"the job took longer than 0.05 min(, and was at .*)? \(see --job-minutes; --retry-failed runs it again\)",
        reason,
    )
    assert executor() or ", and was at Prune(0.2) of mine (" in reason
    assert records_of(store, plan)["mine", 0.2, 0] is None
