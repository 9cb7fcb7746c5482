"""How long the rest of a run will take."""

from __future__ import annotations

from types import SimpleNamespace

from prunebench.execution.clock import Clock, expected_seconds, pace


def experiment(task, **changes):
    fields = {"protocol_label": "glue-1", "precision": "fp32", "device": "cpu", "seed": 0, **changes}
    return SimpleNamespace(task=task, **fields)


def job(task, trains=True):
    return SimpleNamespace(trains=trains, anchor=SimpleNamespace(experiment=experiment(task)))


def record(task, steps=10, **seconds):
    return SimpleNamespace(steps=steps, seconds=seconds, experiment=experiment(task))


def test_trainings_of_equal_task_protocol_precision_and_device_have_one_pace():
    assert pace(experiment("rte")) == pace(experiment("rte", seed=1))
    others = ({"task": "mrpc"}, {"protocol_label": "glue-2"}, {"precision": "bf16"}, {"device": "cuda"})
    assert all(pace(experiment(**{"task": "rte", **other})) != pace(experiment("rte")) for other in others)


def test_expected_seconds_are_the_median_of_records_that_trained():
    records = [
        record("rte", load=1.0, train=8.0, evaluate=1.0, predict=0.9),
        record("rte", train=20.0),
        record("rte", load=0.0, train=28.0, strategy=1.0, prune=1.0),
        record("rte", steps=0, prune=1000.0),
        record("mrpc", train=5.0),
    ]
    assert expected_seconds(records) == {pace(experiment("rte")): 20.0, pace(experiment("mrpc")): 5.0}
    assert expected_seconds([]) == {}


def test_the_clock_counts_the_trainings_that_are_left_by_task():
    todo = [job("rte"), job("rte"), job("rte"), job("mrpc"), job("rte", trains=False)]
    clock = Clock(todo, {})
    assert clock.total() is None
    assert clock.finish(todo[0], 10.0) is None, "mrpc has never been trained"
    clock = Clock(todo, {pace(experiment("mrpc")): 100.0}, slots=2)
    assert clock.finish(todo[0], 10.0) == (2 * 10 + 100) / 2
    assert clock.finish(todo[1], 30.0) == (20 + 100) / 2
    assert clock.finish(todo[3], None) == 20 / 2, "given up"
    assert clock.finish(todo[4], 5.0) == 20 / 2


def test_seconds_of_this_run_count_before_those_of_earlier_runs():
    todo = [job("rte"), job("rte")]
    store = SimpleNamespace(records=lambda: iter([record("rte", train=100.0)]))
    clock = Clock.of(todo, store)
    assert clock.total() == 200.0
    assert clock.finish(todo[0], 10.0) == 10.0
    assert clock.finish(todo[1], 12.0) == 0.0
