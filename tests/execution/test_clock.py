"""How long the rest of a run will take."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from prunebench import Rewind, Train
from prunebench.execution.clock import Clock, Estimate, expected_seconds, guess_seconds, pace
from prunebench.planning.graph import Node, RecipeStep
from prunebench.planning.jobs import Job
from prunebench.recipes.phase import to_json


def experiment(task, **changes):
    """What the clock reads of an experiment."""
    fields = {"protocol_label": "glue-1", "precision": "fp32", "device": "cpu", "seed": 0, **changes}
    return SimpleNamespace(task=task, **fields)


def job(task, trains=True):
    phase = Train() if trains else Rewind()
    anchor = Node(task, experiment(task), RecipeStep.plain(phase, to_json(phase)))
    return Job(anchor, [anchor])


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


class Time:
    """A time that moves only by hand."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def test_the_clock_counts_the_trainings_that_are_left_by_task():
    todo = [job("rte"), job("rte"), job("rte"), job("mrpc"), job("rte", trains=False)]
    clock = Clock(todo, {})
    assert clock.left() is None
    assert clock.finish(todo[0], 10.0) is None, "mrpc has never been trained"
    clock = Clock(todo, {pace(experiment("mrpc")): 100.0})
    assert clock.finish(todo[0], 10.0) == Estimate(2 * 10 + 100)
    assert clock.finish(todo[1], 30.0) == Estimate(20 + 100)
    assert clock.finish(todo[3], None) == Estimate(20), "given up"
    assert clock.finish(todo[4], 5.0) == Estimate(20)
    assert clock.finish(todo[2], 20.0) == Estimate(0.0)


def test_what_a_job_has_run_for_is_not_left():
    now = Time()
    todo = [job("rte"), job("rte"), job("mrpc")]
    clock = Clock(todo, {pace(experiment("rte")): 30.0, pace(experiment("mrpc")): 100.0}, slots=2, now=now)
    assert clock.left() == Estimate(100.0), "no less than the longest job"
    clock.start(todo[2])
    clock.start(todo[0])
    now.seconds = 20.0
    assert clock.left() == Estimate(80.0)
    now.seconds = 70.0
    assert clock.left() == Estimate(30.0), "30 s of mrpc, and 30 s of the second rte beside it"
    now.seconds = 500.0
    assert clock.left() == Estimate(30.0), "a job that takes longer than expected has nothing left"


def test_seconds_of_this_run_count_before_those_of_earlier_runs_and_a_guess_comes_last():
    todo = [job("rte"), job("rte"), job("mrpc")]
    earlier = [record("rte", train=100.0)]
    clock = Clock(todo, expected_seconds(earlier), guess=lambda experiment: 7.0)
    assert clock.left() == Estimate(200.0 + 7.0, guessed=True)
    assert clock.finish(todo[0], 14.0) == Estimate(14.0 + 2 * 7.0, guessed=True), "twice as long as guessed"
    assert clock.finish(todo[2], 5.0) == Estimate(14.0)
    assert clock.finish(todo[1], 12.0) == Estimate(0.0)


def test_a_job_that_is_run_again_is_waiting_as_itself_or_as_its_parts():
    now = Time()
    whole, training, branch = job("rte"), job("rte"), job("rte", trains=False)
    clock = Clock([whole], {pace(experiment("rte")): 30.0}, now=now)
    clock.start(whole)
    now.seconds = 20.0
    clock.requeue(whole, [whole])
    assert clock.left() == Estimate(30.0)
    clock.start(whole)
    clock.requeue(whole, [training, branch])
    assert clock.left() == Estimate(30.0)
    assert clock.finish(training, 25.0) == Estimate(0.0)


def test_a_guess_grows_with_steps_tokens_and_weights():
    def guess(weights=10**6, **changes):
        fields = {"steps": 100, "protocol": {"max_length": 128, "batch_size": 32}, **changes}
        return guess_seconds(experiment("rte", **fields), weights)

    # 6 products for each weight and token, at most 32 tokens of a text, and 15 ms beside them.
    assert guess() == pytest.approx(100 * (0.015 + 6 * 10**6 * 32 * 32 / 9e10))
    assert guess(steps=200) == pytest.approx(2 * guess())
    assert guess(weights=10**7) > guess() > guess(protocol={"max_length": 8, "batch_size": 32})
    assert guess(device="cuda", precision="bf16+compiled") < guess(precision="bf16") < guess()
