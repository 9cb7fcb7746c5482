"""The manifest of a bundle and the lines of its JSON files, built from the classes of the store.

All classes are strict: unknown fields, other types and numbers that are not finite are refused. SCHEMA is raised by
every change of these classes, or of those of the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.strict import parse, validate
from prunebench.store.schema import (
    Cell,
    Command,
    Count,
    Key,
    PlannedResult,
    Positive,
    Record,
    Source,
    StrategyCode,
    Strict,
)

KIND = "prunebench bundle"
SCHEMA = 3
# The first schema in which a bundle holds the plans that its records name.
WITH_PLANS = 3

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Schema = Annotated[int, Field(ge=1, le=SCHEMA)]


class PlanHead(Command):
    """A plan without its cells: the kind of plan, and the command that made it."""

    kind: str
    suite: str
    command: str
    written: str


class Content(Strict):
    """The size in bytes and the SHA-256 of a member of the archive."""

    size: Count
    sha256: Sha256


class Summary(Strict):
    """What the bundle holds, in short. Reading a bundle computes it again and compares."""

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
    """Versions, plans and strategies, and the checksum of every other member.

    `strategies` are the code of each strategy by label, `sources` that of tasks, metrics and models by name.
    """

    kind: Literal["prunebench bundle"]
    schema_: Schema = Field(alias="schema")
    prunebench: str
    plans: list[PlanHead]
    strategies: dict[str, StrategyCode]
    sources: dict[str, dict[str, Source]]
    summary: Summary
    members: dict[str, Content]


class CellLine(Cell):
    """A cell, and the index of its plan in the manifest."""

    plan: Count
    mask: Key | Literal[""]
    mask_from: str

    @property
    def cell(self) -> Cell:
        """The cell as it stands in a store."""
        return Cell(**{name: value for name, value in self if name != "plan"})


class ArrayRow(Strict):
    """The row of an array that holds the predictions of an evaluation."""

    array: str
    row: Count


class RecordLine(Strict):
    """A record, its checksum in the store, and its predictions by evaluation."""

    checksum: Sha256
    record: Record
    predictions: dict[str, ArrayRow]


class MaskLine(Strict):
    """The checksum of a mask, which is not itself in the bundle, and how many of its units are pruned."""

    key: Key
    sha256: Sha256
    units: Positive
    pruned: Count


class PlannedLine(PlannedResult):
    """A cell of a plan as it was fixed before the first training; `plan` is the commitment of the plan."""

    plan: Key
    kind: str
    suite: str

    @property
    def result(self) -> PlannedResult:
        """The cell as a stored plan has it."""
        return PlannedResult(**{name: getattr(self, name) for name in PlannedResult.model_fields})


class FailureLine(Strict):
    key: Key
    reason: str


def parse_manifest(data: bytes) -> Manifest:
    """The manifest. Raises BadBundle, with a message of its own for a newer schema."""
    value = parse(data, "the manifest")
    if not isinstance(value, Mapping) or value.get("kind") != KIND:
        raise BadBundle("the manifest is not that of a prunebench bundle", f"expected the kind {KIND!r}")
    version = value.get("schema")
    if isinstance(version, int) and version > SCHEMA:
        raise BadBundle(
            f"the bundle has schema {version}, expected {SCHEMA}",
            f"it was written by prunebench {str(value.get('prunebench'))[:40]}: upgrade prunebench",
        )
    return validate(Manifest, value, "the manifest")
