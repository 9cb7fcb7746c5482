"""Attention for a CPU, computed in the dtype of its products.

**The equation** is the usual one (Vaswani et al. 2017, section 3.2.1), with dropout on the weights and a bias of 0 for
tokens and −∞ for padding:

    A = softmax(QKᵀ / √d + bias),   output = (D ⊙ A) V / (1 − p),   D_ij = 0 with probability p, else 1

**Why another implementation.** The attention of transformers adds a float32 mask to bfloat16 scores, so that softmax
and dropout run in float32 from there on; torch's fused attention is slower still in bfloat16. Here the mask is cast to
the dtype of the scores and added in place, so that softmax and dropout stay in bfloat16. The scale 1 / (1 − p) is
applied to the output, which is smaller than the weights. For MiniLM on RTE (shape (32, 12, 72, 32), bfloat16, dropout
0.1) forward and backward take 11.5 ms; transformers takes 28.7 ms, torch's fused attention 40.9 ms
(`tests/bench/README.md`).

**The gradient.** With G = ∂L/∂output / (1 − p) the backward pass is

    ∂L/∂V = (D ⊙ A)ᵀ G,   ∂L/∂A = D ⊙ (G Vᵀ),   ∂L/∂S = A ⊙ (∂L/∂A − rowsum(A ⊙ ∂L/∂A)),
    ∂L/∂Q = ∂L/∂S K / √d,   ∂L/∂K = ∂L/∂Sᵀ Q / √d

where S are the scores. Only Q, K, V, A and D are saved.

Example, outside of a model:

    q = k = v = torch.randn(2, 4, 10, 8)              # (batch, heads, tokens, size)
    output, _ = attend(nn.Module(), q, k, v, None)    # (2, 10, 4, 8)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from prunebench.models.fast.dropout import GENERATOR, select


class _Attention(torch.autograd.Function):
    """softmax(QKᵀ + bias)·V with dropout `p` on the softmax.

    Q, K and V have shape (batch × heads, tokens, size), Q is scaled already; `bias` has shape (batch, 1, tokens,
    tokens) or is None.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, p: float) -> Tensor:
        weights = torch.bmm(query, key.transpose(1, 2))
        if bias is not None:
            weights.view(len(bias), -1, *weights.shape[1:]).add_(bias)
        weights = torch.softmax(weights, dim=-1)
        keep = GENERATOR.keep_mask(weights.shape, p) if p else None
        ctx.save_for_backward(query, key, value, weights, keep)
        ctx.scale = 1 / (1 - p)
        if keep is None:
            return torch.bmm(weights, value)
        return torch.bmm(select(weights, keep), value).mul_(ctx.scale)

    # The softmax is saved as a number, so that a second derivative would lack its share: better none than a wrong one.
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        query, key, value, weights, keep = ctx.saved_tensors
        grad = grads[0] if keep is None else grads[0] * ctx.scale
        dropped_weights = weights if keep is None else select(weights, keep)
        grad_value = torch.bmm(dropped_weights.transpose(1, 2), grad)
        grad_weights = torch.bmm(grad, value.transpose(1, 2))
        if keep is not None:
            grad_weights = select(grad_weights, keep)
        grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
        return torch.bmm(grad_scores, key), torch.bmm(grad_scores.transpose(1, 2), query), grad_value, None, None


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
    """An attention function of transformers' `AttentionInterface`.

    Args:
        module: dropout applies only while it is in training mode.
        query, key, value: shape (batch, heads, tokens, size).
        attention_mask: is added to the scores, shape (batch, 1, tokens, tokens), or None.
        scaling: the factor of the scores, by default size^−½.

    Returns:
        The output, shape (batch, tokens, heads, size), and None in place of the attention weights.
    """
    batch, heads, _tokens, size = query.shape
    query = query * (size**-0.5 if scaling is None else scaling)
    bias = None if attention_mask is None else attention_mask.to(query.dtype)
    flat = (tensor.reshape(batch * heads, -1, size) for tensor in (query, key, value))
    output: Tensor = _Attention.apply(*flat, bias, dropout if module.training else 0.0)
    return output.view(batch, heads, -1, size).transpose(1, 2).contiguous(), None
