"""Gates on the outputs of units: a model that computes with numbers in their place, from 0 (pruned) to 1 (as it is)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.runtime.devices import COMPILE_SUFFIX


@contextlib.contextmanager
def gated(model: nn.Module, points: Mapping[str, str], gate: Callable[[str], Tensor], precision: str) -> Iterator[None]:
    """A context in which `model` has the gates that `gate` gives by group: shape (units,), on the model's device.

    `points` names the module with the gates of a group (see `Structure.gate_points`). `gate` is called once for each
    group in every forward pass.

    Raises PrunebenchError for a compiled model, which hooks do not reach.
    """
    if precision.endswith(COMPILE_SUFFIX):
        raise PrunebenchError("a compiled model has no gates", "leave out --compile on")
    with contextlib.ExitStack() as stack:
        for name, path in points.items():
            module = model.get_submodule(path)
            if isinstance(module, nn.Linear):
                handle = module.register_forward_pre_hook(_multiply(name, gate))
            else:
                handle = module.register_forward_hook(_blend(name, gate))
            stack.callback(handle.remove)
        yield


def _multiply(name: str, gate: Callable[[str], Tensor]) -> Callable[..., Any]:
    """A hook that multiplies each unit's part of the input of a Linear."""

    def hook(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        values, units = args[0], gate(name).to(args[0].dtype)
        return (values * units.repeat_interleave(values.shape[-1] // len(units)), *args[1:])

    return hook


def _blend(name: str, gate: Callable[[str], Tensor]) -> Callable[..., Any]:
    """A hook that gives x + ξ·(y − x) for the input x and the output y, or the first of several outputs."""

    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Any) -> Any:
        first = output[0] if isinstance(output, tuple) else output
        # The last layer may compute the first token only.
        values = args[0][:, : first.shape[1]]
        result = values + gate(name).to(first.dtype) * (first - values)
        return (result, *output[1:]) if isinstance(output, tuple) else result

    return hook
