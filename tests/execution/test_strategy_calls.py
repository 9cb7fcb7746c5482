"""What a strategy is given and may do: its scores, its masks, and the faults that are reported under its name."""

from __future__ import annotations

import builtins
import functools
import re
import types
import warnings

import pytest
import torch
from execution.runs import records_of
from plugin_files import PLUGIN, plugin_file

from prunebench.errors import PrunebenchError
from prunebench.execution import strategy_calls
from prunebench.execution.executors.base import Request
from prunebench.execution.executors.local import ProcessExecutor
from prunebench.hooks.registry import Registry
from prunebench.planning import jobs
from prunebench.pruning import masks
from prunebench.recipes.axes import Selection
from prunebench.tasks.task import load_data

FAULTY = """
from dataclasses import dataclass
from prunebench import *

@dataclass(frozen=True)
class Mine:
    name = "mine"
    unit = "weight"
    fault: str = ""
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Rewind()] if self.fault == "ends" else [Train(), Prune(sparsity), Train()]
    def score(self, ctx):
        if self.fault == "moves":
            for weight in ctx.weights.values():
                weight.mul_(2)
        if self.fault == "initial":
            for weight in ctx.initial.values():
                weight.zero_()
        if self.fault == "nothing":
            return None
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Mine]
"""


@pytest.fixture
def plugin(tmp_path):
    """A plugin file with a strategy that does the fault that it is told to do."""
    path = tmp_path / "mine.py"
    path.write_text(FAULTY)
    return path


def test_a_recipe_that_ends_in_a_rewind_is_scored_once(planned, plugin):
    plan, store, finish = planned("mine[fault=ends]", plugins=[plugin])
    assert finish().done == 2
    record = store.record(plan.cells[-1].leaf.key)
    assert record.steps == 0
    assert record.sparsity.pruned == masks.pruned_count(0.2, 16384)
    assert jobs.jobs_to_run(plan, store) == []


def test_a_plugin_that_is_edited_between_plan_and_run_does_not_run(planned, plugin):
    _, _, finish = planned("mine", plugins=[plugin])
    plugin.write_text(FAULTY.replace("weight.abs()", "-weight.abs()"))
    [reason] = finish().failures.values()
    assert "edited after it was planned" in reason


def test_score_must_not_change_the_weights(planned, plugin):
    _, _, finish = planned("mine[fault=moves]", plugins=[plugin])
    [reason] = finish().failures.values()
    assert "changed weights: " in reason


def test_scores_of_none_are_reported(planned, plugin):
    _, _, finish = planned("mine[fault=nothing]", plugins=[plugin])
    [reason] = finish().failures.values()
    assert "gave None as scores" in reason


def test_a_strategy_cannot_change_theta0(planned, plugin):
    """`ctx.initial` is a copy: the next rewind is still to the file."""
    plan, store, finish = planned("mine[fault=initial],imp", plugins=[plugin])
    assert not finish().failures
    assert store.record(plan.cells[-1].leaf.key).checks["rewound_exactly"] is True


SPY = """
from dataclasses import dataclass
from prunebench import Prune, Train, hookimpl
import builtins
import functools

@dataclass(frozen=True)
class Spy:
    name = "spy"
    unit = "weight"
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]
    def score(self, ctx):
        builtins.weights_of_spy = {name: weight.clone() for name, weight in ctx.weights.items()}
        builtins.examples_of_spy = [ids for batch in ctx.batches() for ids in batch["input_ids"].tolist()]
        builtins.initial_of_spy = {name: weight.clone() for name, weight in ctx.initial.items()}
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Spy]
"""


def test_a_strategy_scores_the_weights_after_the_last_step(run, weights_of_trainings, tmp_path):
    """The released code scored weights that were one step old."""
    (tmp_path / "spy.py").write_text(SPY)
    run("spy", "0.3", plugins=[tmp_path / "spy.py"])
    start, trained = weights_of_trainings[0]
    for name, weight in builtins.weights_of_spy.items():
        assert torch.equal(weight, trained[name])
        assert torch.equal(builtins.initial_of_spy[name], start[name])
    assert len(builtins.examples_of_spy) == 48, "the training split has 48 rows, the evaluated one 24"


RAISES = """
from dataclasses import dataclass
from prunebench import Prune, Train, hookimpl

@dataclass(frozen=True)
class Raises:
    name = "raises"
    unit = "weight"
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]
    def score(self, ctx):
        return {name: 1 / 0 for name in ctx.weights}

@hookimpl
def prunebench_strategies():
    return [Raises]
"""


def test_a_strategy_that_raises_fails_only_its_own_cells(run, tmp_path):
    file = tmp_path / "raises.py"
    file.write_text(RAISES)
    store, plan, report = run("raises,magnitude", "0.2", plugins=[file])
    records = records_of(store, plan)
    assert records["dense", 0.0, 0] is not None
    assert records["magnitude", 0.2, 0] is not None
    assert records["raises", 0.2, 0] is None
    [(where, reason)] = report.failures.items()
    assert where == "rte, seed 0, raises 0.2: Train Prune(0.2)"
    assert reason == "strategy 'raises' raised ZeroDivisionError: division by zero (raises.py, line 12)"
    assert report.skipped == 1
    leaf = next(cell.leaf.key for cell in plan.cells if cell.method.label == "raises")
    assert store.failure(leaf).reason == reason
    assert not list((store.backend.folder / "weights").glob("*"))
    file.write_text(RAISES.replace("1 / 0", "ctx.weights[name].abs()"))
    store, plan, report = run("raises,magnitude", "0.2", plugins=[file])
    assert not report.failures
    assert all(record is not None for record in records_of(store, plan).values())


SEARCHES = """
import builtins, gc
import numpy as np
import torch

def search(ctx):
    for value in gc.get_objects():
        # isinstance would import what lazy modules stand for.
        if type(value) in (torch.Tensor, np.ndarray) and value.ndim == 1 and len(value) > 0:
            builtins.labels_of_search.append(value.tolist())
        elif type(value) in (list, tuple) and value and isinstance(value[0], int | float):
            builtins.labels_of_search.append(list(value))
    return {name: weight.abs() for name, weight in ctx.weights.items()}
"""


@pytest.mark.parametrize("task", ["rte", "stsb"])
def test_the_labels_of_the_evaluation_split_are_not_in_memory_while_a_strategy_runs(run, tmp_path, tiny_glue, task):
    """The training labels are, which shows that the search finds labels."""
    builtins.labels_of_search = []
    file = plugin_file(tmp_path, score="search(ctx)")
    file.write_text(SEARCHES + file.read_text())
    _, _, report = run("mine", plugins=[file], tasks=task, epochs="1")
    assert not report.failures
    data = load_data(Registry().get("tasks", task), str(tiny_glue))
    for split, is_expected in ((data.train, True), (data.evaluations["validation"], False)):
        labels = torch.tensor(split.labels).tolist()
        assert len(set(labels)) > 1
        assert (labels in builtins.labels_of_search) == is_expected


SPEAKS = PLUGIN.replace(
    "        return SCORE",
    """        import warnings
        print("I score")
        warnings.warn("I warn")
        return SCORE""",
)


@pytest.mark.parametrize("executor", [None, lambda: ProcessExecutor(Request(2))], ids=["here", "processes"])
def test_what_a_strategy_prints_and_warns_is_shown_once_under_its_name(run, tmp_path, capfd, executor):
    file = plugin_file(tmp_path, text=SPEAKS)
    words = {"plugins": [file], "seeds": "2", "sparsities": "0.2", "epochs": "1"}
    if executor is None:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            _, _, report = run("mine", **words)
    else:
        _, _, report = run("mine", **words, executor=executor())
    assert not report.failures
    out, err = capfd.readouterr()
    line = SPEAKS.splitlines().index('        warnings.warn("I warn")') + 1
    said = [each for each in err.splitlines() if "I " in each]
    assert said == ["mine: I score", f"mine: UserWarning: I warn (mine.py, line {line})"]
    assert "I " not in out


# Strategies that prune by themselves

MOVES = """
from dataclasses import dataclass
from prunebench import Prune, Train, hookimpl
import torch

@dataclass(frozen=True)
class Moves:
    '''Removes the first weights of each row and doubles those that stay.'''
    name = "moves"
    unit = "weight"
    wrong: str = ""
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Train()]
    def prune(self, ctx, sparsity):
        mask = {name: keep.clone() for name, keep in ctx.mask.items()}
        for name, weight in ctx.weights.items():
            mask[name][:, : int(sparsity * weight.shape[1])] = False
            weight.mul_(2)
        if self.wrong == "count":
            mask[name][-1, -1] = False
        if self.wrong == "names":
            del mask[name]
        return mask

@hookimpl
def prunebench_strategies():
    return [Moves]
"""


def test_training_continues_from_the_weights_that_a_strategy_has_moved(run, weights_of_trainings, tmp_path):
    (tmp_path / "moves.py").write_text(MOVES)
    store, plan, _ = run("moves", "0.25", plugins=[tmp_path / "moves.py"])
    (_, trained), *_, (before, _) = weights_of_trainings
    for name, weight in before.items():
        if "encoder" in name and "weight" in name and weight.dim() == 2:
            cut = weight.shape[1] // 4
            assert not weight[:, :cut].any()
            assert torch.equal(weight[:, cut:], 2 * trained[name][:, cut:])
        else:
            assert torch.equal(weight, trained[name])
    assert store.record(plan.cells[-1].leaf.key).sparsity.pruned == 4096


@pytest.mark.parametrize(
    ("wrong", "message"), [("count", "'moves' pruned 4097 units .expected 4096"), ("names", "other names or shapes")]
)
def test_a_mask_of_a_wrong_size_or_shape_is_refused(run, tmp_path, wrong, message):
    (tmp_path / "moves.py").write_text(MOVES)
    _, _, report = run(f"moves[wrong={wrong}]", "0.25", plugins=[tmp_path / "moves.py"])
    [reason] = report.failures.values()
    assert re.search(message, reason)


def test_a_mask_that_brings_units_back_is_refused():
    before, after = {"a": torch.tensor([True, True, False])}, {"a": torch.tensor([True, False, True])}
    strategy, exactly_one = types.SimpleNamespace(name="s"), functools.partial(masks.count_fault, 1)
    with pytest.raises(PrunebenchError, match="brought pruned units back"):
        strategy_calls.checked_mask(strategy, after, before, exactly_one)
    assert strategy_calls.checked_mask(strategy, after, before, exactly_one, regrows=True).keys() == before.keys()


def test_a_mask_that_is_changed_in_place_changes_no_other():
    def prune(ctx, sparsity):
        ctx.mask["a"][0] = False
        return ctx.mask

    mask = {"a": torch.tensor([True, True, False])}
    context = types.SimpleNamespace(mask=mask, selection=Selection(), budget=None, count=lambda sparsity: 2)
    answer = strategy_calls.prune_with(types.SimpleNamespace(name="s", prune=prune), context, 2 / 3)
    assert answer["a"].tolist() == [False, True, False]
    assert mask["a"].tolist() == [True, True, False]
