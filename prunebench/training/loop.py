"""The training loop. A method never changes it: it gives a mask and callbacks (`training.callbacks`)."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from prunebench.errors import PrunebenchError
from prunebench.models import layer_skips
from prunebench.models.fast import first_token
from prunebench.runtime import progress
from prunebench.runtime.devices import COMPILE_SUFFIX
from prunebench.runtime.seeds import derive
from prunebench.tasks.protocol import Protocol
from prunebench.training import batching
from prunebench.training.acceleration import Accelerate, fast
from prunebench.training.callbacks import Training, TrainingCallback
from prunebench.training.resume import State

# Steps between two reports. Each report waits for the device.
REPORT_EVERY = {"cpu": 10, "cuda": 50}
BACKEND = "inductor"


@dataclass(frozen=True)
class Outcome:
    """The cost of a training, and its final loss (the mean over the last tenth of the steps)."""

    steps: int
    tokens: int
    loss: float


def train(
    model: nn.Module,
    data: batching.EncodedSplit,
    protocol: Protocol,
    seed: int,
    keep: Mapping[str, Tensor],
    *,
    precision: str,
    device: str,
    callbacks: Sequence[TrainingCallback] = (),
    steps: int | None = None,
    accelerate: Accelerate = fast,
) -> Outcome:
    """Train `model` in place. Pruned weights, which must be zero at the start, stay exactly zero.

    `keep` has boolean tensors by parameter name, in the shapes of the parameters; False is pruned. Gradients of pruned
    weights are set to zero before clipping, as if the weights did not exist; AdamW then never moves them. `steps` is
    the number of optimiser steps, by default as in the protocol; the learning rate decays over all of them.

    Raises:
        PrunebenchError: if the loss becomes infinite or NaN.
    """
    total = steps or total_steps(len(data), protocol)
    model.train()
    with contextlib.ExitStack() as stack:
        acceleration = stack.enter_context(accelerate(model, data, protocol, seed, precision=precision, device=device))
        callbacks = [stack.enter_context(callback) for callback in callbacks]
        named = dict(model.named_parameters())
        optimizer = _adamw(named, protocol, callbacks)
        clipped = [each for group in optimizer.param_groups if group.get("clip") for each in group["params"]]
        schedule = get_linear_schedule_with_warmup(optimizer, round(protocol.warmup * total), total)
        meter = _Meter(total, device)
        state = State(model, optimizer, schedule, meter.sums, acceleration.generators, callbacks, device)
        torch.manual_seed(derive(seed, "dropout"))
        for callback in callbacks:
            callback.begin(Training(total, state, acceleration.on_whole_model))
        masks = _Masks(model, named, keep)
        forward = compiled(model) if precision.endswith(COMPILE_SUFFIX) else model
        options = {}
        if any(callback.hidden_states for callback in callbacks):
            options["output_hidden_states"] = True
            stack.enter_context(first_token.whole(model))
        for step, indices in itertools.islice(_batches(data, protocol, seed), state.step, total):
            with _cast_weights_once(device):
                for part in acceleration.parts(indices):
                    batch = data.batch(part)
                    labels = batch.pop("labels")
                    with autocast(precision, device):
                        outputs = forward(**batch, **options)
                        loss = loss_of(outputs.logits, labels)
                        for callback in callbacks:
                            loss = callback.loss(loss, outputs, {**batch, "labels": labels})
                        loss = loss * (len(part) / len(indices))
                    loss.backward()
                    meter.add(step, loss.detach())
                    state.tokens += batch["input_ids"].numel()
            for callback in callbacks:
                callback.after_backward(step)
            masks.mask_gradients()
            nn.utils.clip_grad_norm_(clipped, protocol.clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            state.step = step
            meter.report(step)
            for callback in callbacks:
                if (mask := callback.after_step(step)) is not None:
                    masks = _Masks(model, named, mask)
                    masks.mask_weights(optimizer)
        for callback in callbacks:
            if (mask := callback.final_mask()) is not None:
                _Masks(model, named, mask).mask_weights(optimizer)
        return Outcome(total, state.tokens, meter.final_loss)


def total_steps(examples: int, protocol: Protocol) -> int:
    """The number of optimiser steps of a training."""
    return protocol.epochs * math.ceil(examples / protocol.batch_size)


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error for scores, cross-entropy for classes, always in float32."""
    if labels.is_floating_point():
        return nn.functional.mse_loss(logits.float().squeeze(-1), labels)
    return nn.functional.cross_entropy(logits.float(), labels)


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager[object]:
    """A context in which products are computed in `precision`."""
    if precision.removesuffix(COMPILE_SUFFIX) == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device, dtype=torch.bfloat16)


@functools.lru_cache(maxsize=1)
def compiled(model: nn.Module) -> Any:
    """The model's forward pass, compiled once for all trainings of the model and for all shapes.

    It shares its weights with the model. Hooks that are added to the model later do not reach it, so it is only for
    training.
    """
    return torch.compile(model, dynamic=True, backend=BACKEND)


def _adamw(
    named: Mapping[str, nn.Parameter], protocol: Protocol, callbacks: Sequence[TrainingCallback]
) -> torch.optim.AdamW:
    """The optimiser of the model's parameters, the first group, and of those that the callbacks learn."""
    learned = [dict(group) for callback in callbacks for group in callback.parameters()]
    return torch.optim.AdamW(
        [{"params": list(named.values()), "clip": True}, *learned],
        lr=protocol.lr,
        betas=(protocol.beta1, protocol.beta2),
        eps=protocol.epsilon,
        weight_decay=protocol.weight_decay,
        fused=True,
    )


def _batches(data: batching.EncodedSplit, protocol: Protocol, seed: int) -> Iterator[tuple[int, list[int]]]:
    """Batches without end, with the numbers of their steps. The order depends on the seed only."""
    order = torch.Generator().manual_seed(derive(seed, "order"))
    epochs = (batching.training_batches(data, protocol.batch_size, order) for _ in itertools.count())
    return enumerate(itertools.chain.from_iterable(epochs), 1)


def _cast_weights_once(device: str) -> contextlib.AbstractContextManager[object]:
    """A context around the parts of a batch, in which autocast casts each weight once.

    Autocast forgets its casts at the end of its outermost block, so an outer block without any effect keeps them.
    """
    return torch.autocast(device, enabled=False)


class _Masks:
    """Masks of parameters as numbers 0 and 1. Parameters of which everything stays are left out.

    Layers that they prune as a whole are skipped from now on. The parameters of such a layer have no gradient.
    """

    def __init__(self, model: nn.Module, named: Mapping[str, nn.Parameter], keep: Mapping[str, Tensor]) -> None:
        layer_skips.skip(model, keep)
        masks = {name: mask for name, mask in keep.items() if not mask.all()}
        self.parameters = [named[name] for name in masks]
        self.values = [mask.to(named[name].device, named[name].dtype) for name, mask in masks.items()]

    def mask_gradients(self) -> None:
        pairs = zip(self.parameters, self.values, strict=True)
        pairs_with_gradient = [(each.grad, value) for each, value in pairs if each.grad is not None]
        if pairs_with_gradient:
            gradients, values = zip(*pairs_with_gradient, strict=True)
            torch._foreach_mul_(list(gradients), list(values))

    @torch.no_grad()
    def mask_weights(self, optimizer: torch.optim.Optimizer) -> None:
        """Set newly pruned weights to zero, and their moments, which would move them again."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            parameter.mul_(value)
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment in (state := optimizer.state.get(parameter, {})):
                    state[moment].mul_(value)


class _Meter:
    """Sums the loss on the device, so that the loop waits for the device only when it reports."""

    def __init__(self, total: int, device: str) -> None:
        self.total = total
        self.every = REPORT_EVERY[device]
        self.since_report = torch.zeros((), device=device)
        self.tail = torch.zeros((), device=device)
        self.tail_steps = max(1, total // 10)

    @property
    def sums(self) -> dict[str, Tensor]:
        return {"all": self.since_report, "tail": self.tail}

    def add(self, step: int, loss: Tensor) -> None:
        self.since_report += loss
        if step > self.total - self.tail_steps:
            self.tail += loss

    def report(self, step: int) -> None:
        if step % self.every == 0 or step == self.total:
            steps = (step - 1) % self.every + 1
            mean = self.since_report.item() / steps
            if not math.isfinite(mean):
                raise PrunebenchError(f"the training diverged: its loss is {mean} at step {step} of {self.total}")
            progress.emit(progress.Progress(step, self.total, mean))
            self.since_report.zero_()

    @property
    def final_loss(self) -> float:
        return self.tail.item() / self.tail_steps
