"""The level of a record, by the numbers that it has: units, or their cost under a budget."""

from __future__ import annotations

import pytest

from prunebench import Prune, Shuffle, Train
from prunebench.planning.graph import Node, RecipeStep, add_steps
from prunebench.recipes.phase import to_json
from prunebench.sharing.bundle.levels import cost_fault, count_fault
from prunebench.store.schema import Sparsity


def nodes(*phases):
    steps = [RecipeStep.plain(phase, to_json(phase)) for phase in phases]
    return add_steps(Node("root", experiment=None), steps, "test").path()


def sparsity(**changes):
    values = {"unit": "head+neuron", "units": 10, "pruned": 3, "realised": 0.3, "encoder_weights": 100}
    shares = {"encoder_before": 0.0, "encoder_after": 0.5, "budget": "flops"}
    return Sparsity(**{**values, **shares, "cost": 1000, "cost_pruned": 510, "cost_largest": 20, **changes})


FLOPS = nodes(Train(), Prune(0.5, budget="flops"), Shuffle(), Train())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"cost_pruned": 500}, ""),
        ({"cost_pruned": 519}, ""),
        ({"cost_pruned": 499}, "has 499 of 1000 flops pruned"),
        ({"cost_pruned": 520}, "has 520 of 1000 flops pruned"),
        ({"cost_pruned": 1001, "cost_largest": 900}, "has 1001 of 1000"),
        ({"budget": "parameters"}, "has a budget of parameters, and its recipe one of flops"),
    ],
)
def test_the_cost_reaches_the_level_and_would_not_without_its_largest_unit(changes, reason):
    assert cost_fault(sparsity(**changes), FLOPS).startswith(reason)
    assert bool(cost_fault(sparsity(**changes), FLOPS)) == bool(reason)


def test_without_a_budget_the_units_are_counted():
    path = nodes(Train(), Prune(0.3))
    assert cost_fault(sparsity(budget="units"), path) == count_fault(path, 3, 10) == ""
    assert "expected 3" in count_fault(path, 4, 10)
    assert cost_fault(sparsity(), path) == "has a budget of flops, and its recipe one of units"
    assert count_fault(FLOPS, 4, 10) == ""
    assert count_fault(FLOPS, 11, 10)
