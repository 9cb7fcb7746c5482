"""The training loop. A method never changes it: it gives a mask and, at most, a ramp of masks."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from prunebench.errors import PrunebenchError
from prunebench.runtime import progress
from prunebench.runtime.devices import COMPILE_SUFFIX
from prunebench.runtime.seeds import derive
from prunebench.tasks.protocol import Protocol
from prunebench.training import batching
from prunebench.training.acceleration import Accelerate, fast
from prunebench.training.resume import Checkpointing, State

# Steps between two reports. Each report waits for the device.
REPORT_EVERY = {"cpu": 10, "cuda": 50}
BACKEND = "inductor"


@dataclass(frozen=True)
class Outcome:
    """The cost of a training, and its final loss (the mean over the last tenth of the steps)."""

    steps: int
    tokens: int
    loss: float


@dataclass(frozen=True)
class Events:
    """What happens after given steps of the optimiser.

    Attributes:
        masks: by step, a function that returns the new mask (by parameter, True stays).
        snapshots: by step, a function that looks at the model.
        checkpointing: when to save the training, and from where to resume it.
    """

    masks: Mapping[int, Callable[[], Mapping[str, Tensor]]] = field(default_factory=dict)
    snapshots: Mapping[int, Callable[[], None]] = field(default_factory=dict)
    checkpointing: Checkpointing | None = None

    def wrap(self, wrapper: Callable[[Callable[[], Any]], Callable[[], Any]]) -> Events:
        """The same events with `wrapper` around the functions that look at the model."""
        masks = {step: wrapper(function) for step, function in self.masks.items()}
        snapshots = {step: wrapper(function) for step, function in self.snapshots.items()}
        return replace(self, masks=masks, snapshots=snapshots)


def train(
    model: nn.Module,
    data: batching.EncodedSplit,
    protocol: Protocol,
    seed: int,
    keep: Mapping[str, Tensor],
    *,
    precision: str,
    device: str,
    events: Events | None = None,
    accelerate: Accelerate = fast,
) -> Outcome:
    """Train `model` in place. Pruned weights, which must be zero at the start, stay exactly zero.

    `keep` has boolean tensors by parameter name, in the shapes of the parameters; False is pruned. Gradients of pruned
    weights are set to zero before clipping, as if the weights did not exist; AdamW then never moves them.

    Raises:
        PrunebenchError: if the loss becomes infinite or NaN.
    """
    with accelerate(model, data, protocol, seed, precision=precision, device=device) as acceleration:
        events = (events or Events()).wrap(acceleration.on_whole_model)
        named = dict(model.named_parameters())
        masks = _Masks(named, keep)
        total = total_steps(len(data), protocol)
        optimizer = _adamw(named, protocol)
        schedule = get_linear_schedule_with_warmup(optimizer, round(protocol.warmup * total), total)
        meter = _Meter(total, device)
        state = State(model, optimizer, schedule, meter.sums, acceleration.generators, device)
        torch.manual_seed(derive(seed, "dropout"))
        done = 0
        if events.checkpointing is not None and events.checkpointing.start is not None:
            done, meter.tokens = state.unpack(events.checkpointing.start)
        forward = compiled(model) if precision.endswith(COMPILE_SUFFIX) else model
        model.train()
        for step, indices in itertools.islice(_batches(data, protocol, seed), done, None):
            with _cast_weights_once(device):
                for part in acceleration.parts(indices):
                    batch = data.batch(part)
                    labels = batch.pop("labels")
                    with autocast(precision, device):
                        loss = loss_of(forward(**batch).logits, labels) * (len(part) / len(indices))
                    loss.backward()
                    meter.add(step, loss.detach(), batch["input_ids"].numel())
            masks.mask_gradients()
            nn.utils.clip_grad_norm_(named.values(), protocol.clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            meter.report(step)
            if step in events.masks:
                masks = _Masks(named, events.masks[step]())
                masks.mask_weights(optimizer)
                model.train()
            if step in events.snapshots:
                events.snapshots[step]()
            if events.checkpointing is not None and step < total and events.checkpointing.due():
                events.checkpointing.save(state.pack(step, meter.tokens, events.checkpointing.mask()))
        return meter.outcome()


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


def _adamw(named: Mapping[str, nn.Parameter], protocol: Protocol) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        named.values(),
        lr=protocol.lr,
        betas=(protocol.beta1, protocol.beta2),
        eps=protocol.epsilon,
        weight_decay=protocol.weight_decay,
        fused=True,
    )


def _batches(data: batching.EncodedSplit, protocol: Protocol, seed: int) -> Iterator[tuple[int, list[int]]]:
    """All batches of a training with the numbers of their steps. The order depends on the seed only."""
    order = torch.Generator().manual_seed(derive(seed, "order"))
    epochs = (batching.training_batches(data, protocol.batch_size, order) for _ in range(protocol.epochs))
    return enumerate(itertools.chain.from_iterable(epochs), 1)


def _cast_weights_once(device: str) -> contextlib.AbstractContextManager[object]:
    """A context around the parts of a batch, in which autocast casts each weight once.

    Autocast forgets its casts at the end of its outermost block, so an outer block without any effect keeps them.
    """
    return torch.autocast(device, enabled=False)


class _Masks:
    """Masks of parameters as numbers 0 and 1. Parameters of which everything stays are left out."""

    def __init__(self, named: Mapping[str, nn.Parameter], keep: Mapping[str, Tensor]) -> None:
        masks = {name: mask for name, mask in keep.items() if not mask.all()}
        self.parameters = [named[name] for name in masks]
        self.values = [mask.to(named[name].device, named[name].dtype) for name, mask in masks.items()]

    def mask_gradients(self) -> None:
        if self.values:
            gradients: Any = [parameter.grad for parameter in self.parameters]
            torch._foreach_mul_(gradients, self.values)

    @torch.no_grad()
    def mask_weights(self, optimizer: torch.optim.Optimizer) -> None:
        """Set newly pruned weights to zero, and their moments, which would move them again."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            parameter.mul_(value)
            for moment in ("exp_avg", "exp_avg_sq"):
                optimizer.state[parameter][moment].mul_(value)


class _Meter:
    """Sums the loss on the device, so that the loop waits for the device only when it reports."""

    def __init__(self, total: int, device: str) -> None:
        self.total = total
        self.every = REPORT_EVERY[device]
        self.since_report = torch.zeros((), device=device)
        self.tail = torch.zeros((), device=device)
        self.tail_steps = max(1, total // 10)
        self.tokens = 0

    @property
    def sums(self) -> dict[str, Tensor]:
        return {"all": self.since_report, "tail": self.tail}

    def add(self, step: int, loss: Tensor, tokens: int) -> None:
        self.since_report += loss
        self.tokens += tokens
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

    def outcome(self) -> Outcome:
        return Outcome(self.total, self.tokens, self.tail.item() / self.tail_steps)
