"""Trainings that learn from the dense model of the same seed: planned once, stored, resumed, and always named."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import torch
from execution.runs import DyingExecutor, records_of

from prunebench import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.training import distillation


def test_the_teacher_is_the_dense_run_of_the_same_seed(run, monkeypatch):
    taught = []
    real = distillation.TeacherModel.__init__

    def spy(self, model, weights):
        taught.append({name: tensor.clone() for name, tensor in weights.items()})
        real(self, model, weights)

    monkeypatch.setattr(distillation.TeacherModel, "__init__", spy)
    store, plan, report = run("magnitude[teacher=dense],magnitude", seeds="2", keep=True)
    assert not report.failures
    assert len(taught) == 2
    dense = [
        store.load("models", cell.leaf.key, safetensors.torch.load)
        for cell in plan.cells
        if cell.method.label == "dense"
    ]
    for weights in dense:
        assert any(all(torch.equal(each[name], tensor) for name, tensor in weights.items()) for each in taught)
    logits = {cell.method.label: store.logits(cell.leaf.key)["validation"] for cell in plan.cells if cell.sparsity}
    assert not np.array_equal(logits["magnitude"], logits["magnitude[teacher=dense]"])


def test_the_dense_training_is_shared_and_part_of_the_cost(run):
    """The teacher of a method that never trains the dense model itself is a training of its own, and counts once."""
    store, plan, report = run("magnitude[teacher=dense],magnitude-init[teacher=dense],dense")
    assert not report.failures
    cells = {cell.method.label: cell for cell in plan.cells}
    assert sum(record.steps > 0 for record in store.records()) == 4, "two of the dense model, and each method's own"
    dense = cells["dense"].leaf.key
    for label in ("magnitude[teacher=dense]", "magnitude-init[teacher=dense]"):
        trainings = cells[label].to_cell().trainings
        assert len(trainings) == 2 and trainings[0] == dense, label


def test_a_teacher_is_made_again_when_its_weights_are_gone(run):
    """A second method below a store whose transient weights have been removed."""
    whole, _, _ = run("magnitude-init[teacher=dense]", store="whole")
    run("dense", store="parts")
    store, plan, report = run("magnitude-init[teacher=dense]", store="parts")
    assert not report.failures
    [cell] = [cell for cell in plan.cells if cell.sparsity]
    assert np.array_equal(store.logits(cell.leaf.key)["validation"], whole.logits(cell.leaf.key)["validation"])


def test_a_method_without_its_teacher_fails_alone(run):
    """The worker dies of the dense training, whose job begins with a training at once."""
    dies = DyingExecutor(lambda job, times: [node.phase["phase"] for node in job.path] == ["Train"])
    store, plan, report = run("magnitude-init[teacher=dense],magnitude-init", executor=dies)
    states = {label: record is not None for (label, _, _), record in records_of(store, plan).items()}
    assert states == {"dense": False, "magnitude-init[teacher=dense]": False, "magnitude-init": True}
    assert list(report.failures) == ["rte, seed 0, dense: Train"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imp[teacher=bert]", "unknown teacher 'bert'"),
        ("imp[teacher_weight=0.5,teacher_temperature=3]", "teacher_temperature=3 needs a teacher"),
        ("imp[teacher=dense,teacher_weight=2]", "a teacher has weight 2.0"),
        ("imp[teacher=dense,teacher_weight=x]", "bad teacher_weight 'x'"),
        ("dense[teacher=dense]", "no training of the recipe has one"),
        ("random-pruning[teacher=dense]", "takes no option 'teacher'"),
    ],
)
def test_bad_teachers_are_one_line(text, message):
    with pytest.raises(PrunebenchError) as error:
        Method(text, Registry()).steps(0.5)
    assert message in str(error.value)


def test_controls_have_the_teacher_of_their_method():
    method = Method("random-pruning[of=imp[teacher=dense]]", Registry())
    last = method.steps(0.2)[-1].phase
    assert last.teacher is not None
    assert method.info.label == "random-pruning[of=imp[teacher=dense]]"


OWN = """
import torch
from dataclasses import dataclass
from prunebench import Prune, Teacher, Train, TrainingCallback, hookimpl

@dataclass(frozen=True)
class Plain:
    name = "plain"
    unit = "weight"
    weight = 0.5

    def recipe(self, sparsity):
        return [Prune(sparsity), Train(callback=True, TEACHER)]

    def score(self, ctx):
        return {name: weight.abs() for name, weight in ctx.weights.items()}

    def training(self, ctx):
        return TrainingCallback()

class Own(Plain):
    name = "own"
    weight = 0.0

    def training(self, ctx):
        return Lesson(ctx)

class Lesson(TrainingCallback):
    def __init__(self, ctx):
        self.ctx = ctx

    def loss(self, loss, outputs, batch):
        taught = self.ctx.teacher(batch)
        assert taught.hidden_states is None and not taught.logits.requires_grad
        every = self.ctx.teacher(batch, hidden_states=True)
        tokens = tuple(batch["input_ids"].shape)
        assert [tuple(each.shape[:2]) for each in every.hidden_states] == [tokens] * len(every.hidden_states)
        assert torch.allclose(every.logits, taught.logits, atol=1e-5)
        divergence = torch.nn.functional.kl_div(
            torch.log_softmax(outputs.logits / 2.0, dim=-1),
            torch.log_softmax(taught.logits / 2.0, dim=-1),
            reduction="batchmean",
            log_target=True,
        )
        return (1 - 0.5) * loss + 0.5 * (2.0**2 * divergence)

@hookimpl
def prunebench_strategies():
    return [Plain, Own]
"""


def test_a_method_can_distil_by_itself(run, tmp_path):
    """The built-in loss has weight 0, and the method adds the same loss: the same bits as with the built-in one."""
    file = tmp_path / "own.py"
    file.write_text(OWN.replace("TEACHER", "teacher=Teacher(weight=self.weight)"))
    store, plan, report = run("plain,own", plugins=[file])
    assert not report.failures
    logits = {cell.method.label: store.logits(cell.leaf.key)["validation"] for cell in plan.cells}
    assert np.array_equal(logits["own"], logits["plain"])
    untaught = tmp_path / "untaught.py"
    untaught.write_text(OWN.replace("TEACHER", ""))
    other, again, report = run("plain", plugins=[untaught], store="other")
    [cell] = [cell for cell in again.cells if cell.sparsity]
    assert not np.array_equal(other.logits(cell.leaf.key)["validation"], logits["plain"])


def test_a_method_that_asks_for_a_teacher_that_is_not_there_fails_alone(run, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(OWN.replace("TEACHER", ""))
    store, plan, report = run("plain,own", plugins=[file])
    [reason] = report.failures.values()
    assert reason.startswith("strategy 'own': there is no teacher here")
    states = {label: record is not None for (label, _, _), record in records_of(store, plan).items()}
    assert not states["own"] and states["plain"]
