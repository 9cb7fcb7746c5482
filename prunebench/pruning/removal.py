"""Take units out of a model, in place: rows and columns out of Linears, heads out of attention, layers out of the list.

`compaction` makes the copy that these functions work on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from prunebench.models.encoder import Layer, PrunableModel
from prunebench.pruning.groups import Group


class NoHeads(nn.Module):
    """The attention of a layer without heads: its output has width 0, and the output Linear only adds its bias.

    Some families keep the output Linear inside the attention module (DistilBERT's `out_lin`). It is then passed as
    `output`, and keeps its name `output_name`.
    """

    def __init__(self, output_name: str = "", output: nn.Module | None = None) -> None:
        super().__init__()
        self.output_name = output_name
        if output is not None:
            self.add_module(output_name, output)

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        """From (batch, tokens, hidden) to (batch, tokens, 0), or through the output Linear to the input's shape."""
        empty = hidden_states[..., :0]
        return (self.get_submodule(self.output_name)(empty) if self.output_name else empty), None


def narrow(model: nn.Module, groups: Mapping[str, Group], mask: Mapping[str, Tensor]) -> None:
    """Cut the slices of the units whose `mask` is False out of their Linears."""
    for name, group in groups.items():
        for part in group.slices:
            stays = mask[name].repeat_interleave(part.width).nonzero().squeeze(1)
            _narrow(model, part.parameter, part.dim, stays)


def adapt_attention(model: nn.Module, pm: PrunableModel, layer: Layer) -> None:
    """Set the number of heads in a layer's attention, or replace an attention without heads by `NoHeads`."""
    heads = units_in(model, layer.attention_output, pm.head_size)
    attention: Any = model.get_submodule(layer.attention)
    if heads:
        for name in ("num_attention_heads", "n_heads"):
            if hasattr(attention, name):
                setattr(attention, name, heads)
        if hasattr(attention, "all_head_size"):
            attention.all_head_size = heads * pm.head_size
        return
    output_name = layer.attention_output.removeprefix(f"{layer.attention}.")
    owns_output = output_name != layer.attention_output
    empty = NoHeads(output_name, attention.get_submodule(output_name)) if owns_output else NoHeads()
    path, _, name = layer.attention.rpartition(".")
    setattr(model.get_submodule(path), name, empty.train(attention.training))


def keep_layers(model: nn.Module, pm: PrunableModel, stays: Sequence[bool]) -> None:
    """Keep only the layers for which `stays` is True; each then has the number of its new position in its path."""
    path = f"{pm.model.base_model_prefix}.{pm.architecture.layers}"
    parent, _, name = path.rpartition(".")
    layers: Any = model.get_submodule(path)
    owner: Any = model.get_submodule(parent)
    remaining = [layer for layer, stay in zip(layers, stays, strict=True) if stay]
    setattr(owner, name, nn.ModuleList(remaining))
    config: Any = model.config
    config.num_hidden_layers = len(remaining)
    # DistilBERT's encoder has the number as an attribute, too.
    if hasattr(owner, "n_layers"):
        owner.n_layers = len(remaining)


def fit_linears(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give each Linear the shape of its weight and bias in `weights`; their values are left to be set."""
    for path, linear in model.named_modules():
        if not isinstance(linear, nn.Linear) or linear.weight.shape == weights[f"{path}.weight"].shape:
            continue
        linear.out_features, linear.in_features = weights[f"{path}.weight"].shape
        for name, parameter in list(linear.named_parameters()):
            empty = parameter.new_empty(weights[f"{path}.{name}"].shape)
            setattr(linear, name, nn.Parameter(empty, requires_grad=parameter.requires_grad))


def units_in(model: nn.Module, linear: str, width: int) -> int:
    """The number of units of `width` columns in the input of a Linear."""
    return int(model.get_parameter(f"{linear}.weight").shape[1]) // width


def _narrow(model: nn.Module, parameter: str, dim: int, stays: Tensor) -> None:
    """Keep only the entries `stays` of a Linear's parameter along `dim`."""
    path, _, name = parameter.rpartition(".")
    linear: Any = model.get_submodule(path)
    old = getattr(linear, name)
    narrowed = old.detach().index_select(dim, stays.to(old.device))
    setattr(linear, name, nn.Parameter(narrowed, requires_grad=old.requires_grad))
    if name == "weight":
        linear.out_features, linear.in_features = narrowed.shape
