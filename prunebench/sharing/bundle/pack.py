"""From a store to a bundle: what was selected, with all that it takes to recompute it, in the same bytes each time.

Imports no torch.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import Node
from prunebench.pruning import bitmask
from prunebench.recipes.phases import asks_strategy
from prunebench.results import rows
from prunebench.results.rows import Row
from prunebench.runtime.environment import version
from prunebench.sharing.bundle import archive, predictions, reader, schema, strict
from prunebench.sharing.bundle.schema import Cell, MaskLine, Plan, StrategyCode
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.serialization import checksum
from prunebench.store.store import InputMissing, Store

_OF_PLAN = ("suite", "command", "written")


def pack(rows: Mapping[str, Sequence[Row]], store: Store, registry: Registry) -> bytes:
    """The bundle of the cells of `rows`, which come from plans of `store`, by their kind.

    Raises PrunebenchError where something is missing, or was made by a strategy that is another one by now.
    """
    by_kind = {kind: list({id(row.cell): row.cell for row in found}.values()) for kind, found in rows.items()}
    plans, cells = _cells(by_kind)
    records, reasons = _records(cells, store)
    codes = _strategies(plans, cells, records.values(), store, registry)
    masks = _masks(_nodes(records, codes), store)
    arrays, places = _predictions(records, store)
    members = {
        reader.CELLS: _lines(cell.model_dump() for cell in cells),
        reader.RECORDS: _lines(
            {"checksum": checksum(record), "record": record, "predictions": places[key]}
            for key, record in sorted(records.items())
        ),
        reader.MASKS: _lines(mask.model_dump() for mask in masks.values()),
        reader.FAILURES: _lines({"key": key, "reason": reason} for key, reason in sorted(reasons.items())),
        **arrays,
    }
    manifest = {
        "kind": schema.KIND,
        "schema": schema.SCHEMA,
        "prunebench": version(),
        "plans": [plan.model_dump() for plan in plans],
        "strategies": {label: code.model_dump() for label, code in sorted(codes.items())},
        "sources": sources(records.values(), registry),
        "summary": reader.summarised(cells, records, reasons, masks).model_dump(),
        "members": {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members.items()
        },
    }
    data = archive.write({reader.MANIFEST: strict.dumps(manifest), **members})
    reader.load(data)  # What would be refused is not written.
    return data


def _lines(values: Iterable[Any]) -> bytes:
    return b"".join(map(strict.dumps, values))


def _cells(by_kind: Mapping[str, Sequence[rows.Cell]]) -> tuple[list[Plan], list[Cell]]:
    """The plans that the cells come from, the oldest first, and the cells in an order that is theirs."""
    heads = {
        (cell.written, kind, cell.suite, cell.command): Plan(
            kind=kind, suite=cell.suite, command=cell.command, written=cell.written
        )
        for kind, cells in by_kind.items()
        for cell in cells
    }
    number = {head: i for i, head in enumerate(sorted(heads))}
    lines = []
    for kind, cells in by_kind.items():
        for cell in cells:
            values = {name: value for name, value in asdict(cell).items() if name not in _OF_PLAN}
            lists = {name: list(values[name]) for name in ("metrics", "evaluations", "trainings")}
            plan = number[cell.written, kind, cell.suite, cell.command]
            lines.append(strict.read(Cell, {**values, **lists, "plan": plan}, "a cell of the store"))
    return [heads[head] for head in number], sorted(lines, key=_place)


def _place(cell: Cell) -> tuple[Any, ...]:
    return cell.task, cell.seed, cell.track, cell.label, cell.sparsity, cell.key, cell.plan


def _records(cells: Sequence[Cell], store: Store) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
    keys = {key for cell in cells for key in (cell.key, *cell.trainings)}
    records = store.fetch(keys)
    failed = store.failures(keys - records.keys())
    for cell in cells:
        wanted = {cell.key, *cell.trainings}
        if wanted - records.keys() and not wanted & failed.keys():
            raise PrunebenchError(
                f"{cell.label} at {cell.sparsity:g} on {cell.task} with seed {cell.seed} is planned and not done",
                "`prunebench run` goes on with it; or choose less with --tasks and --strategies",
            )
    return records, {key: str(failure["reason"]) for key, failure in failed.items()}


def _strategies(
    plans: Sequence[Plan],
    cells: Sequence[Cell],
    records: Iterable[Mapping[str, Any]],
    store: Store,
    registry: Registry,
) -> dict[str, StrategyCode]:
    """The code of every strategy by its label, as the run knew it that planned it, or else as it is now."""
    labels = {cell.label for cell in cells if not cell.mask_from}
    labels |= {str(phase["strategy"]) for record in records for phase in record["phases"] if phase["strategy"]}
    known: dict[str, Any] = {}
    meant = {(plan.written, plan.command) for plan in plans}
    for kind in {plan.kind for plan in plans}:
        for plan in store.plans(kind):
            known |= plan["strategies"] if (plan["written"], plan["command"]) in meant else {}
    return {
        label: strict.read(StrategyCode, known.get(label) or registry.called(label), f"the strategy {label!r}")
        for label in sorted(labels)
    }


def _nodes(records: Mapping[str, Mapping[str, Any]], codes: Mapping[str, StrategyCode]) -> list[Node]:
    """All nodes of the trees that the records stand in; the key of each record must come out."""
    trees = Trees(codes)
    for key, record in sorted(records.items()):
        if trees.add(record["root"], record["phases"]).key != key:
            called = sorted({str(phase["strategy"]) for phase in record["phases"]} - {""})
            raise PrunebenchError(
                f"the record {key} was made by another version of {', '.join(called) or 'prunebench'} than is here",
                "bundle with the plugins that made it, or run it again",
            )
    for node in list(trees.nodes.values()):
        trees.adopted(node)
    return list(trees.nodes.values())


def _masks(nodes: Iterable[Node], store: Store) -> dict[str, MaskLine]:
    keys = sorted(node.key for node in nodes if node.phase and asks_strategy(node.phase))
    found = {}
    for key in keys:
        try:
            found[key] = MaskLine(key=key, **store.load("masks", key, bitmask.described))
        except InputMissing as error:
            raise PrunebenchError(str(error), "`prunebench run` makes it again") from None
    return found


def _predictions(
    records: Mapping[str, Mapping[str, Any]], store: Store
) -> tuple[dict[str, bytes], dict[str, dict[str, Any]]]:
    """An array for each split of a task, and where the predictions of each record stand in them."""
    groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for key, record in sorted(records.items()):
        root = record["root"]
        for name, scores in record["evaluations"].items():
            groups[root["task"], root["data"], name, scores["examples"]].append(key)
    arrays: dict[str, bytes] = {}
    places: dict[str, dict[str, Any]] = defaultdict(dict)
    for number, ((_, _, evaluation, _), keys) in enumerate(sorted(groups.items())):
        name = f"predictions/{number}.npy"
        arrays[name] = predictions.pack([_decided(key, evaluation, store) for key in keys])
        for row, key in enumerate(keys):
            places[key][evaluation] = {"array": name, "row": row}
    return arrays, places


def _decided(key: str, evaluation: str, store: Store) -> predictions.Array:
    found = store.decided(key)
    if evaluation not in found:
        raise PrunebenchError(f"the predictions of the record {key} are gone", "remove the record, and run it again")
    return found[evaluation]


def sources(records: Iterable[Mapping[str, Any]], registry: Registry) -> dict[str, dict[str, dict[str, str]]]:
    """Where the tasks, metrics and families of encoders of these records come from."""
    roots = [record["root"] for record in records]
    tasks = sorted({str(root["task"]) for root in roots})
    names = {
        "tasks": tasks,
        "metrics": sorted({registry.get("tasks", task).metric for task in tasks}),
        "models": sorted({str(root["model"]["family"]) for root in roots}),
    }
    return {kind: {name: registry.code(kind, name) for name in found} for kind, found in names.items()}
