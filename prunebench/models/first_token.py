"""In training, the last layer goes on behind its attention with the first token, which is all that the head reads.

Loss and gradients are what they were, without the work for all other tokens. In evaluation mode these are there, for
whoever looks at what goes through a layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.models.prunable import PrunableModel


def train_first_token_alone(pm: PrunableModel) -> None:
    """Do so from now on, if the family says where its tokens meet for the last time."""
    if pm.architecture.after_attention:
        layer = pm.layers[-1].query.removesuffix(pm.architecture.query)
        pm.model.get_submodule(layer + pm.architecture.after_attention).register_forward_pre_hook(_first_token)


def _first_token(module: nn.Module, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor[:, :1] for tensor in tensors) if module.training else tensors
