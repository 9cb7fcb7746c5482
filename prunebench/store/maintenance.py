"""What goes from a store with cells that are removed, and what nothing in it refers to.

Plans are the roots. A cell of a plan refers to the records of its trainings and its own, to the labels of its data, to
its mask, and to the masks on its path. No plan lists those on the path. They follow from the phases of a record,
because the key of each phase is a digest of the key before it and of the phase itself. Only a part of the path is known
of a cell that is not done, so that `garbage` leaves masks alone which may belong to it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prunebench.errors import PrunebenchError
from prunebench.runtime.progress import plural
from prunebench.store import serialization
from prunebench.store.backends import STALE_SECONDS, FileInfo
from prunebench.store.claims import RunClaims
from prunebench.store.contents import WORDS, key_of, kind_of, names_of, size_text
from prunebench.store.files import file_name, logits_file
from prunebench.store.labels import data_of_labels
from prunebench.store.schema import Cell, Failure, Record, StoredPlan, StrategyCode, WeightsRef, digest
from prunebench.store.serialization import Damaged
from prunebench.store.store import Store


def read_plans(store: Store) -> dict[str, StoredPlan]:
    """Every plan by its file. Raises PrunebenchError for one that cannot be read, because what it needs is unknown."""
    plans = {}
    for name, data in store.backend.read_all(names_of(store, "plans")).items():
        try:
            plans[name] = store.parse_plan(name, data)
        except Damaged as error:
            raise PrunebenchError(
                f"{store.backend.location(name)} {error}", "nothing is removed while a plan cannot be read"
            ) from None
    return plans


# What cells refer to


@dataclass
class References:
    """The keys that the cells of some plans refer to: records, masks, kept models, and unfinished trainings, and the
    fingerprints of their `data`.

    `complete` says whether all masks are known. Some are unknown if a cell is not done, or if the key of a record
    cannot be computed from its phases and the strategies of its plan.
    """

    records: set[str] = field(default_factory=set)
    masks: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    unfinished: set[str] = field(default_factory=set)
    data: set[str] = field(default_factory=set)
    complete: bool = True


def references(store: Store, plans: Iterable[StoredPlan]) -> References:
    """What the cells of `plans` refer to."""
    result = References()
    paths: dict[str, list[str]] = {}
    for plan in plans:
        records = store.fetch({key for cell in plan.cells for key in cell.record_keys})
        for key, record in records.items():
            # Another plan may know the strategies in another version than the one that made the record.
            paths[key] = paths.get(key) or path_keys(record, plan.strategies)
        for cell in plan.cells:
            result.records.update(cell.record_keys)
            result.models.add(cell.key)
            result.data.add(cell.setting.data)
            result.masks |= {cell.mask} - {""}
            if cell.key not in records:
                result.unfinished.update(cell.record_keys)
    result.masks.update(key for path in paths.values() for key in path)
    result.complete = not result.unfinished and all(paths.values())
    return result


def path_keys(record: Record, strategies: Mapping[str, StrategyCode]) -> list[str]:
    """The key of each phase on the path of a record, its own last.

    Empty where they do not follow from the phases and `strategies`, by their labels: a strategy is missing there or of
    another version.
    """
    key, keys = record.experiment.key, []
    for entry in record.phases:
        token: object = {"phase": entry.phase, **entry.fields}
        if entry.strategy:
            if entry.strategy not in strategies:
                return []
            code = strategies[entry.strategy]
            token = [token, code.name, code.options, code.identity]
        key = digest([key, json.dumps(token, sort_keys=True)])
        keys.append(key)
    return keys if key == record.key else []


# What goes


@dataclass(frozen=True)
class Removal:
    """What goes from a store: `files` by name, and the cells that leave `plans`, which are listed as they will be.

    `known_plans` are the files of all plans that it was made from. `spared` files may belong to cells that are not
    done.
    """

    known_plans: frozenset[str]
    files: dict[str, FileInfo]
    plans: dict[str, StoredPlan] = field(default_factory=dict)
    spared: int = 0

    def __bool__(self) -> bool:
        return bool(self.files or self.plans)

    def __str__(self) -> str:
        keys = {kind: {key_of(name) for name in self.files if kind_of(name) == kind} for kind in WORDS}
        keys["plans"] = {key_of(name) for name, plan in self.plans.items() if not plan.cells}
        words = [plural(len(keys[kind]), word) for kind, word in WORDS.items() if keys[kind]]
        return f"{', '.join(words) or 'no files'}: {size_text(sum(info.size for info in self.files.values()))}"


def removal(store: Store, plans: Mapping[str, StoredPlan], cells: Iterable[Cell]) -> Removal:
    """The removal of these cells of `plans` and of the files that no other cell refers to. Removes nothing itself.

    A failure is stored once for each phase that has no result because of it, with the same reason and details. Some of
    these phases are in no plan: their copies are removed if every cell with the same failure is removed.
    """
    selected = set(map(id, cells))
    removed, rest = (
        {name: _with_cells(plan, selected, leave) for name, plan in plans.items()} for leave in (True, False)
    )
    before, after = references(store, removed.values()), references(store, rest.values())
    keys, masks = before.records - after.records, before.masks - after.masks
    failures = store.failures(store.keys("failures"))
    goes = {_text(failures[key]) for key in keys & failures.keys()}
    goes -= {_text(failures[key]) for key in after.records & failures.keys()}
    alike = {key for key, failure in failures.items() if _text(failure) in goes} - after.records
    names = {file_name("records", key) for key in keys} | {logits_file(key) for key in keys}
    names |= {file_name("masks", key) for key in masks}
    names |= {file_name("models", key) for key in before.models - after.models}
    names |= {file_name("checkpoints", key) for key in keys}
    names |= {file_name("failures", key) for key in keys | masks | alike}
    files = store.backend.files()
    names |= {name for name in files if kind_of(name) == "weights" and _training(name) in keys}
    data = before.data - after.data
    names |= {name for name in files if kind_of(name) == "labels" and data_of_labels(key_of(name)) in data}
    changed = {name: plan for name, plan in rest.items() if len(plan.cells) < len(plans[name].cells)}
    return Removal(frozenset(plans), {name: files[name] for name in sorted(names & files.keys())}, changed)


def _with_cells(plan: StoredPlan, selected: Collection[int], inside: bool) -> StoredPlan:
    return plan.model_copy(update={"cells": [cell for cell in plan.cells if (id(cell) in selected) is inside]})


def _text(failure: Failure) -> tuple[str, str]:
    return failure.reason, failure.details


def _training(name: str) -> str:
    """The training of a weight file, by the name of the file."""
    with contextlib.suppress(ValueError):
        return WeightsRef.parse(key_of(name)).training
    return key_of(name)


def garbage(store: Store) -> Removal:
    """Files that no plan refers to, damaged files that were set aside, and temporary files of killed writers."""
    plans = read_plans(store)
    needed = references(store, plans.values())
    files = store.backend.files()
    verdicts = {name: _is_garbage(name, files, needed) for name in files}
    return Removal(
        known_plans=frozenset(plans),
        files={name: files[name] for name, verdict in verdicts.items() if verdict},
        spared=sum(verdict is None for verdict in verdicts.values()),
    )


def _is_garbage(name: str, files: Mapping[str, FileInfo], needed: References) -> bool | None:
    """Whether a file is of no use; None where it may belong to a cell that is not done."""
    kind, key = kind_of(name), key_of(name)
    # A key that no plan has may belong to a phase that plans do not list.
    unlisted = True if needed.complete else None
    if kind == "temporary":
        return files[name].age > STALE_SECONDS
    if kind == "damaged":
        return True
    if kind == "records":
        return key not in needed.records or file_name("records", key) not in files
    if kind == "models":
        return key not in needed.models
    if kind == "masks":
        return key not in needed.masks and unlisted
    if kind in ("weights", "checkpoints"):
        training = _training(name)
        return training not in needed.unfinished and (training in needed.records or unlisted)
    if kind == "labels":
        return data_of_labels(key) not in needed.data
    if kind == "failures":
        return file_name("records", key) in files or (key not in needed.records and unlisted)
    return False


@contextlib.contextmanager
def exclusive(store: Store) -> Iterator[RunClaims]:
    """Announce this process as a run. Raises PrunebenchError while another run is active on the store."""
    with store.claims() as claims:
        _check_alone(store, claims)
        yield claims


def _check_alone(store: Store, claims: RunClaims) -> None:
    if not claims.is_alone():
        raise PrunebenchError(f"another run is active on the store {store.name!r}", "nothing is removed until it ends")


def apply(store: Store, removed: Removal, claims: RunClaims) -> None:
    """Carry out a removal. Raises PrunebenchError if another run has begun or stored a plan since it was made."""
    _check_alone(store, claims)
    if {*names_of(store, "plans")} != removed.known_plans:
        raise PrunebenchError(f"the store {store.name!r} has changed in between", "give the same command again")
    # Plans first: a file that is left over after a crash is garbage, and a plan without its records would be planned
    # again.
    for name, plan in removed.plans.items():
        if plan.cells:
            store.backend.write(*serialization.encode_plan(plan))
        store.backend.remove(name)
    for name in removed.files:
        store.backend.remove(name)
