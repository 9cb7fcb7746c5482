"""Attention and dropout on a CPU, forward and backward: ours against those of transformers and torch.

Shapes are those of MiniLM on RTE (32 texts of 72 tokens, of which 60 are real, 12 heads of width 32) and of quick-bert
(4 heads, 16 tokens). As in a model under autocast, the mask is float32 whatever the products are computed in.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from interleaved import compare
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers.models.bert.modeling_bert import eager_attention_forward

from prunebench.models.fast.attention import attend
from prunebench.models.fast.dropout import Dropout

MINILM, QUICK = (32, 12, 72, 32), (32, 4, 16, 32)


def main() -> None:
    torch.set_num_threads(1)
    for shape in (MINILM, QUICK):
        for dtype in (torch.bfloat16, torch.float32):
            for rate in (0.1, 0.0):
                title = f"attention, {shape}, {str(dtype).removeprefix('torch.')}, dropout {rate}"
                ways = {"ours": attend, "transformers": eager_attention_forward, "torch, fused": fused}
                compare(title, {name: attention(way, shape, dtype, rate) for name, way in ways.items()})
    for shape in ((32, 72, 384), (32, 16, 128)):
        modules = {"ours": Dropout(0.1), "torch": nn.Dropout(0.1)}
        compare(f"dropout and sum, {shape}", {name: dropped(module, shape) for name, module in modules.items()})


def attention(way: Callable[..., tuple[Tensor, object]], shape: tuple[int, ...], dtype: torch.dtype, rate: float):
    module = nn.Module().train()
    tensors = [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3)]
    mask = torch.zeros(shape[0], 1, shape[2], shape[2])
    mask[..., shape[2] * 5 // 6 :] = torch.finfo(torch.float32).min

    def once() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            found, _ = way(module, *tensors, mask, scaling=shape[3] ** -0.5, dropout=rate)
        found.sum().backward()

    return once


def fused(module, query, key, value, mask, scaling, dropout):
    found = scaled_dot_product_attention(query, key, value, attn_mask=mask == 0, dropout_p=dropout, scale=scaling)
    return found.transpose(1, 2).contiguous(), None


def dropped(module: nn.Module, shape: tuple[int, ...]):
    """A dropout of bfloat16 that is added to float32, as behind each sublayer."""
    values = torch.randn(shape, dtype=torch.bfloat16, requires_grad=True)
    other = torch.randn(shape)
    return lambda: (module(values) + other).sum().backward()


if __name__ == "__main__":
    main()
