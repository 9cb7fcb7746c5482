"""Attention on a CPU, forward and backward: PyTorch's fused form against the products written out.

Shapes are those of MiniLM on RTE: 32 texts, 12 heads of width 32, 72 tokens of which 60 are real.
"""

from __future__ import annotations

import torch
from interleaved import compare
from torch import Tensor
from torch.nn.functional import dropout, scaled_dot_product_attention

SHAPE = (32, 12, 72, 32)


def main() -> None:
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for dtype in (torch.bfloat16, torch.float32):
            for rate in (0.1, 0.0):
                title = f"attention, {threads} threads, {dtype}, dropout {rate}"
                compare(title, {"written out": lambda d=dtype, r=rate: written_out(d, r),
                                "fused": lambda d=dtype, r=rate: fused(d, r)})  # fmt: skip


def inputs(dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    mask = torch.zeros(SHAPE[0], 1, 1, SHAPE[2], dtype=torch.bool)
    mask[..., :60] = True
    return [torch.randn(SHAPE, dtype=dtype, requires_grad=True) for _ in range(3)], mask


def written_out(dtype: torch.dtype, rate: float) -> None:
    (query, key, value), mask = inputs(dtype)
    scores = query @ key.transpose(2, 3) * SHAPE[3] ** -0.5
    scores = scores.masked_fill(~mask, torch.finfo(dtype).min)
    (dropout(scores.softmax(-1), rate) @ value).sum().backward()


def fused(dtype: torch.dtype, rate: float) -> None:
    (query, key, value), mask = inputs(dtype)
    mask = mask.expand(-1, -1, SHAPE[2], -1)
    scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=rate).sum().backward()


if __name__ == "__main__":
    main()
