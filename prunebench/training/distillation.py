"""Distillation: a training also learns the outputs of a teacher, a model of the same shape."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.models import layer_skips
from prunebench.models.fast import first_token
from prunebench.recipes.inputs import Teacher
from prunebench.training.callbacks import TrainingCallback


class TeacherModel:
    """A copy of `model` with `weights`, in evaluation mode. It must be made while the model is whole.

    It computes each batch anew, which takes about a third of the time of a step: logits depend on the batch, so that
    those of an earlier epoch would give other numbers (`tests/bench/README.md`).
    """

    def __init__(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        self.model: Any = copy.deepcopy(model).eval().requires_grad_(False)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(weights[name])
        # The model may skip layers that are pruned; those of the teacher are not.
        layer_skips.skip_zero_layers(self.model)

    def __call__(self, batch: Mapping[str, Tensor], hidden_states: bool) -> Any:
        """The outputs for a batch, whose labels are left out, without a graph."""
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        # Without hidden states it computes what the classifier reads.
        with torch.no_grad(), contextlib.nullcontext() if hidden_states else first_token.only():
            return self.model(**inputs, output_hidden_states=hidden_states)


class Distillation(TrainingCallback):
    """Replaces the loss by (1 − w)·loss + w·T²·KL(teacher ‖ student), for the temperature T (Hinton et al. 2015)."""

    def __init__(self, teacher: TeacherModel, options: Teacher) -> None:
        self.options = options
        self.hidden_states = options.hidden > 0
        self.teacher = teacher

    def loss(self, loss: Tensor, outputs: Any, batch: Mapping[str, Tensor]) -> Tensor:
        expected = self.teacher(batch, self.hidden_states)
        weight = self.options.weight
        result = (1 - weight) * loss + weight * self._divergence(outputs.logits.float(), expected.logits.float())
        if self.hidden_states:
            result = result + self.options.hidden * _hidden_loss(outputs, expected, batch["attention_mask"])
        return result

    def _divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The mean over the examples, from logits of shape (batch, labels)."""
        if student.shape[-1] == 1:
            return functional.mse_loss(student, teacher)
        temperature = self.options.temperature
        divergence = functional.kl_div(
            functional.log_softmax(student / temperature, dim=-1),
            functional.log_softmax(teacher / temperature, dim=-1),
            reduction="batchmean",
            log_target=True,
        )
        return temperature**2 * divergence


def _hidden_loss(student: Any, teacher: Any, attention_mask: Tensor) -> Tensor:
    """The mean squared difference of the hidden states after each layer, over all tokens that are not padding."""
    tokens = attention_mask.bool()
    pairs = list(zip(student.hidden_states[1:], teacher.hidden_states[1:], strict=True))
    total = sum(functional.mse_loss(own[tokens].float(), other[tokens].float()) for own, other in pairs)
    return torch.as_tensor(total / len(pairs))
