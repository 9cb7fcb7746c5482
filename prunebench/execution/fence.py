"""A fence around the code of strategies: whatever a call must not change is compared before and after it.

All branches of a job, and all jobs of a process, use one model. A hook, a changed dropout or a replaced module that one
method leaves behind would change the scores of the others, so such a call fails, and the model is loaded anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.execution.process_state import read_state, restore_state, state_changes

SCALARS = (bool, int, float, str, type(None))
# Entries of `Module.__dict__` that are compared elsewhere, or hold what is.
CONTAINERS = {"_parameters", "_buffers", "_modules", "training"}
# transformers adds hooks, and notes that it did, when a model is first asked for hidden states. They stay, and act only
# while hidden states are asked for.
CAPTURE = "transformers.utils.output_capturing"
CAPTURE_NOTE = "_output_capturing_hooks_installed"


@dataclass(frozen=True)
class Snapshot:
    """A model and the global state of the process at one moment; `contents` are copies of all its tensors.

    It holds the objects themselves, not their ids, so that no new object can have the id of one that is gone.
    """

    model: nn.Module
    modules: dict[str, dict[str, Any]]
    tensors: dict[str, dict[str, Any]]
    contents: dict[str, Tensor]
    process: dict[str, Any]

    @classmethod
    def of(cls, model: nn.Module, *, contents: bool = True) -> Snapshot:
        """The state now; without `contents`, the values in the tensors are not compared later."""
        tensors = dict(_tensors(model))
        return cls(
            model,
            {name: _module_state(module) for name, module in model.named_modules()},
            {name: _tensor_state(tensor) for name, tensor in tensors.items()},
            {name: tensor.detach().clone() for name, tensor in tensors.items()} if contents else {},
            read_state(),
        )

    def changes(self, may_move: Collection[str] = (), *, randomness: bool = False) -> Iterator[str]:
        """What differs now, in a few words each.

        The contents of the tensors `may_move` may differ and, with `randomness`, the random state of torch.
        """
        modules = {name: _module_state(module) for name, module in self.model.named_modules()}
        tensors = dict(_tensors(self.model))
        states = {name: _tensor_state(tensor) for name, tensor in tensors.items()}
        for kind, before, after in (("module", self.modules, modules), ("tensor", self.tensors, states)):
            for name in before.keys() | after.keys():
                yield from _differences(kind, name, before.get(name), after.get(name))
        for name in tensors.keys() & self.contents.keys() - set(may_move):
            if not _equal(tensors[name], self.contents[name]):
                yield f"weights: {name}"
        yield from state_changes(self.process, randomness=randomness)

    def restore_process(self) -> None:
        """Set the global state of the process to what it was."""
        restore_state(self.process)


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def _module_state(module: nn.Module) -> dict[str, Any]:
    """The module itself, its mode, its hooks, and its attributes."""
    state: dict[str, Any] = {"object": module, "training mode": module.training}
    for name, value in vars(module).items():
        if "hooks" in name and isinstance(value, dict):
            hooks = (hook for hook in value.values() if getattr(hook, "__module__", "") != CAPTURE)
            state["hooks"] = (*state.get("hooks", ()), *hooks)
        elif name not in CONTAINERS and name != CAPTURE_NOTE:
            state[f"attribute {name!r}"] = value
    return state


def _tensor_state(tensor: Tensor) -> dict[str, Any]:
    hooks = (tensor._backward_hooks or {}, getattr(tensor, "_post_accumulate_grad_hooks", None) or {})
    return {
        "object": tensor,
        "requires_grad": tensor.requires_grad,
        "gradient": tensor.grad,
        "hooks": tuple(hook for each in hooks for hook in each.values()),
    }


def _differences(kind: str, name: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Iterator[str]:
    where = name or "the model"
    if before is None or after is None:
        yield f"a {kind} that {'was added' if before is None else 'is gone'}: {where}"
    elif before["object"] is not after["object"]:
        yield f"a {kind} that was replaced: {where}"
    else:
        for part in before.keys() | after.keys():
            if not _same(before.get(part), after.get(part)):
                yield f"{part} of {where}"


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, tuple) and isinstance(after, tuple):
        return len(before) == len(after) and all(one is other for one, other in zip(before, after, strict=True))
    return before is after or (isinstance(before, SCALARS) and type(before) is type(after) and before == after)


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal bit for bit."""
    if one.dtype == other.dtype == torch.float32 and one.shape == other.shape:
        return torch.equal(one.detach().contiguous().view(torch.int32), other.contiguous().view(torch.int32))
    return torch.equal(one, other)
