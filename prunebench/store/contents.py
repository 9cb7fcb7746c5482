"""What a store holds: the kinds of its files, and an overview of plans, cells and bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from prunebench.store.backends import is_temporary
from prunebench.store.files import SUFFIX
from prunebench.store.schema import Cell, StoredPlan
from prunebench.store.store import Store

DAMAGED = ".damaged"
WORDS = {
    "plans": "plan",
    "records": "record",
    "masks": "mask",
    "weights": "weight file",
    "models": "model",
    "checkpoints": "checkpoint",
    "labels": "label file",
    "failures": "failure",
    "damaged": "damaged file",
    "temporary": "temporary file",
}


def kind_of(name: str) -> str:
    """What a file of a store is, by its name: a kind of `WORDS`, or "" for the head and for files of others."""
    folder, _, base = name.rpartition("/")
    if is_temporary(name):
        return "temporary"
    if base.endswith(DAMAGED):
        return "damaged"
    kind = folder.partition("/")[0]
    # Logits are stored with their record.
    suffixes = (SUFFIX.get(kind, "/"), ".npz") if kind == "records" else (SUFFIX.get(kind, "/"),)
    return kind if base.endswith(suffixes) else ""


def key_of(name: str) -> str:
    """The key, or the name of weights, in the name of a file."""
    return name.rpartition("/")[2].rpartition(".")[0]


def names_of(store: Store, kind: str) -> list[str]:
    """The names of a store's files of this kind: neither damaged ones nor files of others."""
    return [name for name in store.backend.names(kind) if kind_of(name) == kind]


@dataclass(frozen=True)
class Overview:
    """What a store holds: its plans with the states of their cells, and for each kind of file the number and bytes.

    States are "done", "failed" and "missing". A cell that several plans ask for counts once in `cells`.
    """

    plans: list[tuple[StoredPlan, Counter[str]]]
    cells: Counter[str]
    models: list[str]
    methods: list[str]
    protocols: list[str]
    codes: list[str]
    files: dict[str, tuple[int, int]]


def overview(store: Store) -> Overview:
    """Look at the plans of a store and at the names of all its files. No record is opened."""
    files = store.backend.files()
    done, failed = (
        {key_of(name) for name in files if kind_of(name) == kind and name.endswith(SUFFIX[kind])}
        for kind in ("records", "failures")
    )

    def state(cell: Cell) -> str:
        if cell.key in done:
            return "done"
        return "missing" if failed.isdisjoint(cell.record_keys) else "failed"

    plans = store.plans(kind=None)
    cells = [cell for plan in plans for cell in plan.cells]
    states = {(cell.label, cell.task, cell.sparsity, cell.seed, cell.setting): state(cell) for cell in cells}
    settings = {cell.setting for cell in cells}
    return Overview(
        plans=[(plan, Counter(map(state, plan.cells))) for plan in plans],
        cells=Counter(states.values()),
        models=sorted({f"{setting.model} ({setting.model_fingerprint[:8]})" for setting in settings}),
        methods=sorted({cell.label for cell in cells}),
        protocols=sorted({setting.protocol for setting in settings}),
        codes=sorted({setting.code for setting in settings}),
        files={
            kind: (len({key_of(name) for name in names}), sum(files[name].size for name in names))
            for kind in WORDS
            if (names := [name for name in files if kind_of(name) == kind])
        },
    )


def size_text(size: int) -> str:
    """`512 bytes`, `3.4 MB`."""
    value, units = float(size), iter(("kB", "MB", "GB", "TB"))
    unit = "bytes"
    while value >= 1000 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
