"""Phases that a plugin brings along: planned, run, repeated and recorded like built-in ones."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import torch
from execution.runs import DyingExecutor, records_of
from plugin_files import plugin_file

from prunebench import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.pruning import masks

PHASES = """
import copy
from dataclasses import dataclass
from typing import ClassVar
import torch
from prunebench import Phase, Prune, Rewind, Train, hookimpl

@dataclass(frozen=True)
class Noise(Phase):
    changes_weights: ClassVar[bool] = True
    std: float = 0.0

    def apply(self, ctx):
        generator = ctx.generator("noise")
        with torch.no_grad():
            for name in ctx.prunable.prunable:
                weight = ctx.model.get_parameter(name)
                weight += self.std * torch.randn(weight.shape, generator=generator)

@dataclass(frozen=True)
class Flip(Phase):
    draws_mask: ClassVar[bool] = True
    unfinished: ClassVar[bool] = True

    def apply(self, ctx):
        ctx.mask = {name: keep.flip(0) for name, keep in ctx.mask.items()}

@dataclass(frozen=True)
class Again(Phase):
    trains: ClassVar[bool] = True

    def apply(self, ctx):
        ctx.train()

@dataclass(frozen=True)
class Constant(Phase):
    ends_recipe: ClassVar[bool] = True

    def apply(self, ctx):
        ctx.network = copy.deepcopy(ctx.model)
        with torch.no_grad():
            ctx.network.classifier.weight.zero_()
            ctx.network.classifier.bias.copy_(torch.tensor([0.0, 1.0]))

@dataclass(frozen=True)
class Wrong(Phase):
    trains: ClassVar[bool] = True
    changes_weights: ClassVar[bool] = True
    what: str = ""

    def apply(self, ctx):
        WRONG

@hookimpl
def prunebench_phases():
    return [Noise, Flip, Again, Constant, Wrong]

@dataclass(frozen=True)
class Mine:
    name: ClassVar[str] = "mine"
    unit: ClassVar[str] = "weight"
    kind: str = ""

    def recipe(self, sparsity):
        start = [Train(), Prune(sparsity), Rewind()]
        return {
            "plain": [*start, Train()],
            "still": [*start, Noise(0.0), Train()],
            "noise": [*start, Noise(0.05), Train()],
            "flip": [*start, Flip(), Train()],
            "again": [*start, Again()],
            "constant": [*start, Train(), Constant()],
            "wrong": [*start, Wrong(self.kind)],
        }[self.kind]

    def score(self, ctx):
        return {name: weight.abs() for name, weight in ctx.weights.items()}

@hookimpl
def prunebench_strategies():
    return [Mine]
"""


@pytest.fixture
def mine(run, tmp_path):
    """Runs `mine` with these kinds of recipes; returns the store, the plan, and the records by kind."""

    def run_kinds(*kinds, wrong="pass", store="store", **options):
        file = plugin_file(tmp_path, text=PHASES.replace("WRONG", wrong))
        strategies = ",".join(f"mine[kind={kind}]" for kind in kinds)
        results, plan, report = run(f"magnitude,{strategies}", plugins=[file], store=store, epochs="1", **options)
        return results, plan, report

    return run_kinds


def logits_by_kind(store, plan):
    return {
        cell.method.options["kind"]: store.logits(cell.leaf.key)["validation"]
        for cell in plan.cells
        if "kind" in cell.method.options
    }


def test_phases_that_change_nothing_leave_every_bit(mine):
    """Noise of 0, and a training under another name."""
    store, plan, report = mine("plain", "still", "again", "noise")
    assert not report.failures
    logits = logits_by_kind(store, plan)
    assert np.array_equal(logits["still"], logits["plain"])
    assert np.array_equal(logits["again"], logits["plain"])
    assert not np.array_equal(logits["noise"], logits["plain"])
    keys = {cell.leaf.key for cell in plan.cells}
    assert len(keys) == len(plan.cells), "other phases, other keys"


def test_a_phase_draws_a_mask_that_is_kept_in_training(mine):
    store, plan, _ = mine("flip", keep=True)
    cell = next(cell for cell in plan.cells if cell.method.strategy == "mine")
    [pruning] = [node for node in cell.leaf.path() if node.strategy]
    found = store.load("masks", pruning.key, masks.unpack)
    weights = store.load("models", cell.leaf.key, safetensors.torch.load)
    for name, keep in found.items():
        assert not weights[name][~keep.flip(0)].any()
        assert weights[name][keep.flip(0)].ne(0).all()
    assert [node for node in cell.leaf.path() if store.has("masks", node.key)] == [pruning], "it is drawn again"
    record = store.record(cell.leaf.key)
    assert record.checks["count_exact"] and record.checks["pruned_weights_zero"]


def test_a_phase_that_ends_a_recipe_chooses_the_model_that_is_scored(mine):
    store, plan, _ = mine("constant")
    logits = logits_by_kind(store, plan)["constant"]
    assert torch.tensor(logits).eq(torch.tensor([0.0, 1.0])).all()


def test_the_source_of_a_phase_is_in_its_keys(mine):
    _, before, _ = mine("plain", "noise")
    _, after, _ = mine("plain", "noise", wrong="pass  # edited")
    pairs = zip(before.cells, after.cells, strict=True)
    changed = {cell.method.label: cell.leaf.key != other.leaf.key for cell, other in pairs}
    assert changed["mine[kind=noise]"] and not changed["magnitude"]
    entries = records_of(*mine("plain", "noise")[:2])["mine[kind=noise]", 0.2, 0].phases
    assert [("code" in entry.fields, entry.phase) for entry in entries[3:]] == [(True, "Noise"), (False, "Train")]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ctx.mask = {}", "phase 'Wrong' changed the mask (such a phase declares draws_mask = True)"),
        ("ctx.network = torch.nn.Linear(1, 1)", "phase 'Wrong' set ctx.network"),
        ("pass", "phase 'Wrong' says that it trains, and did not"),
        ("raise ValueError('no')", "phase 'Wrong' raised ValueError: no (mine.py, line"),
        ("ctx.prune(0.5)", "this phase cannot prune here"),
    ],
)
def test_a_phase_does_what_it_declares_or_fails_alone(mine, code, message):
    store, plan, report = mine("plain", "wrong", wrong=code)
    assert [reason for reason in report.failures.values() if message in reason]
    done = {label for (label, _, _), record in records_of(store, plan).items() if record}
    assert done == {"dense", "dense[trainings=2]", "magnitude", "mine[kind=plain]"}


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("draws_mask: ClassVar[bool] = True", "phase 'Noise' draws a mask and changes weights"),
        ("apply = Phase.apply", "phase 'Noise' has no apply"),
    ],
)
def test_declarations_are_checked_when_a_plugin_is_loaded(tmp_path, declaration, message):
    text = PHASES.replace("    std: float = 0.0\n", f"    std: float = 0.0\n    {declaration}\n")
    if "apply" in declaration:
        text = text.replace(
            "    def apply(self, ctx):\n        generator", "    def other(self, ctx):\n        generator"
        )
    with pytest.raises(PrunebenchError, match=message):
        Registry([plugin_file(tmp_path, text=text)]).entries("phases")


def test_what_a_phase_did_is_repeated_after_a_worker_has_died(mine):
    whole, plan, _ = mine("noise", "flip", store="whole")
    store, _, report = mine(
        "noise", "flip", store="split", executor=DyingExecutor(lambda job, times: not job.resumes and times < 2)
    )
    assert not report.failures
    for kind, logits in logits_by_kind(store, plan).items():
        assert np.array_equal(logits, logits_by_kind(whole, plan)[kind]), kind
