"""Whether a store is sound: every file of it is read, and what is damaged is set aside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import safetensors

from prunebench.errors import PrunebenchError
from prunebench.runtime.progress import plural
from prunebench.store.store import InputMissing, Store

NAMES = {
    "records": "record",
    "masks": "mask",
    "weights": "weight file",
    "models": "model",
    "checkpoints": "checkpoint",
}


@dataclass(frozen=True)
class Inspection:
    """The number of files of each kind, the reasons of failures with how often each stands, and what is wrong."""

    files: dict[str, int]
    failures: dict[str, int]
    complaints: list[str]

    def __str__(self) -> str:
        return ", ".join(plural(number, NAMES[kind]) for kind, number in self.files.items() if number) or "nothing yet"


def inspect(store: Store) -> Inspection:
    """Read every file of a store. Damaged files are set aside, and made again by the next run that needs them."""
    for record in list(store.records()):
        try:
            store.logits(record.key)
        except PrunebenchError as error:
            store.complaints.append(error.message)
    for kind in ("masks", "weights", "models", "checkpoints"):
        for key in store.keys(kind):
            try:
                store.load(kind, key, _read_mask if kind == "masks" else safetensors.deserialize)
            except InputMissing as error:
                store.complaints.append(str(error))
    files = {kind: len(store.keys(kind)) for kind in NAMES}
    reasons = Counter(failure.reason for failure in store.failures(store.keys("failures")).values())
    return Inspection(files, dict(reasons.most_common()), store.complaints)


def _read_mask(data: bytes) -> object:
    from prunebench.pruning.bitmask import unpack

    return unpack(data)
