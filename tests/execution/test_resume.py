"""Runs that were stopped or killed: the same command goes on, and ends with the records of an undisturbed run."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from random import Random

import pytest
from execution.runs import records_of, same, same_records, start_command
from samples import tensors

from prunebench.errors import PrunebenchError
from prunebench.execution.checkpoints import Checkpoints
from prunebench.hooks.registry import Registry
from prunebench.models.fast import embedding_subset
from prunebench.pruning import bitmask
from prunebench.store.store import Store, StoreError


@pytest.fixture
def words(tiny_bert, tiny_glue):
    """A command on the tiny model whose trainings have 60 steps, in this process of its own."""
    where = ["--model", str(tiny_bert), "--glue-dir", str(tiny_glue), "--device", "cpu", "--precision", "fp32"]
    return ["run", "--tasks", "rte", "--seeds", "1", "--epochs", "5", "--batch-size", "4", "--executor", "here", *where]


def test_a_run_goes_on_after_an_interrupt_inside_a_training(run, monkeypatch):
    """As in a notebook: the process still has the model, whose embeddings are cut down to the training's tokens."""

    def interrupt(self, *arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(embedding_subset.EmbeddingSubset, "_restore", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run("magnitude", store="stopped")
    store, plan, _ = run("magnitude", store="stopped")
    records = records_of(store, plan)
    other, _, _ = run("magnitude", store="whole")
    assert {name: record and same(record) for name, record in records.items()} == {
        name: same(record) for name, record in records_of(other, plan).items()
    }


PRINTS_STEPS = """
import sys
from prunebench.runtime import progress
if not hasattr(sys, "print_step"):  # a worker loads its plugins by itself
    sys.print_step = lambda moment: moment.steps and print("step", moment.step, file=sys.stderr, flush=True)
    progress.add_listener(sys.print_step)
"""
NO_STRATEGIES = """
from prunebench import hookimpl

@hookimpl
def prunebench_strategies():
    return []
"""


def wait_for_step(process, training, step):
    """Read the output of a command with PRINTS_STEPS until its first, second, … training is at that step."""
    trainings = 0
    for line in process.stderr:
        trainings += line == "step 10\n"
        if trainings == training and line == f"step {step}\n":
            return
    raise AssertionError("it ended before that step")


def test_a_run_that_was_killed_inside_a_training_goes_on(words, tmp_path):
    """SIGKILL in the middle of the third training; the same command then ends with the same records."""
    (tmp_path / "steps.py").write_text(PRINTS_STEPS + NO_STRATEGIES)
    words += ["--strategies", "imp,magnitude,random-pruning,heads", "--sparsities", "0.2"]
    words += ["--plugin", tmp_path / "steps.py"]
    with start_command(words, tmp_path / "whole") as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    with start_command(words, tmp_path / "cut") as process:
        wait_for_step(process, training=3, step=30)
        process.send_signal(signal.SIGKILL)
        process.stderr.read()
    assert process.returncode == -signal.SIGKILL
    whole, cut = Store.open(tmp_path / "whole"), Store.open(tmp_path / "cut")
    expected, before = same_records(whole), same_records(cut)
    assert len(before) == 2, "the trainings before the one that was killed"
    assert before.items() <= expected.items()
    with start_command(words, tmp_path / "cut") as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert same_records(cut) == expected
    assert "phases, 5 trainings\n" in out
    assert not [path for path in cut.backend.folder.rglob("*") if path.name.startswith(".part-")]
    assert not list((cut.backend.folder / "weights").glob("*"))


# Checkpoints


def kill_and_go_on(words, store):
    """Kill a command with PRINTS_STEPS at step 30 of its second training, and let it go on from its checkpoint."""
    always = ("--checkpoint-minutes", "0")
    with start_command(words, store, *always) as process:
        wait_for_step(process, training=2, step=30)
        process.send_signal(signal.SIGKILL)
        process.stderr.read()
    with start_command(words, store, *always) as process:
        steps = [line for line in process.communicate()[1].splitlines() if line.startswith("step ")]
    assert steps[0] in ("step 30", "step 40"), "step 30 was printed before its checkpoint was written"


RAMPED = (
    PRINTS_STEPS
    + """
from dataclasses import dataclass
from prunebench import Cubic, Train, hookimpl

@dataclass(frozen=True)
class Ramped:
    name = "ramped"
    unit = "weight"
    def recipe(self, sparsity):
        return [Train(sparsity=Cubic(sparsity, begin=0.1, end=0.9, updates=12))]
    def score(self, ctx):
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Ramped]
"""
)


def test_a_killed_training_goes_on_from_its_checkpoint(words, tmp_path):
    """SIGKILL in the middle of a training whose mask grows; it goes on at that step and ends with the same record."""
    (tmp_path / "ramped.py").write_text(RAMPED)
    words += ["--strategies", "ramped", "--sparsities", "0.5", "--plugin", tmp_path / "ramped.py"]
    always = ("--checkpoint-minutes", "0")
    with start_command(words, tmp_path / "whole") as process:
        process.communicate()
    with start_command(words, tmp_path / "checkpointed", *always) as process:
        assert "step 10" in process.communicate()[1].splitlines()
    kill_and_go_on(words, tmp_path / "cut")
    expected = same_records(Store.open(tmp_path / "whole"))
    for store in ("checkpointed", "cut"):
        assert same_records(Store.open(tmp_path / store)) == expected
        # A writer that was killed may have left a temporary file, which is cleared away after a day.
        assert [path for path in (tmp_path / store / "checkpoints").iterdir() if ".part-" not in path.name] == []


# Every strategy that is built in or stands in plugins/, so that every phase is in a recipe.
STRATEGIES = {
    "imp,imp[rewind=0.5],random-pruning,random-reinit,layer-shuffle": "0.2",
    "magnitude,magnitude-init,heads,heads-neurons,sparsegpt,gradual": "0.2",
    "movement,movement[soft=true],rigl,rigl[grow=random],magnitude[teacher=dense],magnitude[schedule=cubic]": "0.2",
    "snip,grasp,synflow,lamp,lr-rewinding,platon": "0.2",
    "wanda,owl,fisher,obert,obert[steps=2],kwon,layer-drop,head-control": "0.5",
    "sr-ste,l0-heads,cofi,chita,int8[of=heads]": "0.5",
}


def test_every_strategy_is_among_those_that_are_stopped():
    registry = Registry()
    ours = {"prunebench", *(folder.name for folder in (Path(__file__).parents[2] / "plugins").iterdir())}
    names = {name for text in STRATEGIES for name in re.sub(r"\[.*?\]", "", text).split(",")}
    assert names | {"dense"} == {
        name for name in registry.entries("strategies") if registry.code("strategies", name)["distribution"] in ours
    }


@pytest.mark.parametrize("strategies", STRATEGIES)
def test_a_run_that_stops_at_random_checkpoints_gives_the_same_bits(run, monkeypatch, strategies):
    """Each run of one command stops behind a random checkpoint, until one comes to the end."""
    level = STRATEGIES[strategies]
    random = Random(strategies)
    real = Store.write_checkpoint

    def write_and_stop(store, key, data):
        real(store, key, data)
        if random.random() < 0.35:
            raise KeyboardInterrupt

    whole, plan, _ = run(strategies, level, store="whole", epochs="1")
    with monkeypatch.context() as patched:
        patched.setattr(Store, "write_checkpoint", write_and_stop)
        stops = 0
        while True:
            try:
                stopped, _, _ = run(strategies, level, store="stopped", epochs="1", dispatch={"checkpoint_minutes": 0})
                break
            except KeyboardInterrupt:
                stops += 1
    assert stops >= 3
    records = records_of(stopped, plan)
    assert None not in records.values()
    assert same_records(stopped) == same_records(whole)
    for key in whole.keys("records"):
        ours, theirs = whole.logits(key), stopped.logits(key)
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)
    masks = {key: whole.load("masks", key, bitmask.summary) for key in whole.keys("masks")}
    assert masks == {key: stopped.load("masks", key, bitmask.summary) for key in stopped.keys("masks")}
    assert stopped.keys("checkpoints") == []


@pytest.mark.parametrize(("error", "stays"), [(PrunebenchError("diverged"), False), (StoreError("full"), True)])
def test_the_checkpoint_of_a_training_that_fails_by_itself_is_discarded(tmp_path, error, stays):
    store = Store.create(tmp_path / "store")
    store.write_checkpoint("k", tensors())

    def fail():
        raise error

    with pytest.raises(PrunebenchError):
        Checkpoints(store, "k", 1.0).discard_on_failure(fail)
    assert store.has("checkpoints", "k") is stays
