"""Distillation against the formula of Hinton et al. 2015, computed with another function, and in whole runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import softmax
from training.helpers import train, weights, without_dropout

from prunebench.pruning import structures
from prunebench.recipes.inputs import Teacher
from prunebench.training.callbacks import TrainingCallback
from prunebench.training.distillation import Distillation, TeacherModel


class FirstLoss(TrainingCallback):
    """Remembers the loss of the labels, the final loss and the outputs of the first part."""

    def __init__(self, distillation):
        self.distillation = distillation
        self.hidden_states = distillation.hidden_states
        self.first = None

    def loss(self, loss, outputs, batch):
        result = self.distillation.loss(loss, outputs, batch)
        if self.first is None:
            self.first = loss.item(), result.item(), outputs, batch
        return result


def teacher_of(setting, task="rte"):
    pm, data = setting(task)
    without_dropout(pm.model)
    return pm, data, {name: weight * 1.5 for name, weight in weights(pm).items()}


@pytest.mark.parametrize("options", [Teacher(), Teacher(4.0, 0.9), Teacher(1.0, 0.25, hidden=3.0)])
def test_the_loss_is_the_formula_of_the_paper(setting, options):
    pm, data, taught = teacher_of(setting)
    callback = FirstLoss(Distillation(TeacherModel(pm.model, taught), options))
    train(pm, data, epochs=1, callbacks=[callback])
    labels, loss, outputs, batch = callback.first
    reference, _ = setting()
    with torch.no_grad():
        for name, parameter in reference.model.named_parameters():
            parameter.copy_(taught[name])
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        expected = reference.model.eval()(**inputs, output_hidden_states=True)
    p = softmax(expected.logits / options.temperature, dim=-1).double().numpy()
    q = softmax(outputs.logits.detach() / options.temperature, dim=-1).double().numpy()
    divergence = options.temperature**2 * (p * np.log(p / q)).sum(axis=1).mean()
    total = (1 - options.weight) * labels + options.weight * divergence
    if options.hidden:
        real = batch["attention_mask"].bool().numpy()
        layers = zip(outputs.hidden_states[1:], expected.hidden_states[1:], strict=True)
        squares = [((a.detach().numpy() - b.numpy())[real] ** 2).mean() for a, b in layers]
        total += options.hidden * np.mean(squares)
    assert loss == pytest.approx(total, rel=1e-4)
    assert loss != pytest.approx(labels, rel=1e-2)


def test_scores_are_taught_by_their_squared_difference(setting):
    pm, data, taught = teacher_of(setting, "stsb")
    callback = FirstLoss(Distillation(TeacherModel(pm.model, taught), Teacher(weight=1.0)))
    train(pm, data, epochs=1, callbacks=[callback])
    _, loss, outputs, batch = callback.first
    teacher = callback.distillation.teacher.model
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    difference = (outputs.logits - teacher(**inputs).logits).detach().numpy()
    assert loss == pytest.approx(float((difference**2).mean()), rel=1e-4)


def test_a_student_comes_close_to_its_teacher_and_the_teacher_stays(setting):
    pm, data, taught = teacher_of(setting)
    distillation = Distillation(TeacherModel(pm.model, taught), Teacher(weight=1.0))
    inputs = {name: tensor for name, tensor in data.batch(range(16)).items() if name != "labels"}

    def distance():
        with torch.no_grad():
            return (pm.model.eval()(**inputs).logits - distillation.teacher.model(**inputs).logits).abs().mean().item()

    before = distance()
    train(pm, data, epochs=10, callbacks=[distillation])
    assert distance() < 0.7 * before
    assert all(torch.equal(tensor, taught[name]) for name, tensor in distillation.teacher.model.named_parameters())


def test_a_teacher_has_the_layers_that_its_student_lost(setting):
    """A pruned layer of the model is skipped when the teacher is made from it."""
    pm, data = setting()
    inputs = data.batch(range(8))
    whole = weights(pm)
    labels = inputs.pop("labels")
    with torch.no_grad():
        expected = pm.model.eval()(**inputs).logits
        layer = pm.layers[0].path
        structures.apply(pm.model, {name: torch.zeros_like(each, dtype=torch.bool) for name, each in whole.items()
                                    if name.startswith(f"{layer}.")})  # fmt: skip
        assert not torch.equal(pm.model(**inputs).logits, expected)
    taught = TeacherModel(pm.model, whole)({**inputs, "labels": labels}, hidden_states=True)
    assert torch.equal(taught.logits, expected)
