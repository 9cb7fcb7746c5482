"""A mask that moves in a training without a level of its own keeps the count, the cost and the pattern before it."""

from __future__ import annotations

import pytest

from prunebench.pruning import masks

CODE = """
from dataclasses import dataclass
import torch
from prunebench import Prune, Train, TrainingCallback, hookimpl

@dataclass(frozen=True)
class Moving:
    name = "moving"
    unit = UNIT
    regrows = True

    def recipe(self, sparsity):
        return [Prune(sparsity, SELECTION), Train(callback=True)]

    def score(self, ctx):
        return random(ctx, "start")

    def training(self, ctx):
        return Moves(ctx)

def random(ctx, purpose):
    generator = ctx.generator(purpose)
    return {name: torch.rand(keep.shape, generator=generator) for name, keep in ctx.mask.items()}

class Moves(TrainingCallback):
    def __init__(self, ctx):
        self.ctx = ctx

    def after_step(self, step):
        assert self.ctx.level == 0.5
        return MASK

@hookimpl
def prunebench_strategies():
    return [Moving]
"""
SELECTED = 'self.ctx.select(random(self.ctx, f"step {step}"), self.ctx.level, regrow=True)'
# As many units as before, at other places of the flattened mask.
ROLLED = "roll(self.ctx.mask)"
ROLL = """
def roll(mask):
    units = torch.cat([keep.flatten() for keep in mask.values()]).roll(1)
    parts = units.split([keep.numel() for keep in mask.values()])
    return {name: part.view(keep.shape) for (name, keep), part in zip(mask.items(), parts)}
"""


@pytest.fixture
def move(run, tmp_path):
    def run_method(unit, selection, mask=SELECTED):
        file = tmp_path / "moving.py"
        text = CODE.replace("UNIT", repr(unit)).replace("SELECTION", selection).replace("MASK", mask)
        file.write_text(text + ROLL)
        store, plan, report = run("moving", "0.5", plugins=[file])
        [cell] = [cell for cell in plan.cells if cell.sparsity]
        return store, cell.leaf, report

    return run_method


@pytest.mark.parametrize("budget", ["flops", "parameters"])
def test_the_cost_is_held_and_the_number_of_units_is_not(move, budget):
    store, leaf, report = move("head+neuron", f"budget={budget!r}")
    assert not report.failures
    record = store.record(leaf.key)
    sparsity = record.sparsity
    assert record.checks["count_exact"] and sparsity.budget == budget
    assert sparsity.cost_pruned - sparsity.cost_largest < sparsity.cost / 2 <= sparsity.cost_pruned
    before, after = (store.load("masks", node.key, masks.unpack) for node in leaf.path())
    assert masks.pruned(before) != masks.pruned(after) == sparsity.pruned


def test_another_cost_is_refused_even_if_the_count_is_the_same(move):
    """Each step moves all units by one place, and some step a head where a neuron was."""
    _, _, report = move("head+neuron", "budget='flops'", ROLLED)
    [reason] = report.failures.values()
    assert reason.startswith("strategy 'moving' pruned") and "flops (expected" in reason


def test_without_a_budget_the_count_is_held(move):
    store, leaf, report = move("head+neuron", "budget='units'", ROLLED)
    assert not report.failures
    before, after = (store.load("masks", node.key, masks.unpack) for node in leaf.path())
    assert masks.pruned(before) == masks.pruned(after)
    assert any((before[name] != after[name]).any() for name in before)


def test_the_pattern_is_held(move):
    """`ctx.select` follows the pattern of the phase before, and a mask that leaves it is refused at the end."""
    store, leaf, report = move("weight", "pattern='2:4'")
    assert not report.failures
    assert store.record(leaf.key).checks["pattern_followed"]
    _, _, report = move("weight", "pattern='2:4'", ROLLED)
    [reason] = report.failures.values()
    assert "broke the pattern 2:4" in reason
