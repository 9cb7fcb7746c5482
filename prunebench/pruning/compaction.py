"""Remove pruned heads, neurons and layers from a model, and save and load such models.

A masked head is zero, but its products are still computed. Compaction removes the rows and columns of pruned units from
their Linears, so that the model becomes smaller and faster and gives the same logits (they differ by at most 1e-5 in
float32). Example, a layer of BERT-base of which 9 of 12 heads (size 64) stay:

    query, key, value      (768, 768)  →  (576, 768)      rows
    attention output       (768, 768)  →  (768, 576)      columns

Each layer keeps its own number of units. A layer without any heads gets `NoHeads` in place of its attention. A pruned
layer leaves the list of layers, and those behind it move up.
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
from prunebench.models.encoder import PrunableModel, describe
from prunebench.pruning.groups import Structure
from prunebench.pruning.removal import NoHeads as NoHeads
from prunebench.pruning.removal import fit_linears, units_in
from prunebench.pruning.structures import gate_points, groups, structure_of
from prunebench.recipes.strategy import Unit

FORMAT = 1
SHAPES = "compaction.json"
WEIGHTS = "model.safetensors"
UNITS_OF_LAYERS: tuple[Unit, ...] = ("head", "neuron")


def compact(pm: PrunableModel, mask: Mapping[str, Tensor], unit: Unit | Structure) -> nn.Module:
    """A deep copy of the model without the units whose `mask` (by group, True stays) is False.

    `pm` is unchanged.

    Raises:
        PrunebenchError: if such units cannot be removed, as single weights.
    """
    structure = structure_of(unit)
    model = copy.deepcopy(pm.model)
    structure.remove(model, pm, mask)
    return model


def save_compacted(model: nn.Module, folder: Path, pm: PrunableModel) -> None:
    """Save a compacted model: its weights, its `config.json`, and the numbers of heads and neurons of each layer left.

    `pm` is the model before compaction. Use `load_compacted` to load the folder: transformers cannot, because its
    configuration has one number of heads for all layers. What a plugin's structure cut out of Linears is in the shapes
    of the weights.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    widths: dict[Unit, int] = {"head": pm.head_size, "neuron": 1}
    config: Any = model.config
    # The layers that are left have the paths of the first ones.
    left = dataclasses.replace(pm, layers=pm.layers[: config.num_hidden_layers])
    counts = {
        unit: [units_in(model, linear, width) for linear in gate_points(left, unit).values()]
        for unit, width in widths.items()
    }
    shapes = {"format": FORMAT, "architecture": dataclasses.asdict(pm.architecture), "units": counts}
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
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
    if config.num_hidden_layers:
        _shrink(model, describe(model, architecture), shapes["units"])
    fit_linears(model, weights)
    model.load_state_dict(weights)
    return model.eval()  # type: ignore[no-any-return]


def _shrink(model: nn.Module, pm: PrunableModel, counts: Mapping[Unit, list[int]]) -> None:
    """Leave so many units in each layer, in place. Only their numbers matter, as the weights are read from the file."""
    for unit in UNITS_OF_LAYERS:
        sizes = {name: group.shape[0] for name, group in groups(pm, unit).items()}
        numbers = zip(sizes.items(), counts[unit], strict=True)
        structure_of(unit).remove(model, pm, {name: torch.arange(size) < count for (name, size), count in numbers})


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
