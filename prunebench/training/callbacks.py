"""What happens while a model trains, beside the training itself: masks that change, losses, snapshots, checkpoints.

The loop calls every callback in the same order at each step:

    loss            adds to, or replaces, the loss of a part of the batch
    after_backward  sees the gradients before the mask is applied to them
    after_step      may return a new mask
    final_mask      after the last step: may return the mask that the model ends with
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.training.resume import State


@dataclass(frozen=True)
class TrainingProgress:
    """`step` of `total` optimiser steps are complete, and `learning_rate` is the rate of the next one."""

    step: int
    total: int
    learning_rate: float


@dataclass(frozen=True)
class Training:
    """A training that is about to begin, as its callbacks see it.

    Attributes:
        total: the number of its optimiser steps.
        state: everything that changes while it runs; `state.step` is the number of complete steps.
        on_whole_model: wraps a function that looks at all parameters of the model between two steps. Without it, the
            word embeddings may have only the rows of the tokens in the training split.
    """

    total: int
    state: State
    on_whole_model: Callable[[Callable[[], Any]], Callable[[], Any]]

    @property
    def progress(self) -> TrainingProgress:
        return TrainingProgress(self.state.step, self.total, float(self.state.schedule.get_last_lr()[0]))


class TrainingCallback:
    """What a method does while a model trains: a context manager that is entered once for each training.

    A subclass defines the methods that it needs; those of this class do nothing. All state of a training belongs into
    the callback, never onto the strategy.

    Attributes:
        hidden_states: whether `loss` needs `outputs.hidden_states`.
    """

    hidden_states: bool = False

    def __enter__(self) -> Self:
        """Called before the optimiser is made, with the model in training mode."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Called after the last step, or when the training fails: remove all hooks here."""

    def parameters(self) -> Iterable[Mapping[str, Any]]:
        """Groups of parameters that are trained too, such as scores or gates, as `torch.optim.AdamW` takes them.

        A group is `{"params": [tensors that require gradients]}`, and may have its own `lr`, which decays as the one of
        the model does. With `"clip": True` its gradients are clipped together with those of the model, under one norm;
        otherwise they are not clipped. Parameters are saved in checkpoints.
        """
        return ()

    def begin(self, training: Training) -> None:
        """Called before the first step, when optimiser and schedule exist."""

    def loss(self, loss: Tensor, outputs: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss that is minimised, in place of the mean `loss` of these examples.

        On a CPU a batch is computed in parts. Each part is weighted by its share of the examples, so that a penalty
        that does not depend on the examples counts once for the batch. `outputs` are those of the transformers model;
        `batch` holds its inputs and `labels`.
        """
        return loss

    def after_backward(self, step: int) -> None:
        """Called once the gradients of the whole batch of `step` (1, 2, …) are there, before masks and clipping.

        The gradients are dense: those of pruned weights are ∂L/∂w at w = 0.
        """

    def after_step(self, step: int) -> Mapping[str, Tensor] | None:
        """The mask from here on, or None to keep it. Called after the optimiser's step."""
        return None

    def final_mask(self) -> Mapping[str, Tensor] | None:
        """The mask that the training ends with, or None to keep it. Called once, after the last step."""
        return None

    def state_dict(self) -> dict[str, Tensor]:
        """The state to save in a checkpoint, beside `parameters()`: tensors by name."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""


class Snapshots(TrainingCallback):
    """Calls a function after each of some steps, when the model is whole."""

    def __init__(self, functions: Mapping[int, Callable[[], None]]) -> None:
        self.functions = functions

    def begin(self, training: Training) -> None:
        self.functions = {step: training.on_whole_model(function) for step, function in self.functions.items()}

    def after_step(self, step: int) -> None:
        if step in self.functions:
            self.functions[step]()


class Ramp(TrainingCallback):
    """Sets a new mask after each of some steps: `masks` has functions that return it, by parameter."""

    def __init__(self, masks: Mapping[int, Callable[[], Mapping[str, Tensor]]]) -> None:
        self.masks = masks

    def begin(self, training: Training) -> None:
        self.masks = {step: training.on_whole_model(function) for step, function in self.masks.items()}

    def after_step(self, step: int) -> Mapping[str, Tensor] | None:
        return self.masks[step]() if step in self.masks else None
