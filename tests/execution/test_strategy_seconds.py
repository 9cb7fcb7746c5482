"""What a method's own code takes is booked where it was needed: by a clock that only this method's code moves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from execution.runs import CLOCK, records_of

from prunebench.execution import measurements
from prunebench.pruning import masks
from prunebench.results.rows import load_rows
from prunebench.store.schema import StoredPlan
from prunebench.store.store import file_name

CODE = """
from dataclasses import dataclass
from execution.runs import CLOCK
from prunebench import Cubic, Prune, Rewind, Train, TrainingCallback, hookimpl

@dataclass(frozen=True)
class Mine:
    name = "mine"
    unit = "weight"

    def recipe(self, sparsity):
        return RECIPE

    def score(self, ctx):
        CLOCK[0] += 1
        return {name: weight.abs() for name, weight in ctx.weights.items()}

class Moves(Mine):
    def prune(self, ctx, sparsity):
        return ctx.select(self.score(ctx), sparsity)

class Trains(Mine):
    def training(self, ctx):
        return Slow()

class Slow(TrainingCallback):
    def after_step(self, step):
        CLOCK[0] += 0.25

@hookimpl
def prunebench_strategies():
    return [KIND]
"""


@pytest.fixture
def own_seconds(run, tmp_path, monkeypatch):
    """Runs the method with a recipe; returns the seconds by label and sparsity, and how far the clock went."""
    monkeypatch.setattr(measurements, "time", SimpleNamespace(perf_counter=lambda: CLOCK[0]))

    def run_recipe(recipe, levels, kind="Mine", strategies="mine"):
        CLOCK[0] = 0.0
        file = tmp_path / "mine.py"
        file.write_text(CODE.replace("RECIPE", recipe).replace("KIND", kind))
        store, plan, report = run(strategies, levels, plugins=[file])
        assert not report.failures
        records = records_of(store, plan)
        return {(label, level): record.seconds["method"] for (label, level, _), record in records.items()}, CLOCK[0]

    return run_recipe


@pytest.mark.parametrize(
    ("recipe", "kind", "seconds", "total"),
    [
        # Two levels share one score, which each of them needs. No record stands at the untrained weights.
        ("[Prune(sparsity), Train()]", "Mine", 1, 1),
        ("[Train(), Prune(sparsity), Train()]", "Mine", 1, 1),
        ("[Train(), Prune(0.1), Rewind(), Train(), Prune(sparsity), Rewind(), Train()]", "Mine", 2, 2),
        ("[Train(), Prune(0.1), Prune(sparsity)]", "Mine", 2, 2),
        ("[Train(), Prune(sparsity), Train()]", "Moves", 1, 2),
        ("[Train(Cubic(sparsity, updates=3))]", "Mine", 3, 6),
        ("[Prune(sparsity), Train(callback=True)]", "Trains", 1 + 6 * 0.25, 1 + 2 * 6 * 0.25),
    ],
)
def test_seconds_are_those_of_the_calls_on_the_path(own_seconds, recipe, kind, seconds, total):
    found, clock = own_seconds(recipe, "0.2,0.3", kind)
    dense = {level for level in found if level[0].startswith("dense")}
    assert all(found[each] == 0 for each in dense)
    assert {each: found[each] for each in found.keys() - dense} == {("mine", 0.2): seconds, ("mine", 0.3): seconds}
    assert clock == total


def test_a_control_needs_what_its_method_needed(own_seconds):
    found, _ = own_seconds("[Train(), Prune(sparsity), Train()]", "0.2", strategies="random-pruning[of=mine]")
    assert found["random-pruning[of=mine]", 0.2] == 1


def test_seconds_are_unknown_behind_a_mask_of_an_earlier_version(own_seconds, run, tmp_path):
    own_seconds("[Prune(sparsity), Train()]", "0.2")
    store, plan, _ = run("mine", "0.2", plugins=[tmp_path / "mine.py"])
    [cell] = [each.to_cell() for each in plan.cells if each.sparsity]
    mask = store.load("masks", cell.mask, masks.unpack)
    store.backend.remove(file_name("masks", cell.mask))
    store.add_bytes("masks", cell.mask, masks.pack(mask))
    store.backend.remove(file_name("records", cell.key))
    again, _, report = run("mine", "0.2", plugins=[tmp_path / "mine.py"])
    assert not report.failures
    assert "method" not in again.record(cell.key).seconds
    rows = load_rows([StoredPlan(cells=[cell])], again)
    assert [row.outcome.strategy_seconds for row in rows] == [None]
