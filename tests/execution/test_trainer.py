"""Which weights a training stores on its way."""

from __future__ import annotations

from execution.runs import same

from prunebench.execution.trainer import snapshots_of
from prunebench.store.schema import WeightsRef


def test_snapshots_are_those_of_the_middle_of_this_training_by_step():
    three, half, early = (WeightsRef(training="a", at=at) for at in (3, 0.5, 0.01))
    others = [WeightsRef(training="a"), WeightsRef(training="b"), WeightsRef(training="b", at=3)]
    assert snapshots_of([three, half, early, *others], "a", steps=6) == {3: [three, half], 1: [early]}
    assert snapshots_of([three, half], "a", steps=100) == {3: [three], 50: [half]}
    assert snapshots_of(others, "a", steps=6) == {}


def test_storing_snapshots_changes_no_number(run):
    """A dense training whose weights at two steps are stored for others ends as one that stores none."""
    alone, plan, _ = run("dense", store="alone")
    store, _, report = run("imp[rewind=1],imp[rewind=0.5]")
    assert not report.failures
    [dense] = plan.cells
    assert same(store.record(dense.leaf.key)) == same(alone.record(dense.leaf.key))
