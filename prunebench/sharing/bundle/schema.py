"""The manifest of a bundle and the lines of its JSON files, around the classes of the store.

Everything is typed strictly, has a known name and is finite; anything else is refused. A change of these classes, or of
the store's, raises SCHEMA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.strict import parse, read
from prunebench.store.schema import Cell, Command, Count, Key, Positive, Record, Source, StrategyCode, Strict

KIND = "prunebench bundle"
SCHEMA = 1

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
One = Annotated[int, Field(ge=1, le=1)]


class PlanHead(Command):
    """A command that made results; `kind` is what the store calls its plan."""

    kind: str
    suite: str
    command: str
    written: str


class Content(Strict):
    """How many bytes a member has, and their SHA-256."""

    size: Count
    sha256: Sha256


class Summary(Strict):
    """What the bundle holds, in short. It is computed anew when the bundle is read, and must be the same."""

    cells: Count
    records: Count
    failures: Count
    masks: Count
    benchmarks: list[str]
    tasks: list[str]
    strategies: list[str]
    seeds: list[int]
    code: list[str]
    environment: dict[str, list[str]]


class Manifest(Strict):
    """`schema` comes first: whoever cannot read the rest can still say why."""

    kind: Literal["prunebench bundle"]
    schema_: One = Field(alias="schema")
    prunebench: str
    plans: list[PlanHead]
    strategies: dict[str, StrategyCode]
    sources: dict[str, dict[str, Source]]
    summary: Summary
    members: dict[str, Content]


class CellLine(Cell):
    """A cell, and the number of its plan in the manifest."""

    plan: Count
    mask: Key | Literal[""]
    mask_from: str

    @property
    def cell(self) -> Cell:
        """The cell as a store has it."""
        return Cell(**{name: value for name, value in self if name != "plan"})


class ArrayRow(Strict):
    """Where the predictions of an evaluation stand: a row of an array."""

    array: str
    row: Count


class RecordLine(Strict):
    """A record with the checksum that the store keeps of it, and where its predictions stand, by evaluation."""

    checksum: Sha256
    record: Record
    predictions: dict[str, ArrayRow]


class MaskLine(Strict):
    """A mask that is not in the bundle: the checksum of its bits, and how many of its units are gone."""

    key: Key
    sha256: Sha256
    units: Positive
    pruned: Count


class FailureLine(Strict):
    key: Key
    reason: str


def manifest(data: bytes) -> Manifest:
    """The manifest. A newer schema is told apart from one that does not fit."""
    value = parse(data, "the manifest")
    if not isinstance(value, Mapping) or value.get("kind") != KIND:
        raise BadBundle("its manifest is not that of a prunebench bundle", f"expected the kind {KIND!r}")
    schema = value.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise BadBundle(
            f"the bundle is of schema {schema}, and this version reads schema {SCHEMA}",
            f"it was written by prunebench {str(value.get('prunebench'))[:40]}: upgrade prunebench",
        )
    return read(Manifest, value, "the manifest")
