"""Move a model to a device, and use the attention and dropout that are fastest there."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, eager_mask, sdpa_mask

from prunebench.models.fast.attention import attend
from prunebench.models.fast.dropout import replace_dropout

CPU_ATTENTION = "prunebench"
CUDA_ATTENTION = "prunebench-fused"


def move_and_accelerate(model: Any, device: str) -> None:
    """Move a transformers model to `device` ("cpu" or "cuda") and accelerate it for that device, in place."""
    model.to(device)
    accelerate(model, device)


def accelerate(model: Any, device: str) -> None:
    """Replace attention and dropout by what is fastest on `device`, in place, wherever the model is now.

    On a CPU these are `attention.attend` and `dropout.Dropout`. On a GPU torch's fused attention and dropout stay;
    only the mask is computed in another way.
    """
    if device == "cuda":
        AttentionInterface.register(CUDA_ATTENTION, sdpa_attention_forward)
        AttentionMaskInterface.register(CUDA_ATTENTION, _mask)
        model.set_attn_implementation(CUDA_ATTENTION)
    else:
        AttentionInterface.register(CPU_ATTENTION, attend)
        AttentionMaskInterface.register(CPU_ATTENTION, eager_mask)
        model.set_attn_implementation(CPU_ATTENTION)
        replace_dropout(model)


def _mask(**arguments: Any) -> Tensor | None:
    """The mask of torch's attention, never skipped.

    transformers skips a mask without padding, but must copy it to the host to see that: every step would wait for the
    GPU.
    """
    mask: Tensor | None = sdpa_mask(**{**arguments, "allow_is_bidirectional_skip": False})
    return mask
