"""Which jobs a run does: those that are left, those of other runs on the store, and those whose inputs have gone."""

from __future__ import annotations

import pytest
from execution.runs import same_records, start_command

from prunebench.execution import scheduler, worker
from prunebench.execution.display import Lines
from prunebench.execution.executors.local import SerialExecutor
from prunebench.execution.scheduler import Dispatch
from prunebench.planning import jobs
from prunebench.pruning import bitmask
from prunebench.store import claims
from prunebench.store.schema import WeightsRef
from prunebench.store.store import Store


def run_jobs(todo, plan, store, display=None):
    """The report of a run of these jobs in this process."""
    with SerialExecutor() as pool:
        return scheduler.run(todo, pool, store, display or Lines(todo), Dispatch(plan.location))


def run_elsewhere(job, plan, store):
    """Do a job as another run would."""
    worker.run(job.to_spec(plan.where).model_dump(mode="json"), store.name)


def training_without_needs(todo):
    return next(job for job in todo if job.trains and not job.needs)


def test_the_second_run_does_nothing(run):
    _, _, first = run("imp,heads")
    _, _, second = run("imp,heads")
    assert first.done > 0
    assert second.done == 0


# Other runs on the same store


@pytest.mark.parametrize("seeds", [1, 3])
def test_two_runs_on_one_store_share_the_work(tiny_bert, tiny_glue, tmp_path, seeds):
    """Both end well, no training runs twice, and the records are those of one run alone; with one tree or several."""
    words = ["run", "--tasks", "rte", "--strategies", "imp,magnitude", "--sparsities", "0.2", "--seeds", str(seeds)]
    words += ["--model", str(tiny_bert), "--glue-dir", str(tiny_glue), "--epochs", "2", "--batch-size", "16"]
    words += ["--device", "cpu", "--precision", "fp32", "--executor", "here"]
    runs = [start_command(words, tmp_path / store) for store in ("whole", "shared", "shared")]
    outputs = [process.communicate() for process in runs]
    assert [process.returncode for process in runs] == [0, 0, 0], outputs
    alone, *together = (sum("loss" in line for line in err.splitlines()) for _, err in outputs)
    assert alone == sum(together) == 5 * seeds
    assert same_records(Store.open(tmp_path / "shared")) == same_records(Store.open(tmp_path / "whole"))
    assert not list((tmp_path / "shared" / "runs").iterdir())
    assert not list((tmp_path / "shared" / "weights").iterdir())


@pytest.mark.parametrize("end", ["done", "failed", "killed"])
def test_a_job_that_another_run_holds_is_left_to_it(planned, monkeypatch, end):
    """Until it is done there, or has failed there, or that run gives no sign of life."""
    plan, store, _ = planned("magnitude,magnitude-init")
    todo = jobs.jobs_to_run(plan, store)
    dense = training_without_needs(todo)
    display = Lines(todo)
    waits = []

    def end_elsewhere(job):
        waits.append(job)
        if end == "done":
            run_elsewhere(job, plan, store)
        if end == "failed":
            store.add_failure(job.key, "it diverged", "as it was there")
        if end == "killed":
            monkeypatch.setattr(claims, "SILENCE", 0.0)
        else:
            other.hold(())

    display.waiting = end_elsewhere
    monkeypatch.setattr(claims, "POLL", 0.0)
    with Store.open(store.name).claims() as other:
        assert other.claim(dense.key)
        report = run_jobs(todo, plan, store, display)
    assert waits == [dense]
    if end == "failed":
        assert set(report.failures.values()) == {"it diverged"}
        assert store.failure(dense.key).details == "as it was there"
        assert report.skipped == len([job for job in todo if dense in job.needs])
    else:
        assert not report.failures
        assert report.done == len(todo) - (end == "done")
        assert all(store.record(cell.leaf.key) for cell in plan.cells)


def test_a_job_that_another_run_finishes_while_this_one_claims_it_is_not_repeated(planned, monkeypatch):
    """It began and ended after this run had read which jobs others hold, and before its own claim."""
    plan, store, _ = planned("magnitude,magnitude-init")
    todo = jobs.jobs_to_run(plan, store)
    dense = training_without_needs(todo)
    real = claims.RunClaims.claim

    def late(self, key, running=()):
        if key == dense.key:
            run_elsewhere(dense, plan, store)
        return real(self, key, running)

    monkeypatch.setattr(claims.RunClaims, "claim", late)
    report = run_jobs(todo, plan, store)
    assert (report.done, report.failures) == (len(todo) - 1, {})
    assert all(store.record(cell.leaf.key) for cell in plan.cells)


def test_weights_that_no_waiting_job_needs_are_not_made_again(run, tmp_path):
    """Another run has done everything; the dense training lacks only its weights, and no job needs those any more."""
    store, plan, _ = run("magnitude", "0.2")
    fresh = Store.create(tmp_path / "other")
    todo = jobs.jobs_to_run(plan, fresh)
    for record in store.records():
        fresh.add_record(record, b"")
    for path in (tmp_path / "store" / "masks").iterdir():
        fresh.add_bytes("masks", path.stem, path.read_bytes())
    report = run_jobs(todo, plan, fresh)
    assert report.done == 0
    assert not report.failures


# Inputs that are gone


@pytest.mark.parametrize("kind", ["damaged", "gone"])
def test_a_mask_that_is_damaged_or_gone_is_made_again(planned, kind):
    plan, store, finish = planned("imp")
    finish()
    folder = store.backend.folder / "masks"
    # A mask's file also has the seconds that its method took.
    expected = {path.name: bitmask.summary(path.read_bytes()) for path in folder.glob("*")}
    plan, store, finish = planned("imp,random-pruning,random-reinit", "0.1,0.2")
    todo = jobs.jobs_to_run(plan, store)
    for path in folder.glob("*"):
        path.write_bytes(b"nothing") if kind == "damaged" else path.unlink()
    report = run_jobs(todo, plan, store)
    assert report.replan
    assert not report.failures
    while finish().replan:
        pass
    assert all(store.record(cell.leaf.key) for cell in plan.cells)
    assert {name: bitmask.summary((folder / name).read_bytes()) for name in expected} == expected


def test_weights_that_another_run_has_discarded_are_made_again(planned):
    """The other run has finished and cleaned up while this one was working."""
    plan, store, finish = planned("magnitude", "0.2,0.3")
    todo = jobs.jobs_to_run(plan, store)
    display = Lines(todo)
    display.started = lambda job: [store.discard_weights(WeightsRef(training=name)) for name in store.keys("weights")]
    report = run_jobs(todo, plan, store, display)
    assert report.replan
    assert not report.failures
    while finish().replan:
        pass
    assert all(store.record(cell.leaf.key) for cell in plan.cells)
    assert not list((store.backend.folder / "weights").glob("*"))
