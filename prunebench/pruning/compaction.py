"""Remove pruned heads and neurons from a model, and save and load such models.

A masked head is zero, but its products are still computed. Compaction removes the rows and columns of pruned units from
their Linears, so that the model becomes smaller and faster and gives the same logits (they differ by at most 1e-5 in
float32). Example, a layer of BERT-base of which 9 of 12 heads (size 64) stay:

    query, key, value      (768, 768)  →  (576, 768)      rows
    attention output       (768, 768)  →  (768, 576)      columns

Each layer keeps its own number of units. A layer without any heads gets `NoHeads` in place of its attention.
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
UNITS_OF_LAYERS: tuple[Unit, ...] = ("head", "neuron")


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


def compact(pm: PrunableModel, mask: Mapping[str, Tensor], unit: Unit) -> nn.Module:
    """A deep copy of the model without the heads or neurons whose `mask` (by group, True stays) is False.

    `pm` is unchanged.

    Raises:
        PrunebenchError: if `unit` is "weight".
    """
    if unit == "weight":
        raise PrunebenchError("single weights cannot be removed from a matrix", "expected unit 'head' or 'neuron'")
    model = copy.deepcopy(pm.model)
    _remove(model, pm, mask, unit)
    return model


def save_compacted(model: nn.Module, folder: Path, pm: PrunableModel) -> None:
    """Save a compacted model: its weights, its `config.json`, and the numbers of heads and neurons of each layer.

    `pm` is the model before compaction. Use `load_compacted` to load the folder: transformers cannot, because its
    configuration has one number of heads for all layers.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    widths: dict[Unit, int] = {"head": pm.head_size, "neuron": 1}
    counts = {
        unit: [_units(model, linear, width) for linear in gate_points(pm, unit).values()]
        for unit, width in widths.items()
    }
    shapes = {"format": FORMAT, "architecture": dataclasses.asdict(pm.architecture), "units": counts}
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
    config: Any = model.config
    config.save_pretrained(folder)
    (folder / SHAPES).write_text(json.dumps(shapes, indent=2) + "\n", encoding="utf-8")


def load_compacted(folder: Path) -> nn.Module:
    """Load a model that `save_compacted` saved, bit for bit, in float32 and in evaluation mode.

    Raises:
        PrunebenchError: if the folder has no compacted model, or one of another format.
    """
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
    for unit in UNITS_OF_LAYERS:
        sizes = {name: group.shape[0] for name, group in groups(pm, unit).items()}
        # Only the numbers of units matter here: their values are read from the file.
        counts = zip(sizes.items(), shapes["units"][unit], strict=True)
        _remove(model, pm, {name: torch.arange(size) < count for (name, size), count in counts}, unit)
    model.load_state_dict(weights)
    return model.eval()  # type: ignore[no-any-return]


def _remove(model: nn.Module, pm: PrunableModel, mask: Mapping[str, Tensor], unit: Unit) -> None:
    """Remove units from `model`, in place. Its parameters have the names and shapes of `pm`."""
    for name, group in groups(pm, unit).items():
        for part in group.slices:
            stays = mask[name].repeat_interleave(part.width).nonzero().squeeze(1)
            _narrow(model, part.parameter, part.dim, stays)
    if unit == "head":
        for layer in pm.layers:
            _adapt_attention(model, pm, layer)


def _narrow(model: nn.Module, parameter: str, dim: int, stays: Tensor) -> None:
    """Keep only the entries `stays` of a Linear's parameter along `dim`."""
    path, _, name = parameter.rpartition(".")
    linear: Any = model.get_submodule(path)
    old = getattr(linear, name)
    narrowed = old.detach().index_select(dim, stays.to(old.device))
    setattr(linear, name, nn.Parameter(narrowed, requires_grad=old.requires_grad))
    if name == "weight":
        linear.out_features, linear.in_features = narrowed.shape


def _adapt_attention(model: nn.Module, pm: PrunableModel, layer: Layer) -> None:
    """Set the number of heads in a layer's attention, or replace an attention without heads by `NoHeads`."""
    heads = _units(model, layer.attention_output, pm.head_size)
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


def _units(model: nn.Module, linear: str, width: int) -> int:
    """The number of units of `width` columns in the input of a Linear."""
    return int(model.get_parameter(f"{linear}.weight").shape[1]) // width


def _read_shapes(folder: Path) -> dict[str, Any]:
    try:
        shapes = json.loads((folder / SHAPES).read_text(encoding="utf-8"))
        version = shapes["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PrunebenchError(f"no compacted model in {str(folder)!r}", f"expected {SHAPES} and {WEIGHTS}") from error
    if version != FORMAT:
        raise PrunebenchError(
            f"{SHAPES} in {str(folder)!r} has format {version}, expected {FORMAT}", "update prunebench"
        )
    return shapes  # type: ignore[no-any-return]


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where an `Architecture` has tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
