"""A bundle that was read: plans, records, failures and predictions, as a store would give them. Imports no torch.

Reading checks all that needs nothing but the bundle: the archive, the schema, the digests of its members, that nothing
is missing and nothing is there that nobody refers to. Whether the numbers are right, `verify` says.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunebench.sharing.bundle import archive, predictions, schema, strict
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.predictions import Array
from prunebench.sharing.bundle.schema import CellLine, FailureLine, Manifest, MaskLine, RecordLine, Summary
from prunebench.store.schema import RUN, Cell, Failure, Record, StoredPlan

MANIFEST, CELLS, RECORDS = "manifest.json", "cells.jsonl", "records.jsonl"
MASKS, FAILURES = "masks.jsonl", "failures.jsonl"
_FIXED = {MANIFEST, CELLS, RECORDS, MASKS, FAILURES}
_ARRAY = re.compile(r"predictions/[0-9]{1,4}\.npy")


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a bundle holds. `plans`, `fetch` and `failures` are those of a store."""

    manifest: Manifest
    cells: Sequence[CellLine]
    lines: Mapping[str, RecordLine]
    records: Mapping[str, Record]
    masks: Mapping[str, MaskLine]
    reasons: Mapping[str, str]
    arrays: Mapping[str, Array]
    sha256: str
    complaints: list[str] = field(default_factory=list)

    def plans(self, kind: str = RUN) -> list[StoredPlan]:
        """All plans of that kind with their cells, the newest last."""
        cells: dict[int, list[Cell]] = defaultdict(list)
        for line in self.cells:
            cells[line.plan].append(line.cell)
        plans = [
            StoredPlan(**dict(plan), strategies=self.manifest.strategies, cells=cells[i])
            for i, plan in enumerate(self.manifest.plans)
            if plan.kind == kind
        ]
        return sorted(plans, key=lambda plan: plan.written)

    def fetch(self, keys: Collection[str]) -> dict[str, Record]:
        """The records of these keys that are there."""
        return {key: self.records[key] for key in keys if key in self.records}

    def failures(self, keys: Collection[str]) -> dict[str, Failure]:
        return {key: Failure(key=key, reason=self.reasons[key]) for key in keys if key in self.reasons}

    def predictions(self, key: str) -> dict[str, Array]:
        """The predicted class or score of every example, by evaluation; empty where there is no such record."""
        rows = self.lines[key].predictions if key in self.lines else {}
        return {evaluation: self.arrays[row.array][row.row] for evaluation, row in rows.items()}


def open_bundle(path: Path) -> Bundle:
    """The bundle in that file. Raises PrunebenchError where there is none, and BadBundle where it is refused."""
    return load(archive.read_file(path))


def load(data: bytes) -> Bundle:
    """The bundle of these bytes. Raises BadBundle, with the reason, unless it is whole and as `pack` writes it."""
    members = archive.read(data)
    manifest = _manifest(members)
    lines: dict[str, RecordLine] = {}
    for line in strict.lines(members[RECORDS], RecordLine, RECORDS):
        if line.record.key in lines:
            raise BadBundle(f"the record {line.record.key} is there twice")
        lines[line.record.key] = line
    records = {key: line.record for key, line in lines.items()}
    bundle = Bundle(
        manifest=manifest,
        cells=list(strict.lines(members[CELLS], CellLine, CELLS)),
        lines=lines,
        records=records,
        masks=_keyed(strict.lines(members[MASKS], MaskLine, MASKS)),
        reasons={key: line.reason for key, line in _failures(members).items()},
        arrays={name: predictions.unpack(members[name], name) for name in members if _ARRAY.fullmatch(name)},
        sha256=hashlib.sha256(data).hexdigest(),
    )
    _check_references(bundle)
    if summarised(bundle.cells, records, bundle.reasons, bundle.masks) != manifest.summary:
        raise BadBundle("the manifest's summary is not that of what the bundle holds")
    return bundle


def _manifest(members: Mapping[str, bytes]) -> Manifest:
    if MANIFEST not in members:
        raise BadBundle(f"it has no {MANIFEST}", "expected a file that `prunebench bundle` wrote")
    manifest = schema.manifest(members[MANIFEST])
    for name, data in members.items():
        if name not in _FIXED and not _ARRAY.fullmatch(name):
            raise BadBundle(f"the member {name!r} is none that a bundle has")
        if data[:4] == b"PK\3\4":
            raise BadBundle(f"the member {name!r} is an archive itself")
    declared = {*manifest.members, MANIFEST}
    if MANIFEST in manifest.members or declared != set(members) or not set(members) >= _FIXED:
        names = sorted((declared | _FIXED) ^ set(members)) or [MANIFEST]
        raise BadBundle(f"the manifest and the archive differ about {', '.join(map(repr, names[:3]))}")
    for name, content in manifest.members.items():
        data = members[name]
        if len(data) != content.size or hashlib.sha256(data).hexdigest() != content.sha256:
            raise BadBundle(f"{name} was altered: it does not match its checksum in the manifest")
    return manifest


def _keyed(lines: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in lines:
        if line.key in found:
            raise BadBundle(f"{line.key} is there twice")
        found[line.key] = line
    return found


def _failures(members: Mapping[str, bytes]) -> dict[str, FailureLine]:
    return _keyed(strict.lines(members[FAILURES], FailureLine, FAILURES))


def _check_references(bundle: Bundle) -> None:
    """Every cell has its plan and its records or a failure, every record its predictions, and nothing is left over."""
    used: set[str] = set()
    for cell in bundle.cells:
        name = f"{cell.label} at {cell.sparsity:g} on {cell.task} with seed {cell.seed}"
        if cell.plan >= len(bundle.manifest.plans):
            raise BadBundle(f"the cell of {name} has no plan")
        wanted = {cell.key, *cell.trainings}
        missing = sorted(wanted - bundle.records.keys())
        if missing and not wanted & bundle.reasons.keys():
            raise BadBundle(f"the record {missing[0]} of {name} is missing")
        used |= wanted
    for kind, there in {"record": bundle.records, "failure": bundle.reasons}.items():
        if foreign := sorted(there.keys() - used):
            raise BadBundle(f"the {kind} {foreign[0]} belongs to no cell")
    if unused := set(range(len(bundle.manifest.plans))) - {cell.plan for cell in bundle.cells}:
        raise BadBundle(f"plan {min(unused)} has no cells")
    _check_predictions(bundle)


def _check_predictions(bundle: Bundle) -> None:
    rows: Counter[tuple[str, int]] = Counter()
    for key, line in bundle.lines.items():
        if line.predictions.keys() != line.record.evaluations.keys():
            raise BadBundle(f"the record {key} has other predictions than evaluations")
        for name, place in line.predictions.items():
            array = bundle.arrays.get(place.array)
            if array is None or place.row >= len(array):
                raise BadBundle(f"the predictions of the record {key} for {name} are missing")
            if array.shape[1] != line.record.evaluations[name].examples:
                raise BadBundle(f"the record {key} has predictions for another number of examples than it says")
            rows[place.array, place.row] += 1
    number = sum(map(len, bundle.arrays.values()))
    if len(rows) != number or set(rows.values()) > {1}:
        raise BadBundle("some predictions belong to no record, or to two")


def summarised(
    cells: Sequence[Cell],
    records: Mapping[str, Record],
    reasons: Mapping[str, str],
    masks: Mapping[str, MaskLine],
) -> Summary:
    """What these hold, in short."""
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
