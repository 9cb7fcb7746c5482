"""Dropout for a CPU, where drawing numbers is most of its cost: sixteen random bits an entry, from a fast generator.

torch draws one number after the other, which takes seven times as long (tests/bench/README.md). Like torch's, the
generator is one of the process: a training seeds it, and a checkpoint in its middle holds its state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_LEVELS = 1 << 16


class Source:
    """The generator: SFC64 (Chris Doty-Humphrey), 64 bits at a time."""

    def __init__(self) -> None:
        self._bits = np.random.SFC64(0)

    def seed(self, seed: int) -> None:
        self._bits = np.random.SFC64(seed)

    def state(self) -> Tensor:
        """All of it, shape (4,), int64."""
        state: Any = self._bits.state
        return torch.from_numpy(state["state"]["state"].view(np.int64).copy())

    def restore(self, state: Tensor) -> None:
        whole: Any = self._bits.state
        whole["state"]["state"] = state.numpy().view(np.uint64)
        self._bits.state = whole

    def kept(self, shape: torch.Size, p: float) -> Tensor:
        """1 for an entry that stays and 0 for one that goes, which it does with probability `p` (to 2⁻¹⁶), int16."""
        number = shape.numel()
        drawn = self._bits.random_raw(-(-number // 4)).view(np.int16)[:number]
        bits = torch.from_numpy(drawn).view(shape)
        return torch.ge(bits, round(p * _LEVELS) - _LEVELS // 2, out=bits)


SOURCE = Source()


def only(values: Tensor, kept: Tensor) -> Tensor:
    """`values` where `kept` is 1, and zero where it is 0; in bfloat16 by the bits, which is an order faster."""
    if values.dtype == torch.bfloat16:
        return (values.view(torch.int16) * kept).view(torch.bfloat16)
    return values * kept.to(values.dtype)


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype == torch.bfloat16 else values


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, p: float) -> Tensor:
        kept = SOURCE.kept(values.shape, p)
        ctx.save_for_backward(kept)
        ctx.scale, ctx.dtype = 1 / (1 - p), values.dtype
        return _wide(only(values.contiguous(), kept)).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        (kept,) = ctx.saved_tensors
        return only(slopes[0].to(ctx.dtype).contiguous(), kept).mul_(ctx.scale), None


class Dropout(nn.Module):
    """As `nn.Dropout`, but bfloat16 comes out as float32: it is added to float32 next, and mixed sums are slow."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        if not (self.training and self.p):
            return _wide(values)
        dropped: Tensor = _Drop.apply(values, self.p)
        return dropped


def replace_dropout(model: nn.Module) -> None:
    """Put `Dropout` in the place of every `nn.Dropout` of the model."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Dropout):
            model.set_submodule(name, Dropout(module.p).train(module.training))
