"""What a store holds at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prunebench.store.files import file_name
from prunebench.store.schema import Record


@dataclass(frozen=True)
class Snapshot:
    """A store at one moment: whole records, the names of masks, models and weights, and why jobs failed."""

    records: Mapping[str, Record]
    files: frozenset[str]
    failures: Mapping[str, str]

    def has(self, kind: str, name: str) -> bool:
        return name in self.records if kind == "records" else file_name(kind, name) in self.files
