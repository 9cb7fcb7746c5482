"""Whether a store is sound: every file of it is read, and the files are compared with one another.

Damaged files are set aside. The comparison follows a cell from its plan to its record, from there to the logits and
the mask, and from the mask to the weights.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.runtime.progress import plural
from prunebench.store.backends import StoreError
from prunebench.store.labels import labels_name, read_labels
from prunebench.store.schema import Cell, Record
from prunebench.store.store import InputMissing, Store

NAMES = {
    "records": "record",
    "masks": "mask",
    "weights": "weight file",
    "models": "model",
    "checkpoints": "checkpoint",
    "labels": "label file",
}


@dataclass(frozen=True)
class Inspection:
    """The number of files of each kind, the reasons of failures with how often each stands, and what is wrong."""

    files: dict[str, int]
    failures: dict[str, int]
    complaints: list[str]

    def __str__(self) -> str:
        return ", ".join(plural(number, NAMES[kind]) for kind, number in self.files.items() if number) or "nothing yet"


@dataclass
class _Contents:
    """What could be read of a store: records, shapes of logits by record and evaluation, summaries of masks, and the
    numbers of labels by evaluation.

    `unreadable` are the kinds of files that could not be listed.
    """

    records: dict[str, Record] = field(default_factory=dict)
    shapes: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    masks: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)


def inspect(store: Store) -> Inspection:
    """Read every file of a store, and compare them.

    Damaged files are set aside, and made again by the next run that needs them. What cannot be read is reported, and
    the rest is read all the same.
    """
    contents = _Contents()
    files = {kind: _keys(store, kind, contents) for kind in (*NAMES, "failures", "plans", "runs")}
    for key in files["records"]:
        with _noted(store):
            _read_record(store, key, contents)
    for kind in ("masks", "weights", "models", "checkpoints", "labels"):
        for key in files[kind]:
            with _noted(store):
                _read_tensors(store, kind, key, contents)
    reasons: Counter[str] = Counter()
    for key in files["failures"]:
        with _noted(store):
            reasons.update(failure.reason for failure in store.failures([key]).values())
    with _noted(store):
        cells = {cell.key: cell for plan in store.plans(kind=None) for cell in plan.cells}
        for cell in cells.values():
            with _noted(store):
                store.complaints += _faults(store, cell, contents)
    numbers = {kind: len(_keys(store, kind, contents)) for kind in NAMES}
    return Inspection(numbers, dict(reasons.most_common()), list(dict.fromkeys(store.complaints)))


@contextlib.contextmanager
def _noted(store: Store) -> Iterator[None]:
    """Note an error among the complaints, and go on."""
    try:
        yield
    except (StoreError, InputMissing) as error:
        store.complaints.append(error.message)
    except PrunebenchError as error:
        store.complaints.append(str(error))


def _keys(store: Store, kind: str, contents: _Contents) -> list[str]:
    try:
        return store.backend.names("runs") if kind == "runs" else store.keys(kind)
    except StoreError as error:
        contents.unreadable.add(kind)
        store.complaints.append(error.message)
        return []


def _read_record(store: Store, key: str, contents: _Contents) -> None:
    record = store.record(key)
    if record is None:
        return
    shapes = {name: array.shape for name, array in store.logits(key).items()}
    contents.records[key], contents.shapes[key] = record, shapes
    # Records of the first versions may have no logits.
    expected = {name: scores.examples for name, scores in record.evaluations.items()}
    if shapes and {name: shape[:1] for name, shape in shapes.items()} != {name: (n,) for name, n in expected.items()}:
        store.complaints.append(f"the record {key} has logits of {_counts(shapes)} (expected {_counts(expected)})")


def _counts(examples: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{number[0] if isinstance(number, tuple) else number} {name}" for name, number in examples.items()
    )


def _read_tensors(store: Store, kind: str, key: str, contents: _Contents) -> None:
    import safetensors

    from prunebench.pruning import bitmask

    if kind == "masks":
        contents.masks[key] = store.load(kind, key, bitmask.summary)
    elif kind == "labels":
        contents.labels[key] = {name: len(labels) for name, labels in (read_labels(store, key) or {}).items()}
    else:
        store.load(kind, key, safetensors.deserialize)


def _faults(store: Store, cell: Cell, contents: _Contents) -> Iterator[str]:
    """What does not fit together of a cell that has a record."""
    record = contents.records.get(cell.key)
    if record is None:
        return
    what = f"{cell.label} at {cell.sparsity:g} on {cell.task} with seed {cell.seed}"
    if (cell.task, cell.seed) != (record.experiment.task, record.experiment.seed):
        yield f"{what}: its record {cell.key} is of {record.experiment.task} with seed {record.experiment.seed}"
    if missing := set(cell.evaluations) - record.evaluations.keys():
        yield f"{what}: its record {cell.key} has no scores of {', '.join(sorted(missing))}"
    # Records of earlier versions have no labels beside them.
    numbers = contents.labels.get(labels_name(record.experiment.data, record.eval_limit), {})
    expected = {name: scores.examples for name, scores in record.evaluations.items()}
    if numbers and numbers != expected:
        yield f"{what}: its labels are of {_counts(numbers)} (expected {_counts(expected)})"
    # A bundle gives no masks, and predictions in place of logits.
    if not cell.mask or any(len(shape) == 1 for shape in contents.shapes[cell.key].values()):
        return
    mask = contents.masks.get(cell.mask)
    if mask is None:
        if "masks" not in contents.unreadable:
            yield f"{what}: its mask {cell.mask} is gone; `prunebench run` makes it again"
    elif (mask["units"], mask["pruned"]) != (record.sparsity.units, record.sparsity.pruned):
        yield (
            f"{what}: its mask {cell.mask} prunes {mask['pruned']} of {mask['units']} units, and its record says"
            f" {record.sparsity.pruned} of {record.sparsity.units}"
        )
    elif cell.unit == "weight" and store.has("models", cell.key) and (names := _unpruned(store, cell)):
        yield f"{what}: its model has weights in {names[0]} that its mask prunes"


def _unpruned(store: Store, cell: Cell) -> list[str]:
    """The parameters of the cell's stored model in which weights that its mask prunes are not zero."""
    import safetensors.torch

    from prunebench.pruning import masks

    mask = store.load("masks", cell.mask, masks.unpack)
    weights = store.load("models", cell.key, safetensors.torch.load)
    return [name for name, keep in mask.items() if name in weights and bool(weights[name][~keep].any())]
