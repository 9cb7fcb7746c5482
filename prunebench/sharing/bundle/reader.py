"""A bundle in memory, with the plans, records, failures and predictions of a store.

Reading checks everything that needs only the bundle itself: the archive, the schema, the checksums of the members, and
that nothing is missing and nothing is left over. `verify` checks whether the numbers are right.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

from prunebench.sharing.bundle import archive, bounds, predictions, schema, stamp, strict
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.predictions import Array
from prunebench.sharing.bundle.schema import (
    CellLine,
    FailureLine,
    Manifest,
    MaskLine,
    PlanHead,
    PlannedLine,
    RecordLine,
    Summary,
)
from prunebench.store.schema import RUN, Cell, Failure, PlannedResult, Record, StoredPlan, commitment

MANIFEST, CELLS, RECORDS = "manifest.json", "cells.jsonl", "records.jsonl"
MASKS, FAILURES, PLANS = "masks.jsonl", "failures.jsonl", "plans.jsonl"
_FIXED = {MANIFEST, CELLS, RECORDS, MASKS, FAILURES}
_ARRAY = re.compile(r"predictions/[0-9]{1,4}\.npy")


class _WithKey(Protocol):
    @property
    def key(self) -> str: ...


Line = TypeVar("Line", bound=_WithKey)


@dataclass(frozen=True, eq=False)
class Bundle:
    """The content of a bundle; `plans`, `fetch` and `failures` are those of a store.

    `lines`, `masks` and `reasons` (of failures) are by key, `arrays` by the name of their file. `sha256` is the digest
    of the whole file. `planned` are the cells of the plans that records name, by commitment. `verification` says for
    pages whether the file was verified.
    """

    manifest: Manifest
    cells: Sequence[CellLine]
    lines: Mapping[str, RecordLine]
    records: Mapping[str, Record]
    masks: Mapping[str, MaskLine]
    reasons: Mapping[str, str]
    arrays: Mapping[str, Array]
    sha256: str
    planned: Mapping[str, Sequence[PlannedLine]] = field(default_factory=dict)
    verification: str = ""
    complaints: list[str] = field(default_factory=list)

    def plans(self, kind: str = RUN) -> list[StoredPlan]:
        """All plans of that kind with their cells, the newest last."""
        cells: dict[int, list[Cell]] = defaultdict(list)
        for line in self.cells:
            cells[line.plan].append(line.cell)
        plans = [
            StoredPlan(
                **dict(plan), strategies=self.manifest.strategies, cells=cells[i], planned=self._planned(plan, cells[i])
            )
            for i, plan in enumerate(self.manifest.plans)
            if plan.kind == kind
        ]
        return sorted(plans, key=lambda plan: plan.written)

    def _planned(self, plan: PlanHead, cells: Sequence[Cell]) -> list[PlannedResult]:
        """The first plan of that kind and suite that has all these cells."""
        keys = {cell.key for cell in cells}
        for lines in self.planned.values():
            if (lines[0].kind, lines[0].suite) == (plan.kind, plan.suite) and keys <= {line.key for line in lines}:
                return [line.result for line in lines]
        return []

    def fetch(self, keys: Collection[str]) -> dict[str, Record]:
        """The records of these keys, as far as they exist."""
        return {key: self.records[key] for key in keys if key in self.records}

    def failures(self, keys: Collection[str]) -> dict[str, Failure]:
        """The failures of these keys, as far as they exist."""
        return {key: Failure(key=key, reason=self.reasons[key]) for key in keys if key in self.reasons}

    def predictions(self, key: str) -> dict[str, Array]:
        """The predicted class or score of every example, by evaluation; empty if there is no such record."""
        rows = self.lines[key].predictions if key in self.lines else {}
        return {evaluation: self.arrays[row.array][row.row] for evaluation, row in rows.items()}


def open_bundle(path: Path) -> Bundle:
    """The bundle in a file. Raises PrunebenchError if there is none, and BadBundle if it is refused."""
    bundle = load(archive.read_file(path))
    return replace(bundle, verification=stamp.describe(path, bundle.sha256))


def load(data: bytes) -> Bundle:
    """The bundle in these bytes. Raises BadBundle, with the reason, unless it is complete and as `pack` writes it."""
    members = archive.read(data)
    bounds.check_values(members, len(data))
    manifest = _read_manifest(members)
    lines: dict[str, RecordLine] = {}
    for line in strict.read_lines(members[RECORDS], RecordLine, RECORDS):
        if line.record.key in lines:
            raise BadBundle(f"the record {line.record.key} appears twice")
        lines[line.record.key] = line
    failures = _by_key(strict.read_lines(members[FAILURES], FailureLine, FAILURES))
    bundle = Bundle(
        manifest=manifest,
        cells=list(strict.read_lines(members[CELLS], CellLine, CELLS)),
        lines=lines,
        records={key: line.record for key, line in lines.items()},
        masks=_by_key(strict.read_lines(members[MASKS], MaskLine, MASKS)),
        reasons={key: failure.reason for key, failure in failures.items()},
        arrays={name: predictions.unpack(members[name], name) for name in members if _ARRAY.fullmatch(name)},
        sha256=hashlib.sha256(data).hexdigest(),
        planned=_read_plans(members.get(PLANS, b"")),
    )
    bounds.check_cells(bundle.cells)
    bounds.check_planned(line for lines in bundle.planned.values() for line in lines)
    bounds.check_records(bundle.records.values())
    _check_references(bundle)
    if summarise(bundle.cells, bundle.records, bundle.reasons, bundle.masks) != manifest.summary:
        raise BadBundle("the manifest's summary does not match what the bundle holds")
    return bundle


def _read_manifest(members: Mapping[str, bytes]) -> Manifest:
    """The manifest, whose list of members and checksums must match the archive."""
    if MANIFEST not in members:
        raise BadBundle(f"the bundle has no {MANIFEST}", "expected a file written by `prunebench bundle`")
    manifest = schema.parse_manifest(members[MANIFEST])
    bounds.check_manifest(manifest)
    fixed = _FIXED | ({PLANS} if manifest.schema_ >= schema.WITH_PLANS else set())
    for name, data in members.items():
        if name not in fixed and not _ARRAY.fullmatch(name):
            raise BadBundle(f"the member {name!r} does not belong in a bundle")
        if data[:4] == b"PK\3\4":
            raise BadBundle(f"the member {name!r} is an archive itself")
    declared = {*manifest.members, MANIFEST}
    if MANIFEST in manifest.members or declared != set(members) or not set(members) >= fixed:
        names = sorted((declared | fixed) ^ set(members)) or [MANIFEST]
        raise BadBundle(f"the manifest and the archive disagree about {', '.join(map(repr, names[:3]))}")
    for name, content in manifest.members.items():
        data = members[name]
        if len(data) != content.size or hashlib.sha256(data).hexdigest() != content.sha256:
            raise BadBundle(f"{name} was altered: it does not match its checksum in the manifest")
    return manifest


def _read_plans(data: bytes) -> dict[str, list[PlannedLine]]:
    """The cells of each plan. Raises BadBundle where they are not those that its commitment is a digest of."""
    plans: dict[str, list[PlannedLine]] = defaultdict(list)
    for line in strict.read_lines(data, PlannedLine, PLANS):
        plans[line.plan].append(line)
    for name, lines in plans.items():
        if commitment(lines[0].kind, lines[0].suite, lines) != name:
            raise BadBundle(f"the plan {name} was altered: its cells have another digest")
    return dict(plans)


def _by_key(lines: Iterable[Line]) -> dict[str, Line]:
    result: dict[str, Line] = {}
    for line in lines:
        if line.key in result:
            raise BadBundle(f"{line.key} appears twice")
        result[line.key] = line
    return result


def _check_references(bundle: Bundle) -> None:
    """Check that every cell has its plan and its records or a failure, and that no record or plan is left over."""
    used: set[str] = set()
    for cell in bundle.cells:
        name = f"{cell.label} at {cell.sparsity:g} on {cell.task} with seed {cell.seed}"
        if cell.plan >= len(bundle.manifest.plans):
            raise BadBundle(f"the cell of {name} has no plan")
        keys = set(cell.record_keys)
        missing = sorted(keys - bundle.records.keys())
        if missing and not keys & bundle.reasons.keys():
            raise BadBundle(f"the record {missing[0]} of {name} is missing")
        used |= keys
    for kind, keys_of_kind in {"record": bundle.records.keys(), "failure": bundle.reasons.keys()}.items():
        if unused_keys := sorted(keys_of_kind - used):
            raise BadBundle(f"the {kind} {unused_keys[0]} belongs to no cell")
    if foreign := sorted(bundle.planned.keys() - {record.plan for record in bundle.records.values()}):
        raise BadBundle(f"no record names the plan {foreign[0]}")
    if unused_plans := set(range(len(bundle.manifest.plans))) - {cell.plan for cell in bundle.cells}:
        raise BadBundle(f"plan {min(unused_plans)} has no cells")
    _check_predictions(bundle)


def _check_predictions(bundle: Bundle) -> None:
    """Check that every evaluation has its own row of predictions, and that no row is left over."""
    uses: Counter[tuple[str, int]] = Counter()
    for key, line in bundle.lines.items():
        if line.predictions.keys() != line.record.evaluations.keys():
            raise BadBundle(f"the record {key} has predictions for other evaluations than its own")
        for evaluation, row in line.predictions.items():
            array = bundle.arrays.get(row.array)
            if array is None or row.row >= len(array):
                raise BadBundle(f"the predictions of the record {key} for {evaluation} are missing")
            if array.shape[1] != line.record.evaluations[evaluation].examples:
                raise BadBundle(f"the record {key} has predictions for another number of examples than it says")
            uses[row.array, row.row] += 1
    if len(uses) != sum(map(len, bundle.arrays.values())) or set(uses.values()) > {1}:
        raise BadBundle("some predictions belong to no record, or to two")


def summarise(
    cells: Sequence[Cell],
    records: Mapping[str, Record],
    reasons: Mapping[str, str],
    masks: Mapping[str, MaskLine],
) -> Summary:
    """The summary of a bundle with this content."""
    environment: dict[str, set[str]] = defaultdict(set)
    for record in records.values():
        for name, value in record.environment.items():
            environment[name].add(str(value))
    return Summary(
        cells=len(cells),
        records=len(records),
        failures=len(reasons),
        masks=len(masks),
        benchmarks=sorted({cell.benchmark for cell in cells}),
        tasks=sorted({cell.task for cell in cells}),
        strategies=sorted({cell.label for cell in cells}),
        seeds=sorted({cell.seed for cell in cells}),
        code=sorted({cell.setting.code for cell in cells}),
        environment={name: sorted(values) for name, values in sorted(environment.items())},
    )
