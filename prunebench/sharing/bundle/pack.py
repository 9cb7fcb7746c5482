"""The bundle of some results of a store: cells, and everything needed to recompute their scores.

Equal results give equal bytes: cells, records and arrays have a fixed order, and nothing depends on where or when the
bundle is written.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import Node
from prunebench.pruning import bitmask
from prunebench.recipes.options import split_list
from prunebench.reports.render.files import write_file
from prunebench.results.filters import Selection, choose_plans, no_results, one_setting, select
from prunebench.results.rows import Row, load_rows
from prunebench.runtime.environment import version
from prunebench.sharing.bundle import archive, predictions, reader, schema, strict
from prunebench.sharing.bundle.schema import CellLine, MaskLine, PlanHead, PlannedLine
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.schema import RUN, Cell, Record, StrategyCode
from prunebench.store.store import InputMissing, Store


def write_bundle(
    registry: Registry,
    out: Path,
    *,
    suite: str | None = None,
    store: str,
    everything: bool = False,
    transfers: bool = False,
    mixed: bool = False,
    tasks: str = "",
    strategies: str = "",
    **setting: str,
) -> tuple[Path, int]:
    """Write the bundle of the selected results of a store; return its path and its size in bytes.

    The results are those of the last run, of all runs of `suite`, or `everything`; `transfers` adds those of
    `prunebench transfer`. `tasks`, `strategies` and `setting` select among them as on any page, and `mixed` allows
    different settings.
    """
    source = Store.open(store)
    selection = Selection(tuple(split_list(tasks)), tuple(split_list(strategies)), **setting)
    rows = {}
    for kind in (RUN, "transfer") if transfers else (RUN,):
        # A suite may have runs without transfers.
        plans = choose_plans(source.plans(kind), suite, everything, must_exist=kind == RUN)
        selected = [row for row in select(load_rows(plans, source), selection) if not row.older_version]
        rows[kind] = selected if mixed else one_setting(selected)
    if not any(row.status == "done" for each in rows.values() for row in each):
        raise no_results([row for each in rows.values() for row in each])
    if out.suffix != ".zip":
        raise PrunebenchError(f"cannot write a bundle to {str(out)!r}", "expected the name of a zip file")
    data = pack(rows, source, registry)
    return write_file(out, data), len(data)


def pack(rows: Mapping[str, Sequence[Row]], store: Store, registry: Registry) -> bytes:
    """The bundle of the cells of `rows`, given by kind of plan.

    Raises PrunebenchError if a record, its predictions or a mask is missing, or if the code of a strategy that made a
    record is no longer known.
    """
    plans, cells = _collect_cells(rows)
    records, reasons = _read_records(cells, store)
    codes = _strategy_codes(plans, cells, records.values(), store, registry)
    masks = _summarise_masks(_rebuild_nodes(records, codes, registry), store)
    arrays, array_rows = _pack_predictions(records, store)
    members = {
        reader.CELLS: _lines(cell.model_dump() for cell in cells),
        reader.RECORDS: _lines(
            {"checksum": record.checksum, "record": record.to_json(), "predictions": array_rows[key]}
            for key, record in sorted(records.items())
        ),
        reader.MASKS: _lines(mask.model_dump() for mask in masks.values()),
        reader.PLANS: _lines(line.model_dump() for line in _planned_lines(records.values(), store)),
        reader.FAILURES: _lines({"key": key, "reason": reason} for key, reason in sorted(reasons.items())),
        **arrays,
    }
    manifest = {
        "kind": schema.KIND,
        "schema": schema.SCHEMA,
        "prunebench": version(),
        "plans": [plan.model_dump() for plan in plans],
        "strategies": {label: code.model_dump() for label, code in sorted(codes.items())},
        "sources": _sources(records.values(), registry),
        "summary": reader.summarise(cells, records, reasons, masks).model_dump(),
        "members": {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members.items()
        },
    }
    data = archive.write({reader.MANIFEST: strict.dumps(manifest), **members})
    reader.load(data)  # Never write a bundle that would be refused.
    return data


def _lines(values: Iterable[Any]) -> bytes:
    return b"".join(map(strict.dumps, values))


def _collect_cells(by_kind: Mapping[str, Sequence[Row]]) -> tuple[list[PlanHead], list[CellLine]]:
    """The plans that the cells come from, the oldest first, and the cells in a fixed order."""
    cells = {
        id(row.cell): (row.cell, PlanHead(kind=kind, **dict(row.command)))
        for kind, rows in by_kind.items()
        for row in rows
    }
    heads = sorted({head for _, head in cells.values()}, key=lambda head: (head.written, head.kind, head.suite))
    index = {head: i for i, head in enumerate(heads)}
    lines = [CellLine(**dict(cell), plan=index[head]) for cell, head in cells.values()]
    return heads, sorted(lines, key=_cell_order)


def _cell_order(cell: CellLine) -> tuple[Any, ...]:
    return cell.task, cell.seed, cell.track, cell.label, cell.sparsity, cell.key, cell.plan


def _planned_lines(records: Iterable[Record], store: Store) -> list[PlannedLine]:
    """All cells of the plans that the records name, as far as the store still has these plans."""
    names = {record.plan for record in records}
    plans = {plan.commitment: plan for plan in store.plans(None) if plan.commitment in names}
    return [
        PlannedLine(**dict(cell), plan=name, kind=plan.kind, suite=plan.suite)
        for name, plan in sorted(plans.items())
        for cell in sorted(plan.planned, key=lambda cell: (cell.task, cell.seed, cell.label, cell.sparsity, cell.key))
    ]


def _read_records(cells: Sequence[Cell], store: Store) -> tuple[dict[str, Record], dict[str, str]]:
    """The records of the cells and of their trainings, and the reasons of failures, both by key."""
    keys = {key for cell in cells for key in cell.record_keys}
    records = store.fetch(keys)
    failures = store.failures(keys - records.keys())
    for cell in cells:
        if set(cell.record_keys) - records.keys() and not set(cell.record_keys) & failures.keys():
            raise PrunebenchError(
                f"{cell.label} at {cell.sparsity:g} on {cell.task} with seed {cell.seed} is planned but not done",
                "`prunebench run` computes it; --tasks and --strategies leave it out",
            )
    return records, {key: failure.reason for key, failure in failures.items()}


def _strategy_codes(
    plans: Sequence[PlanHead],
    cells: Sequence[Cell],
    records: Iterable[Record],
    store: Store,
    registry: Registry,
) -> dict[str, StrategyCode]:
    """The code of every strategy by label: as its plan recorded it, or as it is installed now."""
    labels = {cell.label for cell in cells if not cell.mask_from}
    labels |= {entry.strategy for record in records for entry in record.phases if entry.strategy}
    codes: dict[str, StrategyCode] = {}
    commands = {(plan.written, plan.command) for plan in plans}
    for kind in {plan.kind for plan in plans}:
        for plan in store.plans(kind):
            codes |= plan.strategies if (plan.written, plan.command) in commands else {}
    return {
        label: codes.get(label) or StrategyCode.model_validate(registry.strategy_key(label)) for label in sorted(labels)
    }


def _rebuild_nodes(records: Mapping[str, Record], codes: Mapping[str, StrategyCode], registry: Registry) -> list[Node]:
    """All nodes of the trees that the records belong to. Raises PrunebenchError if a record has another key there."""
    trees = Trees(codes, registry)
    for key, record in sorted(records.items()):
        if trees.add(record.experiment, record.phases).key != key:
            names = sorted({entry.strategy for entry in record.phases} - {""})
            raise PrunebenchError(
                f"the record {key} was made by a version of {', '.join(names) or 'prunebench'} that is not installed",
                "install the plugins that made it, or run it again",
            )
    for node in list(trees.nodes.values()):
        trees.mask_source(node)
    return list(trees.nodes.values())


def _summarise_masks(nodes: Iterable[Node], store: Store) -> dict[str, MaskLine]:
    """The checksum and the counts of every mask that a strategy found, by key."""
    keys = sorted(node.key for node in nodes if node.phase and node.phase.asks_strategy)
    masks = {}
    for key in keys:
        try:
            masks[key] = MaskLine(key=key, **store.load("masks", key, bitmask.summary))
        except InputMissing as error:
            raise PrunebenchError(str(error), "`prunebench run` computes it again") from None
    return masks


def _pack_predictions(
    records: Mapping[str, Record], store: Store
) -> tuple[dict[str, bytes], dict[str, dict[str, Any]]]:
    """An array for each split of a task, and by record and evaluation the row of its predictions."""
    groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for key, record in sorted(records.items()):
        for name, scores in record.evaluations.items():
            groups[record.experiment.task, record.experiment.data, name, scores.examples].append(key)
    arrays: dict[str, bytes] = {}
    rows: dict[str, dict[str, Any]] = defaultdict(dict)
    for number, ((_, _, evaluation, _), keys) in enumerate(sorted(groups.items())):
        name = f"predictions/{number}.npy"
        arrays[name] = predictions.pack([_stored_predictions(key, evaluation, store) for key in keys])
        for row, key in enumerate(keys):
            rows[key][evaluation] = {"array": name, "row": row}
    return arrays, rows


def _stored_predictions(key: str, evaluation: str, store: Store) -> predictions.Array:
    stored = store.predictions(key)
    if evaluation not in stored:
        raise PrunebenchError(f"the predictions of the record {key} are missing", "remove the record and run it again")
    return stored[evaluation]


def _sources(records: Iterable[Record], registry: Registry) -> dict[str, dict[str, dict[str, str]]]:
    """The code of the tasks, metrics and model families of these records, by kind and name."""
    experiments = [record.experiment for record in records]
    tasks = sorted({experiment.task for experiment in experiments})
    used = {
        "tasks": tasks,
        "metrics": sorted({registry.get("tasks", task).metric for task in tasks}),
        "models": sorted({experiment.model.family for experiment in experiments}),
    }
    return {kind: {name: registry.code(kind, name) for name in names} for kind, names in used.items()}
