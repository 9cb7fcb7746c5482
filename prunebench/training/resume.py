"""The state of a training in its middle as one safetensors file. From it the training goes on bit for bit.

That is on the same machine with as many threads. The place in the data needs no keeping: batches are drawn again from
the seed, and those that are done are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from prunebench.models.fast.dropout import SOURCE
from prunebench.pruning.bitmask import metadata


@dataclass(frozen=True)
class Midway:
    """Where a training begins if it has been under way before, and what keeps its state.

    `due()` is asked after each step; where it says so, `keep` is given the state, with what `mask()` gives in it.
    `data` is what `keep` was given last.
    """

    due: Callable[[], bool]
    keep: Callable[[bytes], None]
    mask: Callable[[], Mapping[str, Tensor]] = dict
    data: bytes | None = None


def mask_in(data: bytes) -> dict[str, Tensor]:
    """The mask that was kept with the state."""
    found = safetensors.torch.load(data)
    return {name.removeprefix("mask "): tensor for name, tensor in found.items() if name.startswith("mask ")}


@dataclass(frozen=True)
class State:
    """All that changes in the course of a training, as it is in memory. `sums` are running sums, changed in place."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    sums: dict[str, Tensor]
    device: str

    def pack(self, step: int, tokens: int, mask: Mapping[str, Tensor]) -> bytes:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self._tensors()}
        tensors |= {f"random {name}": state for name, state in self._generators()}
        tensors |= {f"mask {name}": keep.cpu().contiguous() for name, keep in mask.items()}
        about = {
            "step": step,
            "tokens": tokens,
            "schedule": self.schedule.state_dict(),
            "lr": [group["lr"] for group in self.optimizer.param_groups],
        }
        return safetensors.torch.save(tensors, {"about": json.dumps(about)})

    def unpack(self, data: bytes) -> tuple[int, int]:
        """Bring everything back to what it was when `data` was packed; gives the step and the tokens until then."""
        about = json.loads(metadata(data)["about"])
        found = safetensors.torch.load(data)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in found.items():
            kind, _, rest = name.partition(" ")
            if kind == "moment":
                index, _, moment = rest.partition(" ")
                moments.setdefault(int(index), {})[moment] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.schedule.load_state_dict(about["schedule"])
        for group, lr in zip(self.optimizer.param_groups, about["lr"], strict=True):
            group["lr"] = lr
        with torch.no_grad():
            for name, tensor in self._tensors():
                if not name.startswith("moment "):
                    tensor.copy_(found[name])
        torch.set_rng_state(found["random cpu"])
        SOURCE.restore(found["random dropout"])
        if self.device == "cuda":
            torch.cuda.set_rng_state(found["random cuda"])
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

    def _generators(self) -> Iterator[tuple[str, Tensor]]:
        yield "cpu", torch.get_rng_state()
        yield "dropout", SOURCE.state()
        if self.device == "cuda":
            yield "cuda", torch.cuda.get_rng_state()
