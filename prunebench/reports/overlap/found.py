"""The masks of a store, and where in the encoder each of their groups lies. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.models.architecture import LINEARS, Architecture
from prunebench.models.sources import read_config
from prunebench.pruning.bitmask import Packed, unpack
from prunebench.results.rows import Row
from prunebench.store.schema import Cell, Record

# Where no sparsity is named: that of the paper's transfer.
USUAL = 0.7


class Store(Protocol):
    """What masks and records are read from."""

    def load(self, kind: str, name: str, read: Any) -> Any: ...
    def has(self, kind: str, name: str) -> bool: ...
    def record(self, key: str) -> Record | None: ...


@dataclass(frozen=True, order=True)
class Place:
    """A group of units: its layer (−1 for what belongs to none), and which matrix it is, or heads or neurons."""

    layer: int
    matrix: str


@dataclass(frozen=True, eq=False)
class Found:
    """A method's mask on a task with a seed. `heads` is how many each layer has, 0 where nobody says."""

    method: str
    task: str
    seed: int
    unit: str
    packed: Packed
    places: Mapping[str, Place]
    heads: int


def levels(rows: Iterable[Row]) -> list[float]:
    """The sparsities at which there are masks."""
    return sorted({row.cell.sparsity for row in rows if has_mask(row.cell)})


def choose(rows: Sequence[Row], sparsity: float | None) -> float:
    """The sparsity that is asked for, or what is nearest to the usual one."""
    known = levels(rows)
    if not known:
        raise PrunebenchError(
            "there are no masks to compare",
            "`prunebench run` makes some; of a run by an earlier version it names them when it is said again",
        )
    if sparsity is None:
        return min(known, key=lambda level: abs(level - USUAL))
    if sparsity not in known:
        raise PrunebenchError(
            f"there are no masks at sparsity {sparsity:g}", f"known: {', '.join(f'{level:g}' for level in known)}"
        )
    return sparsity


def masks(rows: Iterable[Row], sparsity: float, store: Store, registry: Registry) -> list[Found]:
    """The masks at that sparsity that methods have found; a control has its method's, or one drawn at random."""
    cells = {row.cell.key: row.cell for row in rows if has_mask(row.cell) and row.cell.sparsity == sparsity}
    found = []
    for cell in sorted(cells.values(), key=lambda cell: (cell.unit, cell.label, cell.task, cell.seed)):
        if not store.has("masks", cell.mask):
            continue
        record = store.record(cell.key)
        if record is None:
            continue
        packed: Packed = store.load("masks", cell.mask, unpack)
        family = registry.get("models", record.experiment.model.family)
        places = {name: place(name, family) for name in packed.shapes}
        heads = _heads(cell, record, packed, registry)
        found.append(Found(cell.label, cell.task, cell.seed, cell.unit, packed, places, heads))
    return found


def has_mask(cell: Cell) -> bool:
    """Whether the store may hold a mask that the cell's own method has found."""
    return bool(cell.mask) and not cell.control_of and not cell.mask_from and bool(cell.sparsity)


def place(name: str, family: Architecture) -> Place:
    """Where the group of that name lies: a parameter of one of the family's Linears, or `layer.{i}.heads`."""
    if structured := re.fullmatch(r"layer\.(\d+)\.(heads|neurons)", name):
        return Place(int(structured[1]), structured[2])
    matrices = {getattr(family, part): part for part in LINEARS}
    inside = re.search(rf"\.{re.escape(family.layers)}\.(\d+)\.(.+)\.weight$", name)
    if inside and inside[2] in matrices:
        return Place(int(inside[1]), matrices[inside[2]])
    if family.pooler and name.endswith(f".{family.pooler}.weight"):
        return Place(-1, "pooler")
    return Place(-1, name)


def _heads(cell: Cell, record: Record, packed: Packed, registry: Registry) -> int:
    """How many heads a layer has: by the mask itself, by the record, or by the checkpoint that a plugin brings."""
    if cell.unit == "head":
        return max(shape[0] for shape in packed.shapes.values())
    if record.encoder is not None:
        return record.encoder.heads
    if cell.setting.model in registry.entries("checkpoints"):
        config = read_config(registry.get("checkpoints", cell.setting.model).folder)
        return int(config.get("num_attention_heads", 0))
    return 0
