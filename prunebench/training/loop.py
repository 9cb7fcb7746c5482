"""The training loop, read from top to bottom. A method never changes it: it gives a mask and, at most, a ramp."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from prunebench.errors import PrunebenchError
from prunebench.models.fast import dropout, embedding_subset
from prunebench.runtime import progress
from prunebench.runtime.devices import COMPILED
from prunebench.runtime.seeds import derive
from prunebench.tasks.protocol import Protocol
from prunebench.training import batching
from prunebench.training.resume import Midway, State

# Steps between two reports, each of which waits for the device.
REPORT_EVERY = {"cpu": 10, "cuda": 50}
BACKEND = "inductor"


@dataclass(frozen=True)
class Outcome:
    """What a training cost and where its loss ended (mean over the last tenth of the steps)."""

    steps: int
    tokens: int
    loss: float


@dataclass(frozen=True)
class Events:
    """What happens after chosen optimiser steps: `masks` give the masks of a ramp, `snapshots` look at the weights.

    `midway` keeps the state of the training now and then, and says where it goes on from.
    """

    masks: Mapping[int, Callable[[], Mapping[str, Tensor]]] = field(default_factory=dict)
    snapshots: Mapping[int, Callable[[], None]] = field(default_factory=dict)
    midway: Midway | None = None

    def seen(self, through: Callable[[Callable[[], Any]], Callable[[], Any]]) -> Events:
        """The same events, with each function `through` another one."""
        masks = {step: through(make) for step, make in self.masks.items()}
        return replace(self, masks=masks, snapshots={step: through(look) for step, look in self.snapshots.items()})


def steps_of(examples: int, protocol: Protocol) -> int:
    return protocol.epochs * math.ceil(examples / protocol.batch_size)


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager[object]:
    if precision.removesuffix(COMPILED) == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device, dtype=torch.bfloat16)


def _cast_once(device: str) -> contextlib.AbstractContextManager[object]:
    """Weights that autocast has cast are cast no more in this block: it forgets them where the outermost one ends."""
    return torch.autocast(device, enabled=False)


@functools.lru_cache(maxsize=1)
def compiled(model: nn.Module) -> Any:
    """The model's forward pass, compiled once for all trainings of it and for all shapes; the weights are the model's.

    It is for training alone: hooks that are put on the model later do not reach it.
    """
    return torch.compile(model, dynamic=True, backend=BACKEND)


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error for scores, cross-entropy for classes, in float32 whatever the model computed in."""
    if labels.is_floating_point():
        return nn.functional.mse_loss(logits.float().squeeze(-1), labels)
    return nn.functional.cross_entropy(logits.float(), labels)


def train(
    model: nn.Module,
    data: batching.Encoded,
    protocol: Protocol,
    seed: int,
    keep: Mapping[str, Tensor],
    *,
    precision: str,
    device: str,
    events: Events | None = None,
) -> Outcome:
    """Train `model` in place; what `keep` says is gone stays exactly zero.

    `keep` maps names of parameters to boolean tensors of their shapes. Masked gradients are set to zero before they
    are clipped, as if the weights were not there; AdamW then never moves a weight that starts at zero.
    """
    events = events or Events()
    # Weight decay moves all rows, and a compiled graph holds on to the parameters.
    cut = not protocol.weight_decay and not precision.endswith(COMPILED)
    with embedding_subset.Met(model, data.inputs["input_ids"]) if cut else contextlib.nullcontext() as table:
        events = events.seen(table.whole) if table else events
        named = dict(model.named_parameters())
        masks = _Masks(named, keep)
        cost = batching.part_cost(
            sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear))
        )
        optimizer = torch.optim.AdamW(
            named.values(),
            lr=protocol.lr,
            betas=(protocol.beta1, protocol.beta2),
            eps=protocol.epsilon,
            weight_decay=protocol.weight_decay,
            fused=True,
        )
        total = steps_of(len(data), protocol)
        schedule = get_linear_schedule_with_warmup(optimizer, round(protocol.warmup * total), total)
        order = torch.Generator().manual_seed(derive(seed, "order"))
        torch.manual_seed(derive(seed, "dropout"))
        dropout.SOURCE.seed(derive(seed, "dropout"))
        meter = _Meter(total, device)
        forward = compiled(model) if precision.endswith(COMPILED) else model
        state = State(model, optimizer, schedule, {"all": meter.sum, "tail": meter.tail}, device)
        done = 0
        if events.midway is not None and events.midway.data is not None:
            done, meter.tokens = state.unpack(events.midway.data)
        model.train()
        step = 0
        for _ in range(protocol.epochs):
            for indices in batching.shuffled(data, protocol.batch_size, order):
                step += 1
                if step <= done:
                    continue
                # On a GPU a batch is cheaper whole: small kernels are bound by their launches.
                with _cast_once(device):
                    for part in batching.parts(data, indices, cost) if device == "cpu" else [indices]:
                        batch = data.batch(part)
                        labels = batch.pop("labels")
                        with autocast(precision, device):
                            loss = loss_of(forward(**batch).logits, labels) * (len(part) / len(indices))
                        loss.backward()
                        meter.add(step, loss.detach(), batch["input_ids"].numel())
                masks.on_gradients()
                nn.utils.clip_grad_norm_(named.values(), protocol.clip)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                meter.report(step)
                if step in events.masks:
                    masks = _Masks(named, events.masks[step]())
                    masks.on_weights(optimizer)
                    model.train()
                if step in events.snapshots:
                    events.snapshots[step]()
                if events.midway is not None and step < total and events.midway.due():
                    events.midway.keep(state.pack(step, meter.tokens, events.midway.mask()))
        return meter.outcome()


class _Masks:
    """The masks of one stretch of training, as numbers beside the parameters that they belong to."""

    def __init__(self, named: Mapping[str, nn.Parameter], keep: Mapping[str, Tensor]) -> None:
        masked = {name: mask for name, mask in keep.items() if not mask.all()}
        self.parameters = [named[name] for name in masked]
        self.values = [mask.to(named[name].device, named[name].dtype) for name, mask in masked.items()]

    def on_gradients(self) -> None:
        if self.values:
            gradients: Any = [parameter.grad for parameter in self.parameters]
            torch._foreach_mul_(gradients, self.values)

    @torch.no_grad()
    def on_weights(self, optimizer: torch.optim.Optimizer) -> None:
        """Zero what is newly gone, and its moments, which would move it off zero again."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            parameter.mul_(value)
            for moment in ("exp_avg", "exp_avg_sq"):
                optimizer.state[parameter][moment].mul_(value)


class _Meter:
    """Sums the loss on the device, so that the loop waits for a number only when it is reported."""

    def __init__(self, total: int, device: str) -> None:
        self.total = total
        self.every = REPORT_EVERY[device]
        self.sum = torch.zeros((), device=device)
        self.tail = torch.zeros((), device=device)
        self.tail_steps = max(1, total // 10)
        self.tokens = 0

    def add(self, step: int, loss: Tensor, tokens: int) -> None:
        self.sum += loss
        self.tokens += tokens
        if step > self.total - self.tail_steps:
            self.tail += loss

    def report(self, step: int) -> None:
        if step % self.every == 0 or step == self.total:
            since = (step - 1) % self.every + 1
            mean = self.sum.item() / since
            if not math.isfinite(mean):
                raise PrunebenchError(f"the training diverged: its loss is {mean} at step {step} of {self.total}")
            progress.emit(progress.Progress(step, self.total, mean))
            self.sum.zero_()

    def outcome(self) -> Outcome:
        return Outcome(self.total, self.tokens, self.tail.item() / self.tail_steps)
