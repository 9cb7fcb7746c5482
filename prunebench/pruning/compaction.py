"""Take pruned heads and neurons out of a model for real, and write such a model to a folder and read it again.

Imports torch, and transformers inside functions; may import `units` and `models`.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.models.architecture import Architecture
from prunebench.models.encoder import Layer, PrunableModel, describe
from prunebench.pruning.structures import gate_points, groups
from prunebench.recipes.strategy import Unit

FORMAT = 1
SHAPES = "compaction.json"
WEIGHTS = "model.safetensors"


class NoHeads(nn.Module):
    """The attention of a layer that has lost all its heads: what comes out has width 0.

    Where a family keeps the output Linear inside its attention module (DistilBERT's `out_lin`), it is kept here under
    the same name and gives its bias; elsewhere it follows and does so there.
    """

    def __init__(self, output_name: str = "", output: nn.Module | None = None) -> None:
        super().__init__()
        self.output_name = output_name
        if output is not None:
            self.add_module(output_name, output)

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        """From (batch, length, hidden) to (batch, length, 0), or (batch, length, hidden) through the output."""
        empty = hidden_states[..., :0]
        return (self.get_submodule(self.output_name)(empty) if self.output_name else empty), None


def compact(pm: PrunableModel, mask: Mapping[str, Tensor], unit: Unit) -> nn.Module:
    """A deep copy of the model without the heads or neurons whose `mask` (by group, True stays) is False.

    Each layer keeps its own number, zero included. The copy gives the logits of the model with the same units at
    zero. `pm` is left as it is.
    """
    if unit == "weight":
        raise PrunebenchError("single weights cannot be taken out of a matrix", "only heads and neurons leave for real")
    model = copy.deepcopy(pm.model)
    _remove(model, pm, mask, unit)
    return model


def save_compacted(model: nn.Module, folder: Path, pm: PrunableModel) -> None:
    """Write a compacted model: its weights, its `config.json`, and how many heads and neurons each layer has left.

    `pm` is what the model was compacted from. `load_compacted` reads the folder; transformers alone cannot, because a
    configuration has one number of heads for all layers.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    left = {
        unit: [
            _units_left(model, linear, pm.head_size if unit == "head" else 1)
            for linear in gate_points(pm, unit).values()
        ]
        for unit in _STRUCTURED
    }
    shapes = {"format": FORMAT, "architecture": dataclasses.asdict(pm.architecture), "units": left}
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
    config: Any = model.config
    config.save_pretrained(folder)
    (folder / SHAPES).write_text(json.dumps(shapes, indent=2) + "\n", encoding="utf-8")


def load_compacted(folder: Path) -> nn.Module:
    """Read what `save_compacted` wrote: the same parameters bit for bit, in float32, in evaluation mode."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForSequenceClassification

    shapes = _read_shapes(folder)
    architecture = Architecture(**_tuples(shapes["architecture"]))
    try:
        weights = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise PrunebenchError(
            f"{WEIGHTS} in {str(folder)!r} cannot be read: {reason}", "save the model again"
        ) from error
    with torch.random.fork_rng(devices=[]):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32, attn_implementation="sdpa")
    pm = describe(model, architecture)
    for unit in _STRUCTURED:
        sizes = {name: group.shape[0] for name, group in groups(pm, unit).items()}
        # Which units stay does not matter here, only how many: their values are read from the file.
        first = zip(sizes.items(), shapes["units"][unit], strict=True)
        _remove(model, pm, {name: torch.arange(size) < count for (name, size), count in first}, unit)
    model.load_state_dict(weights)
    return model.eval()  # type: ignore[no-any-return]


_STRUCTURED: tuple[Unit, ...] = ("head", "neuron")


def _remove(model: nn.Module, pm: PrunableModel, mask: Mapping[str, Tensor], unit: Unit) -> None:
    """Remove the units from `model`, whose parameters are named and shaped as those of `pm`, in place."""
    for name, group in groups(pm, unit).items():
        for part in group.slices:
            stays = mask[name].repeat_interleave(part.width).nonzero().squeeze(1)
            _narrow(model, part.parameter, part.dim, stays)
    if unit == "head":
        for layer in pm.layers:
            _settle_attention(model, pm, layer)


def _narrow(model: nn.Module, parameter: str, dim: int, stays: Tensor) -> None:
    """Keep only the entries `stays` of a Linear's parameter along `dim`."""
    path, _, name = parameter.rpartition(".")
    linear: Any = model.get_submodule(path)
    old = getattr(linear, name)
    narrowed = old.detach().index_select(dim, stays.to(old.device))
    setattr(linear, name, nn.Parameter(narrowed, requires_grad=old.requires_grad))
    if name == "weight":
        linear.out_features, linear.in_features = narrowed.shape


def _settle_attention(model: nn.Module, pm: PrunableModel, layer: Layer) -> None:
    """Let a layer's attention know its number of heads; without any, put another module in its place."""
    heads = _units_left(model, layer.attention_output, pm.head_size)
    attention: Any = model.get_submodule(layer.attention)
    if heads:
        for name in ("num_attention_heads", "n_heads"):
            if hasattr(attention, name):
                setattr(attention, name, heads)
        if hasattr(attention, "all_head_size"):
            attention.all_head_size = heads * pm.head_size
        return
    inside = layer.attention_output.removeprefix(f"{layer.attention}.")
    owns_output = inside != layer.attention_output
    path, _, name = layer.attention.rpartition(".")
    empty = NoHeads(inside, attention.get_submodule(inside)) if owns_output else NoHeads()
    setattr(model.get_submodule(path), name, empty.train(attention.training))


def _units_left(model: nn.Module, linear: str, width: int) -> int:
    return int(model.get_parameter(f"{linear}.weight").shape[1]) // width


def _read_shapes(folder: Path) -> dict[str, Any]:
    try:
        shapes = json.loads((folder / SHAPES).read_text(encoding="utf-8"))
        found = shapes["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PrunebenchError(f"no compacted model in {str(folder)!r}", f"expected {SHAPES} and {WEIGHTS}") from error
    if found != FORMAT:
        raise PrunebenchError(f"{SHAPES} in {str(folder)!r} has format {found}, expected {FORMAT}", "update prunebench")
    return shapes  # type: ignore[no-any-return]


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
