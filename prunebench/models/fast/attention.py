"""Attention for a CPU: scores, softmax and dropout written in place, in the dtype that the products are computed in.

The attention of transformers adds a float32 mask to bfloat16 scores, and then carries float32 through softmax and
dropout; torch's fused attention is slower still in bfloat16. For figures see tests/bench/README.md. A GPU is left with
torch's, of which only the mask is made in another way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, eager_mask, sdpa_mask

from prunebench.models.fast.dropout import SOURCE, only, replace_dropout

NAME = "prunebench"
FUSED = "prunebench-fused"


class _Attend(torch.autograd.Function):
    """softmax(q·kᵀ + bias)·v with dropout `p` on the softmax, for q, k, v of shape (batch × heads, tokens, size)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, p: float) -> Tensor:
        weights = torch.bmm(query, key.transpose(1, 2))
        if bias is not None:
            weights.view(len(bias), -1, *weights.shape[1:]).add_(bias)
        weights = torch.softmax(weights, dim=-1)
        kept = SOURCE.kept(weights.shape, p) if p else None
        ctx.save_for_backward(query, key, value, weights, kept)
        ctx.scale = 1 / (1 - p)
        if kept is None:
            return torch.bmm(weights, value)
        return torch.bmm(only(weights, kept), value).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        query, key, value, weights, kept = ctx.saved_tensors
        slope = slopes[0] if kept is None else slopes[0] * ctx.scale
        used = weights if kept is None else only(weights, kept)
        of_value = torch.bmm(used.transpose(1, 2), slope)
        of_used = torch.bmm(slope, value.transpose(1, 2))
        of_weights = of_used if kept is None else only(of_used, kept)
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        return torch.bmm(of_scores, key), torch.bmm(of_scores.transpose(1, 2), query), of_value, None, None


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """What transformers calls with q, k, v of shape (batch, heads, tokens, size); gives (batch, tokens, heads, size).

    `attention_mask` is what is added to the scores, of shape (batch, 1, tokens, tokens), or None.
    """
    batch, heads, _tokens, size = query.shape
    query = query * (size**-0.5 if scaling is None else scaling)
    bias = None if attention_mask is None else attention_mask.to(query.dtype)
    flat = (tensor.reshape(batch * heads, -1, size) for tensor in (query, key, value))
    found: Tensor = _Attend.apply(*flat, bias, dropout if module.training else 0.0)
    return found.view(batch, heads, -1, size).transpose(1, 2).contiguous(), None


def put_on(model: Any, device: str) -> None:
    """Move a model of transformers to a device, and let it attend and drop out there in the way that is fastest."""
    model.to(device)
    attend_as_on(model, device)


def attend_as_on(model: Any, device: str) -> None:
    """Let the model attend and drop out in the way that is fastest on a device, wherever it is."""
    if device == "cuda":
        AttentionInterface.register(FUSED, sdpa_attention_forward)
        AttentionMaskInterface.register(FUSED, _mask)
        model.set_attn_implementation(FUSED)
        return
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, eager_mask)
    model.set_attn_implementation(NAME)
    replace_dropout(model)


def _mask(**words: Any) -> Tensor | None:
    """The mask of torch's attention, in any case: to see whether it can be left out, the host waits for the GPU."""
    mask: Tensor | None = sdpa_mask(**{**words, "allow_is_bidirectional_skip": False})
    return mask
