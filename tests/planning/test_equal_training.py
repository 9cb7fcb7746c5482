"""Dense runs of equal training: how many trainings each method has from θ0, and what a plan adds for it."""

from __future__ import annotations

import pytest
from planning.test_plan import Contents, plan_of, trainings
from samples import EXPERIMENT

from prunebench import PrunebenchError, Train
from prunebench.hooks.registry import Registry
from prunebench.planning import counting, jobs
from prunebench.planning.compile import compile_plan
from prunebench.planning.graph import restrict
from prunebench.planning.methods import Method
from prunebench.recipes.phase import final_trainings
from prunebench.store.schema import Location

# The trainings of each method from θ0 on, at sparsity 0.2, counted by hand from the recipes.
EXPECTED = {
    "dense": 1,
    "dense[trainings=2.5]": 2.5,
    "imp": 1,
    "imp[rewind=0.1]": 1,
    "imp[rewind=none]": 3,  # Train Prune(.1) Train Prune(.2) Train
    "imp[rewind=none,rate=0.2]": 2,
    "magnitude": 2,
    "magnitude[schedule=ladder]": 2,
    "magnitude[schedule=cubic]": 2,
    "magnitude-init": 1,
    "heads": 2,
    "random-pruning": 1,
    "random-pruning[of=magnitude]": 2,
    "random-reinit": 1,
    "random-reinit[of=magnitude]": 1,
    "layer-shuffle": 1,
    "layer-shuffle[of=magnitude]": 1,
}


@pytest.fixture(scope="module")
def registry():
    return Registry()


def names(plan):
    return [cell.method.label for cell in plan.cells]


def phases(plan, label):
    return [node.phase for cell in plan.cells if cell.method.label == label for node in cell.leaf.path()]


@pytest.mark.parametrize("text", EXPECTED)
def test_the_trainings_of_every_built_in_method(registry, text):
    sparsity = 0.2 if Method(text, registry).prunes else 0.0
    assert final_trainings([step.phase for step in Method(text, registry).steps(sparsity)]) == EXPECTED[text]


def test_no_built_in_method_is_left_out(registry):
    built_in = {name for name, [entry] in registry.entries("strategies").items() if entry.plugin.origin == "built in"}
    assert built_in == {text.partition("[")[0] for text in EXPECTED}


def test_the_phases_of_a_multiple_of_the_training(registry):
    for text, lengths in {"2": [1, 1], "0.5": [0.5], "2.5": [1, 1, 0.5], "2.1": [1, 1, 0.1], "3.0": [1, 1, 1]}.items():
        method = Method(f"dense[trainings={text}]", registry)
        assert [step.phase for step in method.steps(0.0)] == [Train(length=length) for length in lengths]
        assert method.label == f"dense[trainings={text.removesuffix('.0')}]"
    assert Method("dense[trainings=1.0]", registry).label == "dense"


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e-12"])
def test_a_number_of_trainings_out_of_range_is_an_error(registry, text):
    with pytest.raises(PrunebenchError, match="expected a number above 0"):
        registry.strategy(f"dense[trainings={text}]")


def test_the_dense_run_of_equal_training_is_planned_by_itself(registry):
    plan = plan_of(registry, ["magnitude", "heads", "imp"], (0.1, 0.2))
    assert names(plan) == ["dense", "dense[trainings=2]", *["magnitude"] * 2, *["heads"] * 2, *["imp"] * 2]
    assert phases(plan, "dense[trainings=2]") == [Train(), Train()]
    # dense 1, its second training 1, magnitude 2, heads 2, IMP 2.
    assert trainings(plan) == 8


def test_it_shares_the_dense_training_and_costs_one_more(registry):
    plan = plan_of(registry, ["magnitude"], (0.5,))
    dense, equal, magnitude = (cell.leaf for cell in plan.cells)
    assert equal.path()[0] is dense is magnitude.path()[0]
    assert equal.parent is dense and equal.scored
    todo = jobs.jobs_to_run(plan, Contents())
    assert counting.count(plan, todo, Contents()).trainings == 3
    only_imp = plan_of(registry, ["imp", "random-pruning", "random-reinit", "magnitude-init"], (0.5,))
    assert not [name for name in names(only_imp) if name.startswith("dense[")]


def test_every_number_at_any_level_once(registry):
    plan = plan_of(registry, ["imp[rewind=none]", "magnitude"], (0.1, 0.3))
    # At 0.1 two trainings as for magnitude, at 0.3 four; three are no method's.
    assert [name for name in names(plan) if name.startswith("dense")] == [
        *("dense", "dense[trainings=2]", "dense[trainings=4]"),
    ]
    # Dense and three more in a row, IMP's three, magnitude's two.
    assert trainings(plan) == 4 + 3 + 2


def test_tasks_have_the_numbers_of_their_own_levels(registry):
    other = EXPERIMENT.model_copy(update={"task": "mrpc"})
    plan = compile_plan(
        [EXPERIMENT, other], ["imp[rewind=none]"], {"rte": (0.1,), "mrpc": (0.2,)}, registry, Location()
    )
    references = {
        (cell.leaf.experiment.task, cell.method.label) for cell in plan.cells if cell.method.strategy == "dense"
    }
    assert references == {
        *(("rte", "dense"), ("rte", "dense[trainings=2]")),
        *(("mrpc", "dense"), ("mrpc", "dense[trainings=3]")),
    }


def test_one_that_was_asked_for_is_not_planned_twice(registry):
    plan = plan_of(registry, ["magnitude", "dense[trainings=2]", "dense[trainings=0.5]"], (0.5,))
    assert names(plan) == ["dense", "magnitude", "dense[trainings=2]", "dense[trainings=0.5]"]
    assert {cell.sparsity for cell in plan.cells if cell.method.strategy == "dense"} == {0.0}


def test_the_lengths_of_trainings_count(tmp_path):
    file = tmp_path / "longer.py"
    file.write_text(
        "from dataclasses import dataclass\nfrom prunebench import *\n"
        "@dataclass(frozen=True)\nclass L:\n    name = 'longer'\n    unit = 'weight'\n"
        "    def recipe(self, sparsity):\n        return [Train(), Prune(sparsity), Train(length=1.5)]\n"
        "    def score(self, ctx):\n        return {n: w.abs() for n, w in ctx.weights.items()}\n"
        "@hookimpl\ndef prunebench_strategies():\n    return [L]\n"
    )
    plan = plan_of(Registry([file]), ["longer"], (0.5,))
    assert phases(plan, "dense[trainings=2.5]") == [Train(), Train(), Train(length=0.5)]


def test_cells_of_a_store_know_which_dense_run_is_which(registry):
    cells = [cell.to_cell() for cell in plan_of(registry, ["magnitude"], (0.5,)).cells]
    assert [(cell.label, cell.is_dense, cell.is_plain_dense) for cell in cells] == [
        ("dense", True, True),
        ("dense[trainings=2]", True, False),
        ("magnitude", False, False),
    ]
    assert [len(cell.trainings) for cell in cells] == [1, 2, 2]


def test_the_part_of_a_plan_that_some_cells_need(registry):
    whole = plan_of(registry, ["magnitude", "imp"], (0.1,))
    keys = {cell.method.label: [node.key for node in cell.leaf.path()] for cell in whole.cells}
    part = restrict(whole, [cell for cell in whole.cells if cell.method.label in ("dense", "magnitude")])
    assert names(part) == ["dense", "magnitude"]
    assert {node.key for node in part.nodes()} == {*keys["dense"], *keys["magnitude"]}
    assert trainings(part) == 2
