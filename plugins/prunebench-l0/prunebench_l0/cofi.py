"""CoFi: L0 gates on layers, heads and neurons at once, with distillation from the dense model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from prunebench import Compact, Phase, Prune, PrunebenchError, Teacher, Train, TrainingCallback, Unit
from prunebench_l0.gates import GateOptions, Gates

# The dense model is there, and only the callback adds to the loss.
TEACHER = Teacher(weight=0.0)


@dataclass(frozen=True)
class CoFi:
    """Learn gates on attentions, feed-forward networks, heads and neurons, train on, and distil (Xia et al. 2022).

    A head gives z_MHA · z_head times its output, a neuron z_FFN · z_int, so that one gate can prune a whole attention
    or feed-forward network (section 3.1). The Lagrangian leads the expected share of the `budget` that is pruned to the
    sparsity (see `Gates`). Both trainings learn the dense model, in place of the labels (section 3.2):

        distil · KL(teacher ‖ student) · T² + (1 − distil) · Σ_i MSE(W H_s^m(i), H_t^i)

    i runs over four layers of the teacher at even intervals. m(i) is the layer of the student, among those with a
    feed-forward network, whose hidden states are nearest to the teacher's in that batch. W is learned, and the identity
    at first. T is `temperature`.

    Left out are gates on hidden dimensions: without some of them, layer norms would compute with other means, and the
    smaller model would not be the masked one. Shortened: the paper has 20 epochs with gates and 20 after them; here
    both are one training by the protocol, after the dense one. `reach` and `multiplier_reach` say how far log α and the
    multipliers can move in it; `start` is log α at first, and the target grows during the fraction `warmup`.
    """

    name: ClassVar[str] = "cofi"
    unit: ClassVar[Unit] = "head+neuron"

    budget: str = "parameters"
    reach: float = 30.0
    multiplier_reach: float = 30.0
    start: float = 2.0
    warmup: float = 0.5
    distil: float = 0.5
    temperature: float = 2.0

    def __post_init__(self) -> None:
        Prune(0.5, budget=self.budget)  # raises an error for an unknown budget, as the next line for bad gates
        self.gates()
        if not (0 <= self.distil <= 1 and self.temperature > 0):
            raise PrunebenchError("cofi needs 0 <= distil <= 1 and temperature > 0")

    def gates(self) -> GateOptions:
        return GateOptions(self.reach, self.multiplier_reach, self.start, self.warmup, coarse=True)

    def recipe(self, sparsity: float) -> list[Phase]:
        learned = Train(sparsity, callback=True, budget=self.budget, teacher=TEACHER)
        return [Train(), learned, Train(callback=True, teacher=TEACHER), Compact()]

    def training(self, ctx: Any) -> TrainingCallback:
        # The first of the two trainings begins with a whole model.
        if all(keep.all() for keep in ctx.mask.values()):
            return DistilledGates(ctx, self)
        return Distillation(ctx, self, lambda layer: bool(ctx.mask[f"layer.{layer}.neurons"].any()))


class Distillation(TrainingCallback):
    """The loss of the distillation. `exists` says whether a layer of the student has a feed-forward network now."""

    hidden_states = True

    def __init__(self, ctx: Any, options: CoFi, exists: Callable[[int], bool]) -> None:
        import torch

        self.ctx, self.options, self.exists = ctx, options, exists
        size = next(iter(ctx.weights.values())).shape[1]
        self.transformation = torch.eye(size, device=ctx.device, requires_grad=True)

    def parameters(self) -> list[dict[str, Any]]:
        return [{"params": [self.transformation], "clip": True}]

    def loss(self, loss: Any, outputs: Any, batch: Any) -> Any:
        expected, weight = self.ctx.teacher(batch, hidden_states=True), self.options.distil
        tokens = batch["attention_mask"].bool()
        own, others = ([each[tokens].float() for each in both.hidden_states[1:]] for both in (outputs, expected))
        layers = [layer for layer in range(len(own)) if self.exists(layer)] or list(range(len(own)))
        hidden = layer_loss([own[layer] for layer in layers], taught_layers(others), self.transformation)
        return weight * divergence(outputs.logits, expected.logits, self.options.temperature) + (1 - weight) * hidden


class DistilledGates(Gates):
    """Gates with the same loss. A layer exists while its sampled z_FFN is above 0."""

    hidden_states = True

    def __init__(self, ctx: Any, options: CoFi) -> None:
        super().__init__(ctx, options.gates())
        self.distillation = Distillation(ctx, options, self.exists)

    def parameters(self) -> list[dict[str, Any]]:
        return [*super().parameters(), *self.distillation.parameters()]

    def exists(self, layer: int) -> bool:
        name = f"layer.{layer}.neurons"
        return bool(self.sampled_alone(self.coarse[name].detach(), f"all {name}") > 0)

    def loss(self, loss: Any, outputs: Any, batch: Any) -> Any:
        return super().loss(self.distillation.loss(loss, outputs, batch), outputs, batch)


def taught_layers(hidden: list[Any]) -> list[Any]:
    """Four layers at even intervals, the last one among them, or all where there are fewer: 3, 6, 9 and 12 of 12."""
    number = min(4, len(hidden))
    return [hidden[round(len(hidden) * (i + 1) / number) - 1] for i in range(number)]


def layer_loss(own: list[Any], others: list[Any], transformation: Any) -> Any:
    """Σ_i min_j MSE(H_j Wᵀ, H_i), for hidden states of the student and of the teacher, of shape (tokens, size)."""
    import torch

    mapped = [states @ transformation.T for states in own]
    return sum(torch.stack([(each - other).square().mean() for each in mapped]).min() for other in others)


def divergence(student: Any, teacher: Any, temperature: float) -> Any:
    """T²·KL(teacher ‖ student), the mean over the examples, or the mean squared difference for a regression."""
    from torch.nn import functional

    student, teacher = student.float(), teacher.float()
    if student.shape[-1] == 1:
        return functional.mse_loss(student, teacher)
    logs = [functional.log_softmax(each / temperature, dim=-1) for each in (student, teacher)]
    return temperature**2 * functional.kl_div(*logs, reduction="batchmean", log_target=True)
