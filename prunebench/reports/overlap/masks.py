"""The masks of a store, and where in the encoder each of their groups of units lies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models.architecture import LINEARS, Architecture
from prunebench.models.sources import read_config
from prunebench.pruning.bitmask import Bitmask, unpack
from prunebench.results.rows import Row
from prunebench.store.schema import Cell, Record

# The sparsity at which Chen et al. 2020 transfer masks, used if none is named.
DEFAULT_SPARSITY = 0.7


class Store(Protocol):
    """The part of a store that masks and records are read from."""

    def load(self, kind: str, name: str, read: Any) -> Any: ...
    def has(self, kind: str, name: str) -> bool: ...
    def record(self, key: str) -> Record | None: ...


@dataclass(frozen=True, order=True)
class GroupLocation:
    """Where a group of units lies: its layer, −1 if it belongs to none, and its matrix, or what kind of units."""

    layer: int
    matrix: str


@dataclass(frozen=True, eq=False)
class MethodMask:
    """A method's mask on a task with a seed.

    `locations` says for each group of `packed` where it lies. `heads` is the number of heads of a layer, 0 if unknown.
    """

    method: str
    task: str
    seed: int
    unit: str
    packed: Bitmask
    locations: Mapping[str, GroupLocation]
    heads: int


def mask_sparsities(rows: Iterable[Row]) -> list[float]:
    """The sparsities that have masks, in rising order."""
    return sorted({row.cell.sparsity for row in rows if has_mask(row.cell)})


def choose_sparsity(rows: Sequence[Row], sparsity: float | None) -> float:
    """The given sparsity, or the one nearest to DEFAULT_SPARSITY.

    Raises PrunebenchError if there are no masks at it.
    """
    known = mask_sparsities(rows)
    if not known:
        raise PrunebenchError(
            "there are no masks to compare",
            "`prunebench run` makes some; for a run of an earlier version, give its command once more",
        )
    if sparsity is None:
        return min(known, key=lambda level: abs(level - DEFAULT_SPARSITY))
    if sparsity not in known:
        raise PrunebenchError(
            f"there are no masks at sparsity {sparsity:g}", f"known: {', '.join(f'{level:g}' for level in known)}"
        )
    return sparsity


def load_masks(rows: Iterable[Row], sparsity: float, store: Store, registry: Registry) -> list[MethodMask]:
    """The masks of methods at that sparsity, as far as they are in the store.

    Controls are left out, because they have their method's mask or a random one.
    """
    cells = {row.cell.key: row.cell for row in rows if has_mask(row.cell) and row.cell.sparsity == sparsity}
    results = []
    for cell in sorted(cells.values(), key=lambda cell: (cell.unit, cell.label, cell.task, cell.seed)):
        if not store.has("masks", cell.mask):
            continue
        record = store.record(cell.key)
        if record is None:
            continue
        packed: Bitmask = store.load("masks", cell.mask, unpack)
        family = registry.get("models", record.experiment.model.family)
        locations = {name: locate(name, family) for name in packed.shapes}
        heads = _heads(cell, record, packed, registry)
        results.append(MethodMask(cell.label, cell.task, cell.seed, cell.unit, packed, locations, heads))
    return results


def has_mask(cell: Cell) -> bool:
    """Whether the store may hold a mask that the cell's own method computed."""
    return bool(cell.mask) and not cell.control_of and not cell.mask_from and bool(cell.sparsity)


def locate(name: str, family: Architecture) -> GroupLocation:
    """Where a group lies, by its name: a parameter of one of the family's Linears, or such as `layer.{i}.heads`."""
    if structure := re.fullmatch(r"layer\.(\d+)\.(heads|neurons|layer)", name):
        return GroupLocation(int(structure[1]), structure[2])
    matrices = {getattr(family, part): part for part in LINEARS}
    linear = re.search(rf"\.{re.escape(family.layers)}\.(\d+)\.(.+)\.weight$", name)
    if linear and linear[2] in matrices:
        return GroupLocation(int(linear[1]), matrices[linear[2]])
    if family.pooler and name.endswith(f".{family.pooler}.weight"):
        return GroupLocation(-1, "pooler")
    return GroupLocation(-1, name)


def _heads(cell: Cell, record: Record, packed: Bitmask, registry: Registry) -> int:
    """The number of heads of a layer, from the mask itself, the record, or the checkpoint that a plugin brings."""
    if cell.unit == "head":
        return max(shape[0] for shape in packed.shapes.values())
    if record.encoder is not None:
        return record.encoder.heads
    if cell.setting.model in registry.entries("checkpoints"):
        config = read_config(registry.get("checkpoints", cell.setting.model).folder)
        return int(config.get("num_attention_heads", 0))
    return 0
