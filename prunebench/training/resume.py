"""The state in the middle of a training as one safetensors file, from which it continues bit for bit.

**What is in it.** Everything that changes during a training: parameters, the optimiser's moments, the schedule, running
sums of the loss, the states of the random generators, and the mask of a ramp. The position in the data is only a number
of steps: the order of batches is drawn from the seed again, and the first ones are skipped. Example, after step 250:

    "weight bert.pooler.dense.bias"   a parameter
    "moment 17 exp_avg"               a moment of the 17th parameter
    "learned 0 1"                     the second parameter that the first callback learns
    "callback 0 age"                  a tensor of that callback's state
    "sum tail"                        the loss of the last tenth of the steps
    "random cpu"                      the state of a generator
    "mask layer.0.heads"              a group of the mask
    metadata["about"]                 {"step": 250, "tokens": 81920, "schedule": {…}, "lr": […], "order": […]}

The order of the tensors is part of the state, because random masks are drawn group by group. A file keeps another one,
so that "order" lists their names.

**Bit for bit** holds on the same machine with the same number of threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import safetensors.torch
import torch
from torch import Tensor, nn

from prunebench.pruning.bitmask import metadata
from prunebench.training.callbacks import Training, TrainingCallback


class Generator(Protocol):
    """A random generator whose state is a tensor."""

    def state(self) -> Tensor: ...
    def restore(self, state: Tensor) -> None: ...


def saved_mask(data: bytes) -> dict[str, Tensor]:
    """The mask that was saved with a state."""
    tensors = _load(data)
    return {name.removeprefix("mask "): tensor for name, tensor in tensors.items() if name.startswith("mask ")}


def _load(data: bytes) -> dict[str, Tensor]:
    """The tensors of a state, in the order in which they were packed."""
    tensors = safetensors.torch.load(data)
    return {name: tensors[name] for name in json.loads(metadata(data)["about"])["order"]}


@dataclass
class State:
    """The objects whose state a training changes, and how many steps and tokens it has behind it.

    Attributes:
        sums: running sums by name, which are changed in place.
        generators: random generators besides torch's own, by name.
        callbacks: those with parameters or state of their own.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    sums: Mapping[str, Tensor]
    generators: Mapping[str, Generator]
    callbacks: Sequence[TrainingCallback]
    device: str
    step: int = 0
    tokens: int = 0

    def pack(self, mask: Mapping[str, Tensor]) -> bytes:
        """The state as a file, with the current mask."""
        tensors = dict(self._tensors())
        for number, callback in enumerate(self.callbacks):
            tensors |= {f"callback {number} {name}": tensor for name, tensor in callback.state_dict().items()}
        tensors |= {f"random {name}": state for name, state in self._random_states()}
        tensors |= {f"mask {name}": keep for name, keep in mask.items()}
        about = {
            "step": self.step,
            "tokens": self.tokens,
            "schedule": self.schedule.state_dict(),
            "lr": [group["lr"] for group in self.optimizer.param_groups],
            "order": list(tensors),
        }
        saved = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
        }
        return safetensors.torch.save(saved, {"about": json.dumps(about)})

    def unpack(self, data: bytes) -> None:
        """Restore a packed state in place."""
        about = json.loads(metadata(data)["about"])
        tensors = _load(data)
        self.step, self.tokens = about["step"], about["tokens"]
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": _moments(tensors)})
        self.schedule.load_state_dict(about["schedule"])
        for group, lr in zip(self.optimizer.param_groups, about["lr"], strict=True):
            group["lr"] = lr
        with torch.no_grad():
            for name, tensor in self._tensors():
                if not name.startswith("moment "):
                    tensor.copy_(tensors[name])
        for number, callback in enumerate(self.callbacks):
            prefix = f"callback {number} "
            own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            callback.load_state_dict(own)
        torch.set_rng_state(tensors["random cpu"])
        if self.device == "cuda":
            torch.cuda.set_rng_state(tensors["random cuda"])
        for name, generator in self.generators.items():
            generator.restore(tensors[f"random {name}"])

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.model.named_parameters():
            yield f"weight {name}", parameter
        for number, group in enumerate(self.optimizer.param_groups[1:]):
            for index, parameter in enumerate(group["params"]):
                yield f"learned {number} {index}", parameter
        for name, total in self.sums.items():
            yield f"sum {name}", total
        state: dict[int, dict[str, Any]] = self.optimizer.state_dict()["state"]
        for index, moments in state.items():
            for name, moment in moments.items():
                yield f"moment {index} {name}", moment

    def _random_states(self) -> Iterator[tuple[str, Tensor]]:
        yield "cpu", torch.get_rng_state()
        if self.device == "cuda":
            yield "cuda", torch.cuda.get_rng_state()
        for name, generator in self.generators.items():
            yield name, generator.state()


class Checkpointing(TrainingCallback):
    """Saves a training after every step at which `due`, and resumes one. It must be the last of the callbacks.

    `save` receives the state; `mask` gives the current mask, which is saved with it. `start` is the state to resume
    from, as `save` received it, or None to start from the beginning.
    """

    def __init__(
        self,
        due: Callable[[], bool],
        save: Callable[[bytes], None],
        mask: Callable[[], Mapping[str, Tensor]] = dict,
        start: bytes | None = None,
    ) -> None:
        self.due = due
        self.save = save
        self.mask = mask
        self.start = start

    def begin(self, training: Training) -> None:
        self.training = training
        if self.start is not None:
            training.state.unpack(self.start)

    def after_step(self, step: int) -> None:
        if step < self.training.total and self.due():
            self.save(self.training.state.pack(self.mask()))


def _moments(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The optimiser's state by the index of the parameter."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("moment "):
            _, index, moment = name.split(" ")
            moments.setdefault(int(index), {})[moment] = tensor
    return moments
