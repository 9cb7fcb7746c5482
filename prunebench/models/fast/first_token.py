"""Compute the end of the last layer for the first token only.

The classifier reads the first token. After the attention of the last layer tokens no longer interact, so the output
projection, the feed-forward network and the layer norms of all other tokens are wasted. A forward pre-hook on the
family's `after_attention` module narrows its inputs from (batch, tokens, hidden) to (batch, 1, hidden). Loss, gradients
and logits stay the same, up to rounding.

The hook acts in training mode except within `whole(model)`, and in evaluation mode within `only()`. Otherwise all
tokens are computed, for code that looks at what passes through a layer, such as a strategy's `input_norms`:

    model.eval()(**batch)                      # the last layer computes all tokens
    with first_token.only():
        model.eval()(**batch)                  # the same logits, from the first token only
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.models.encoder import PrunableModel

# An attribute rather than a variable of the context, which torch.compile could not follow.
_WHOLE = "computes_all_tokens"
_IN_EVALUATION = contextvars.ContextVar("first token only", default=False)


def install(pm: PrunableModel) -> None:
    """Add the hook to a model whose family names `after_attention`; others are left unchanged."""
    if pm.architecture.after_attention:
        layer = pm.layers[-1].query.removesuffix(pm.architecture.query)
        pm.model.get_submodule(layer + pm.architecture.after_attention).register_forward_pre_hook(_narrow)


@contextlib.contextmanager
def only() -> Iterator[None]:
    """Narrow to the first token in evaluation mode too, within this block."""
    token = _IN_EVALUATION.set(True)
    try:
        yield
    finally:
        _IN_EVALUATION.reset(token)


@contextlib.contextmanager
def whole(model: nn.Module) -> Iterator[None]:
    """Compute all tokens of that model in training mode too, within this block."""
    narrowed = [module for module in model.modules() if _narrow in module._forward_pre_hooks.values()]
    for module in narrowed:
        setattr(module, _WHOLE, True)
    try:
        yield
    finally:
        for module in narrowed:
            delattr(module, _WHOLE)


def _narrow(module: nn.Module, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    acts = not hasattr(module, _WHOLE) if module.training else _IN_EVALUATION.get()
    return tuple(tensor[:, :1] for tensor in tensors) if acts else tensors
