"""What the tests of whole runs share. They import it as `execution.runs`."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future

from processes import start

from prunebench.execution.executors.base import WorkerDied
from prunebench.execution.executors.local import SerialExecutor
from prunebench.planning.job_spec import JobSpec

# The time that strategies of tests move, in seconds.
CLOCK = [0.0]


def same(record):
    """A record as JSON, without what may differ between two runs of the same work."""
    varying = ("seconds", "peak_memory_mb", "environment", "plan")
    return {name: value for name, value in record.to_json().items() if name not in varying}


def same_records(store):
    """All records of a store by key, without what may differ between two runs of the same work."""
    return {record.key: same(record) for record in store.records()}


def records_of(store, plan):
    """The records of a plan's cells by label, sparsity and seed; None where one is missing."""
    return {
        (cell.method.label, cell.sparsity, cell.leaf.experiment.seed): store.record(cell.leaf.key)
        for cell in plan.cells
    }


def start_command(words, store, *more):
    """Start `prunebench` with these words on a store in a process of its own."""
    return start(*words, "--store", store, *more)


class DyingExecutor(SerialExecutor):
    """Dies of a job if `dies(job, times)`, where `times` counts the earlier attempts at it.

    `scored` counts the nodes that jobs which resume were asked to score.
    """

    def __init__(self, dies, error=WorkerDied):
        super().__init__()
        self.dies = dies
        self.error = error
        self.attempts = Counter()
        self.scored = 0

    def submit(self, fn, job, store):
        spec = JobSpec.model_validate(job)
        name = spec.anchor, spec.resumes
        self.attempts[name] += 1
        self.scored += spec.resumes * len(spec.scored)
        if self.dies(spec, self.attempts[name] - 1):
            future = Future()
            future.set_exception(self.error("as told"))
            return future
        return super().submit(fn, job, store)
