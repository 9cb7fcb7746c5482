"""Random recipes that really train: counts, zeros and rewound weights are exact after every phase.

A model of what each phase promises is computed beside the run. Selection by scores is compared with brute force in
`tests/pruning`, so that it is taken from `prunebench.pruning` in this module.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import safetensors.torch
from execution.words import METHODS, Observer, counts, same
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from plugin_files import plugin_file

from prunebench import Cubic
from prunebench.execution.workspace import workspace
from prunebench.hooks.registry import Registry
from prunebench.models.encoder import load
from prunebench.models.families import BERT
from prunebench.models.initialisation import reinitialise
from prunebench.models.loading import model_source
from prunebench.pruning import masks, structures
from prunebench.pruning.budgets import budget_of
from prunebench.pruning.selection import satisfies, select
from prunebench.recipes.phase import final_selection
from prunebench.recipes.schedules import required_cost
from prunebench.training.evaluation import predict

# A run trains the tiny model several times, in 2 steps each. To shrink a word would take minutes.
FEW = settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
numbers = itertools.count()


def repaired(letters, last=""):
    """A word whose phases may follow each other: nothing rewinds to a training that was not, masks stay useful."""
    word = ""
    for letter in [*letters, "P"]:
        if letter == "r" and not set(word) & set("TMVF"):
            continue
        if word.endswith(("L", "S", "G")) and letter == "P":
            word += "T"
        word += letter
    return word + last


def words(alphabet, last=""):
    return st.lists(st.sampled_from(alphabet), min_size=1, max_size=6).map(lambda letters: repaired(letters, last))


@pytest.fixture
def runs(run, tmp_path):
    """Runs methods of `execution.words` in a new store; returns it, the plan, the report and the observer."""
    file = plugin_file(tmp_path, text=METHODS)

    def run_words(labels, sparsity):
        with pytest.MonkeyPatch.context() as patch:
            observer = Observer(patch)
            store, plan, report = run(
                ",".join(labels),
                str(sparsity),
                plugins=[file],
                store=f"store {next(numbers)}",
                keep=True,
                epochs="1",
                batch_size="24",
            )
        return store, plan, report, observer

    return run_words


class Twin:
    """Weights and mask as the phases of a path promise them. The weights are those before the mask is applied."""

    def __init__(self, folder, observer):
        source = model_source(str(folder), Registry())
        self.pm = load(source, BERT, num_labels=2, regression=False, seed=0)
        self.theta0 = self.copy()
        reinitialise(self.pm, 0)
        self.reinitialised = self.copy()
        self.observer = observer

    def copy(self):
        return {name: value.detach().clone() for name, value in self.pm.model.named_parameters()}

    def follow(self, path):
        """Go through the phases, and check each training on the way; returns the weights and the mask at the end."""
        self.weights, self.mask, self.level, self.structure = self.theta0, None, 0.0, structures.WEIGHTS
        first = next((self.observer.trainings[node.key] for node in path if node.phase.trains), None)
        for node in path:
            kind = type(node.phase).__name__
            if node.strategy and self.mask is None:
                self.structure = structures.structure_of(UNITS[node.strategy.partition("[")[0]])
                groups = structures.groups(self.pm, self.structure)
                self.mask = masks.full({name: group.shape for name, group in groups.items()})
            if kind == "Train":
                self.train(node)
            elif kind == "Rewind":
                self.weights = first.steps[node.phase.to][0] if node.phase.to else self.theta0
            elif kind == "Reinit":
                self.weights = self.reinitialised
            elif kind == "PermuteLayers":
                self.weights = {name: self.weights[exchanged(name)] for name in self.weights}
            elif kind == "Prune":
                self.prune(node.phase)
            elif kind == "Shuffle" and self.mask is not None:
                self.shuffle(node)
        return self.masked(), self.mask

    def masked(self):
        keep = self.expanded(self.mask)
        return {name: value.where(keep[name], 0.0) if name in keep else value for name, value in self.weights.items()}

    def expanded(self, mask):
        return structures.expand(mask, structures.groups(self.pm, self.structure), self.pm) if mask else {}

    def budget(self, name):
        return budget_of(self.pm, self.structure, name)

    def prune(self, phase):
        values = {name: (64 * value.double().abs()).round() for name, value in self.masked().items()}
        scores = structures.unit_sums(values, structures.groups(self.pm, self.structure))
        selection, budget, before = phase.selection, self.budget(phase.budget), self.mask
        if budget is None:
            self.mask = select(scores, before, phase.sparsity, selection.scope, selection.pattern)
            assert masks.pruned(self.mask) == selection.count(phase.sparsity, masks.units(before))
        else:
            self.mask = budget.select(scores, before, phase.sparsity)
            check_budget(self.mask, budget, phase.sparsity)
        assert not any((keep & ~before[name]).any() for name, keep in self.mask.items())
        self.level = phase.sparsity

    def shuffle(self, node):
        before, self.mask = self.mask, self.observer.shuffled[node.key]
        pattern, name = node.phase.pattern, final_selection([each.phase for each in node.path()]).budget
        budget = self.budget(name)
        if node.phase.counts == "layer" and (budget is None or not budget.containers):
            assert counts(self.mask) == counts(before)
        elif budget is None:
            assert masks.pruned(self.mask) == masks.pruned(before)
        else:
            check_budget(self.mask, budget, self.level)
        if pattern:
            phase = next(n.phase for n in reversed(node.path()) if type(n.phase).__name__ == "Prune")
            assert satisfies(self.mask, phase.selection.pattern) or not satisfies(before, phase.selection.pattern)

    def train(self, node):
        training, phase = self.observer.trainings[node.key], node.phase
        assert same(training.before, self.masked()), "bit for bit what the phases before it leave"
        assert training.mask is None or same(training.mask, self.mask)
        for step, (weights, mask) in training.steps.items():
            self.check_zeros(weights, mask)
            if phase.callback and phase.sparsity is None:
                assert masks.pruned(mask) == masks.pruned(self.mask)
            elif isinstance(phase.sparsity, Cubic):
                level = phase.sparsity.at(step / len(training.steps))
                assert masks.pruned(mask) == masks.pruned_count(level, masks.units(mask))
        self.weights, mask = training.end
        self.check_zeros(self.weights, mask)
        if phase.level is not None:
            self.level = phase.level
        if phase.callback:
            assert masks.pruned(mask) == masks.pruned_count(self.level, masks.units(mask))
            self.mask = mask
        assert same(mask, self.mask if self.mask is None or mask is not None else None)

    def check_zeros(self, weights, mask):
        for name, keep in self.expanded(mask).items():
            assert not weights[name][~keep].any(), "pruned weights are exactly zero"


UNITS = {"scored": "weight", "moving": "weight", "units": "head+neuron", "everything": "head+neuron+layer"}


def exchanged(name):
    """The name of a parameter in the other one of two layers."""
    return name.replace(".layer.0.", ".layer.x.").replace(".layer.1.", ".layer.0.").replace(".layer.x.", ".layer.1.")


def check_budget(mask, budget, sparsity):
    """The level is reached, and would not be without the last unit, which costs as much as the largest at most."""
    required = required_cost(sparsity, budget.total)
    assert required <= budget.pruned(mask) < required + max(budget.largest(mask), 1)


def check_cells(twin, store, plan):
    """Every stored model, mask and record is what the twin says."""
    for cell in plan.cells:
        path = cell.leaf.path()
        weights, mask = twin.follow(path)
        record = store.record(cell.leaf.key)
        assert same(store.load("models", cell.leaf.key, safetensors.torch.load), weights)
        assert record.checks["count_exact"] and record.checks["pruned_weights_zero"]
        assert record.sparsity.pruned == (masks.pruned(mask) if mask else 0)
        for group, keep in twin.expanded(mask).items():
            assert not weights[group][~keep].any()


@FEW
@given(
    st.data(),
    words("TTPRrILSG"),
    words("TTPRrILSG"),
    st.sampled_from(["global", "layer", "row", "erk", "2:4", "1:4", "4x1", "2x2"]),
    st.integers(1, 99),
)
def test_recipes_of_weights(runs, tiny_bert, data, word, ending, axis, percent):
    """Two recipes with a common beginning, in every scope and along patterns."""
    option = f"scope={axis}" if axis.isalpha() else f"pattern={axis}"
    sparsity = {"2:4": 0.5, "1:4": 0.75}.get(axis, percent / 100)
    common = data.draw(st.integers(0, len(word)))
    labels = {f"scored[word={each},{option}]" for each in (word, repaired(word[:common] + ending[:-1]))}
    store, plan, report, observer = runs(sorted(labels), sparsity)
    assert not report.failures
    check_cells(Twin(tiny_bert, observer), store, plan)


@FEW
@example("TPTSTGTPC", "units", "flops", 33)
@given(
    words("TTPRrILSG", "C"),
    st.sampled_from(["units", "everything"]),
    st.sampled_from(["units", "parameters", "flops"]),
    st.integers(1, 99),
)
def test_recipes_of_compositions(runs, tiny_bert, word, name, budget, percent):
    """Also: the compacted model that is scored has the logits of the masked one, and only its parameters."""
    store, plan, report, observer = runs([f"{name}[word={word},budget={budget}]"], percent / 100)
    assert not report.failures
    twin = Twin(tiny_bert, observer)
    check_cells(twin, store, plan)
    leaf, record = plan.cells[-1].leaf, store.record(plan.cells[-1].leaf.key)
    weights, mask = twin.follow(leaf.path())
    removed = sum(int((~keep).sum()) for keep in twin.expanded(mask).values())
    assert record.parameters.in_model == record.parameters.total - removed
    scene = workspace(leaf.experiment, plan.where, Registry())
    scene.load(weights)
    structures.apply(scene.model, twin.expanded(mask))
    logits = predict(scene.model, scene.evaluations["validation"], precision="fp32", device="cpu")
    assert np.abs(logits - store.logits(leaf.key)["validation"]).max() <= 1e-5


# A callback does not know which training it is in, so that all others of a word with a free one are plain.
moving = words("TPRrIMV", "M") | words("TPRrIMV", "V") | words("TPRrI", "F")


@FEW
@given(moving, st.integers(1, 99))
@example("PMrM", 50)
def test_recipes_with_masks_that_move(runs, tiny_bert, word, percent):
    """Masks drawn anew after every step: units come back, and counts are exact after every step and at the end."""
    store, plan, report, observer = runs([f"moving[word={word}]"], percent / 100)
    assert not report.failures
    check_cells(Twin(tiny_bert, observer), store, plan)


@settings(FEW, max_examples=5)
@given(st.sampled_from(["PM", "TPRM", "V", "TV", "F"]), st.integers(1, 3), st.sampled_from([-1, 1, 7]))
def test_a_wrong_count_is_refused_with_its_step(runs, word, step, more):
    """There are 2 steps; the third mask is the final one. Before it, a free mask has any count."""
    if word == "F":
        step = 3
    _, _, report, _ = runs([f"moving[word={word},wrong={step},more={more}]"], 0.5)
    [reason] = report.failures.values()
    when = "at the end of the training" if step == 3 else f"after step {step} of 2"
    required = masks.pruned_count(Cubic(0.5).at(step / 2) if "V" in word else 0.5, 16384)
    assert f"strategy 'moving' pruned {required + more} units (expected {required}), {when}" in reason
