"""Put the results of another store, or of a bundle, into a store. Results that are in it already stay as they are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from prunebench.errors import PrunebenchError
from prunebench.runtime.progress import plural
from prunebench.store import serialization
from prunebench.store.backends import LocalBackend
from prunebench.store.contents import WORDS, key_of, names_of
from prunebench.store.files import SUFFIX, logits_file
from prunebench.store.labels import parse_labels
from prunebench.store.schema import Failure, Record, StoredPlan
from prunebench.store.serialization import Damaged, RecordFile
from prunebench.store.store import Store

if TYPE_CHECKING:
    import numpy as np

# What may differ between two records of the same result: cost, the machine, the names of the same model and data, and
# the plan that it was made for.
MAY_DIFFER = ("seconds", "peak_memory_mb", "environment", "root", "plan")
# Records that are read at a time, with their logits.
BATCH = 200


class Bundle(Protocol):
    """What a bundle gives: records by key, the reasons of failures by key, and the predictions of a record."""

    @property
    def records(self) -> Mapping[str, Record]: ...
    @property
    def reasons(self) -> Mapping[str, str]: ...
    def predictions(self, key: str) -> Mapping[str, np.ndarray]: ...


@dataclass
class Merge:
    """The numbers of added things by kind, and of records that were there already; the `differing` ones among them.

    `damaged` files of the other store were left out.
    """

    added: Counter[str] = field(default_factory=Counter)
    present: int = 0
    differing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        words = [plural(self.added[kind], word) for kind, word in WORDS.items() if self.added[kind]]
        already = f"; {plural(self.present, 'record')} here already" if self.present else ""
        return f"{', '.join(words) or 'nothing new'}{already}"


def merge_store(store: Store, other: Store) -> Merge:
    """Copy plans, records with their logits, masks, labels and failures of `other` that `store` lacks."""
    from prunebench.pruning import bitmask

    if _location(store) == _location(other):
        raise PrunebenchError(f"{other.name!r} is the store itself", "expected another store, or a bundle")
    merge = Merge()
    for name, data in other.backend.read_all(names_of(other, "plans")).items():
        try:
            _add_plan(store, other.parse_plan(name, data), merge)
        except Damaged as error:
            merge.damaged.append(f"a plan of {other.name} {error}")
    _copy_records(store, other, merge)
    _copy_tensors(store, other, merge, "masks", bitmask.unpack)
    _copy_tensors(store, other, merge, "labels", parse_labels)
    failures = []
    for name, data in other.backend.read_all(names_of(other, "failures")).items():
        try:
            failures.append(serialization.parse_failure(name, data, needs_seal=other.is_sealed))
        except Damaged as error:
            merge.damaged.append(f"{other.backend.location(name)} {error}")
    _add_failures(store, failures, merge)
    return merge


def merge_bundle(store: Store, bundle: Bundle, plans: Iterable[StoredPlan]) -> Merge:
    """Add the records of a bundle with their predictions, its failures, and `plans`.

    Predictions take the place of logits: comparisons of examples need no more. A bundle has neither masks nor
    labels.
    """
    merge = Merge()
    for plan in plans:
        _add_plan(store, plan, merge)
    present = store.fetch(bundle.records.keys())
    for key, record in bundle.records.items():
        if key in present:
            _compare(present[key], record, merge)
        else:
            store.add_record(record, serialization.encode_arrays(bundle.predictions(key)))
            merge.added["records"] += 1
    _add_failures(store, [Failure(key=key, reason=reason) for key, reason in bundle.reasons.items()], merge)
    return merge


def _location(store: Store) -> str:
    backend = store.backend
    return os.path.realpath(backend.folder) if isinstance(backend, LocalBackend) else backend.url


def _add_plan(store: Store, plan: StoredPlan, merge: Merge) -> None:
    """Add a plan with the time at which its command was given; `Store.add_plan` would make it the newest."""
    if store.backend.create(*serialization.encode_plan(plan)):
        merge.added["plans"] += 1


def _copy_tensors(store: Store, other: Store, merge: Merge, kind: str, parse: Callable[[bytes], object]) -> None:
    present = {*names_of(store, kind)}
    for name in names_of(other, kind):
        if name not in present:
            data = other.backend.read(name)
            try:
                other.check(kind, name, data)
                parse(data)
            except Exception as error:
                merge.damaged.append(f"{other.backend.location(name)} {error}")
                continue
            store.add_bytes(kind, key_of(name), data)
            merge.added[kind] += 1


def _copy_records(store: Store, other: Store, merge: Merge) -> None:
    """Copy the files of records, byte for byte, after checking that they are whole."""
    names = [name for name in other.backend.names("records") if name.endswith(SUFFIX["records"])]
    for start in range(0, len(names), BATCH):
        files = other.backend.read_all(names[start : start + BATCH])
        parsed = dict(_parsed(files, other, merge))
        present = store.fetch([file.record.key for file in parsed.values()])
        missing = [file.record.key for file in parsed.values() if file.record.key not in present]
        logits = other.backend.read_all([logits_file(key) for key in missing])
        for name, file in parsed.items():
            record, arrays = file.record, logits.get(logits_file(file.record.key))
            if record.key in present:
                _compare(present[record.key], record, merge)
            elif arrays is None and file.logits is not None:
                merge.damaged.append(f"{other.backend.location(name)} has no logits")
            elif arrays is not None and not file.matches(arrays):
                merge.damaged.append(f"{other.backend.location(name)} has logits that were not written with it")
            else:
                # As `Store.add_record` does: whoever sees the record finds its logits.
                if arrays is not None:
                    store.backend.write(logits_file(record.key), arrays)
                store.backend.create(name, files[name])
                store.forget_failure(record.key)
                merge.added["records"] += 1


def _parsed(files: Mapping[str, bytes], other: Store, merge: Merge) -> Iterator[tuple[str, RecordFile]]:
    for name, data in files.items():
        try:
            yield name, serialization.parse_record(data, key_of(name))
        except Damaged as error:
            merge.damaged.append(f"{other.backend.location(name)} {error}")


def _compare(old: Record, new: Record, merge: Merge) -> None:
    """Note where two records of one key are not the same result."""
    merge.present += 1
    one, other = old.to_json(), new.to_json()
    fields = [name for name in one | other if name not in MAY_DIFFER and one.get(name) != other.get(name)]
    if fields:
        experiment, phases = old.experiment, " ".join(entry.phase for entry in old.phases)
        merge.differing.append(
            f"the record {old.key} ({experiment.task}, seed {experiment.seed}, {phases}) differs in"
            f" {', '.join(sorted(fields))}: the one of this store stays"
        )


def _add_failures(store: Store, failures: Iterable[Failure], merge: Merge) -> None:
    known = {*store.keys("records"), *store.keys("failures")}
    for failure in failures:
        if failure.key not in known:
            store.add_failure(failure.key, failure.reason, failure.details)
            merge.added["failures"] += 1
