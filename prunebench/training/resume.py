"""The state in the middle of a training as one safetensors file, from which it continues bit for bit.

**What is in it.** Everything that changes during a training: parameters, the optimiser's moments, the schedule, running
sums of the loss, the states of the random generators, and the mask of a ramp. The position in the data is only a number
of steps: the order of batches is drawn from the seed again, and the first ones are skipped. Example, after step 250:

    "weight bert.pooler.dense.bias"   a parameter
    "moment 17 exp_avg"               a moment of the 17th parameter
    "sum tail"                        the loss of the last tenth of the steps
    "random cpu"                      the state of a generator
    "mask layer.0.heads"              a group of the mask
    metadata["about"]                 {"step": 250, "tokens": 81920, "schedule": {…}, "lr": […]}

**Bit for bit** holds on the same machine with the same number of threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import safetensors.torch
import torch
from torch import Tensor, nn

from prunebench.pruning.bitmask import metadata


class Generator(Protocol):
    """A random generator whose state is a tensor."""

    def state(self) -> Tensor: ...
    def restore(self, state: Tensor) -> None: ...


@dataclass(frozen=True)
class Checkpointing:
    """When to save a training, how, and from which state to resume it.

    Attributes:
        due: is called after each step, and says whether to save now.
        save: receives the state.
        mask: gives the current mask, which is saved with the state.
        start: the state to resume from, as `save` received it, or None to start from the beginning.
    """

    due: Callable[[], bool]
    save: Callable[[bytes], None]
    mask: Callable[[], Mapping[str, Tensor]] = dict
    start: bytes | None = None


def saved_mask(data: bytes) -> dict[str, Tensor]:
    """The mask that was saved with a state."""
    tensors = safetensors.torch.load(data)
    return {name.removeprefix("mask "): tensor for name, tensor in tensors.items() if name.startswith("mask ")}


@dataclass(frozen=True)
class State:
    """The objects whose state a training changes.

    Attributes:
        sums: running sums by name, which are changed in place.
        generators: random generators besides torch's own, by name.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    sums: Mapping[str, Tensor]
    generators: Mapping[str, Generator]
    device: str

    def pack(self, step: int, tokens: int, mask: Mapping[str, Tensor]) -> bytes:
        """The state as a file, with the steps and tokens so far and the current mask."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self._tensors()}
        tensors |= {f"random {name}": state for name, state in self._random_states()}
        tensors |= {f"mask {name}": keep.cpu().contiguous() for name, keep in mask.items()}
        about = {
            "step": step,
            "tokens": tokens,
            "schedule": self.schedule.state_dict(),
            "lr": [group["lr"] for group in self.optimizer.param_groups],
        }
        return safetensors.torch.save(tensors, {"about": json.dumps(about)})

    def unpack(self, data: bytes) -> tuple[int, int]:
        """Restore a packed state in place. Returns its steps and tokens."""
        about = json.loads(metadata(data)["about"])
        tensors = safetensors.torch.load(data)
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": _moments(tensors)})
        self.schedule.load_state_dict(about["schedule"])
        for group, lr in zip(self.optimizer.param_groups, about["lr"], strict=True):
            group["lr"] = lr
        with torch.no_grad():
            for name, tensor in self._tensors():
                if not name.startswith("moment "):
                    tensor.copy_(tensors[name])
        torch.set_rng_state(tensors["random cpu"])
        if self.device == "cuda":
            torch.cuda.set_rng_state(tensors["random cuda"])
        for name, generator in self.generators.items():
            generator.restore(tensors[f"random {name}"])
        return about["step"], about["tokens"]

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.model.named_parameters():
            yield f"weight {name}", parameter
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


def _moments(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The optimiser's state by the index of the parameter."""
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("moment "):
            _, index, moment = name.split(" ")
            moments.setdefault(int(index), {})[moment] = tensor
    return moments
