"""In training, and for logits, the last layer goes on behind its attention with the first token alone.

That is all that the head reads. Loss, gradients and logits are what they were, without the work for all other tokens.
Elsewhere in evaluation mode these are there, for whoever looks at what goes through a layer.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.models.encoder import PrunableModel


def go_on_with_first_token(pm: PrunableModel) -> None:
    """Let the model do so from now on, if the family says where its tokens meet for the last time."""
    if pm.architecture.after_attention:
        layer = pm.layers[-1].query.removesuffix(pm.architecture.query)
        pm.model.get_submodule(layer + pm.architecture.after_attention).register_forward_pre_hook(_first_token)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Do so in evaluation mode too, as long as the block lasts."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


_ALONE = contextvars.ContextVar("alone", default=False)


def _first_token(module: nn.Module, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor[:, :1] for tensor in tensors) if module.training or _ALONE.get() else tensors
