"""What a forger may do to a bundle, as a list of lies: each alters it, with all checksums made to fit.

`REFUSED` are lies that `verify` refuses, `NOTED` those that it accepts with a note, and `SILENT` those that nothing in
a bundle can show: the list of what was not checked names them. A rerun refuses `make_up` and `copy_labels` as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sharing.forgery import alter, lines, members, reseal, to_lines

from prunebench.sharing.bundle import predictions
from prunebench.sharing.bundle.predictions import Array

Lie = Callable[[bytes], bytes]
Records = list[dict[str, Any]]


def records(change: Callable[[Records], None]) -> Lie:
    return lambda data: alter(data, "records.jsonl", lambda values: change([value["record"] for value in values]))


def cells(change: Callable[[Records], None]) -> Lie:
    return lambda data: alter(data, "cells.jsonl", change)


def each(*path: str, to: Any) -> Lie:
    """One value of every record; a function of the old one, or the new value."""

    def change(values: Records) -> None:
        for value in values:
            parent: Any = value
            for name in path[:-1]:
                parent = parent[name]
            parent[path[-1]] = to(parent[path[-1]]) if callable(to) else to

    return records(change)


def seconds(**changes: Any) -> Lie:
    return each("seconds", to=lambda old: old | changes)


def scores(value: float) -> Lie:
    def change(values: Records) -> None:
        for record in values:
            for evaluation in record["evaluations"].values():
                evaluation["metrics"] = dict.fromkeys(evaluation["metrics"], value)

    return records(change)


def twins(values: Records) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Records of the regression task with seed 0 and 1 and the same phases."""
    by_seed: dict[int, dict[str, dict[str, Any]]] = {0: {}, 1: {}}
    for record in values:
        if record["root"]["task"] == "stsb":
            by_seed[record["root"]["seed"]][json.dumps(record["phases"])] = record
    return [(by_seed[0][phases], by_seed[1][phases]) for phases in by_seed[0]]


def copy_losses(values: Records) -> None:
    for first, second in twins(values):
        second["loss"] = first["loss"]


def copy_predictions(data: bytes) -> bytes:
    """The predictions and scores of seed 0 for seed 1, with another loss."""
    content = members(data)
    values = lines(content["records.jsonl"])
    rows = {value["record"]["key"]: value["predictions"]["validation"] for value in values}
    arrays = {name: predictions.unpack(content[name], name).copy() for name in content if name.endswith(".npy")}
    for first, second in twins([value["record"] for value in values]):
        old, new = rows[first["key"]], rows[second["key"]]
        arrays[new["array"]][new["row"]] = arrays[old["array"]][old["row"]]
        second["evaluations"] = first["evaluations"]
    packed = {name: predictions.pack(list(array)) for name, array in arrays.items()}
    forged = reseal(content | packed | {"records.jsonl": to_lines(values)})
    return alter(forged, "records.jsonl", lambda values: None)


def make_up(labels: Array) -> Lie:
    """One example more that is right in every record of RTE, with the accuracy that follows."""

    def change(old: Array) -> Array:
        new = old.copy()
        wrong = np.flatnonzero(new != labels)[:1]
        new[wrong] = labels[wrong]
        return new

    return _predict(labels, change)


def copy_labels(labels: Array) -> Lie:
    """The labels of RTE as the predictions of every record."""
    return _predict(labels, lambda old: labels)


def _predict(labels: Array, change: Callable[[Array], Array]) -> Lie:
    def lie(data: bytes) -> bytes:
        content = members(data)
        values = lines(content["records.jsonl"])
        arrays = {name: predictions.unpack(content[name], name).copy() for name in content if name.endswith(".npy")}
        for value in values:
            if value["record"]["root"]["task"] == "rte":
                row = value["predictions"]["validation"]
                new = arrays[row["array"]][row["row"]] = change(arrays[row["array"]][row["row"]])
                value["record"]["evaluations"]["validation"]["metrics"]["accuracy"] = float((new == labels).mean())
        packed = {name: predictions.pack(list(array)) for name, array in arrays.items()}
        return alter(reseal(content | packed | {"records.jsonl": to_lines(values)}), "records.jsonl", lambda _: None)

    return lie


def rte_labels(glue_dir: Path) -> Array:
    """The labels of RTE's dev split."""
    rows = (glue_dir / "RTE/dev.tsv").read_text().splitlines()[1:]
    names = ["entailment", "not_entailment"]
    return np.array([names.index(row.split("\t")[-1]) for row in rows], dtype=np.uint8)


def drop(**fields: Any) -> Lie:
    """Leave out the cells with these values, and all that belongs to them alone."""

    def lie(data: bytes) -> bytes:
        content = members(data)
        kept_cells = [
            cell for cell in lines(content["cells.jsonl"]) if any(cell[name] != value for name, value in fields.items())
        ]
        used = {key for cell in kept_cells for key in (cell["key"], *cell["trainings"])}
        return _restrict(content | {"cells.jsonl": to_lines(kept_cells)}, used)

    return lie


def _restrict(content: dict[str, bytes], used: set[str]) -> bytes:
    """The bundle with the records in `used`, their predictions and their masks."""
    from prunebench.hooks.registry import Registry
    from prunebench.sharing.bundle import reader
    from prunebench.sharing.bundle.trees import Trees

    values = [value for value in lines(content["records.jsonl"]) if value["record"]["key"] in used]
    rows: dict[str, list[Any]] = {}
    for value in values:
        for row in value["predictions"].values():
            array = predictions.unpack(content[row["array"]], row["array"])
            rows.setdefault(row["array"], []).append(array[row["row"]])
            row["row"] = len(rows[row["array"]]) - 1
    content = {name: data for name, data in content.items() if not name.endswith(".npy")}
    content |= {name: predictions.pack(arrays) for name, arrays in rows.items()}
    content["records.jsonl"] = to_lines(values)
    bundle = reader.load(reseal(content))
    trees = Trees(bundle.manifest.strategies, Registry())
    for record in bundle.records.values():
        trees.add(record.experiment, record.phases)
    asked = {key for key, node in trees.nodes.items() if node.phase and node.phase.asks_strategy}
    content["masks.jsonl"] = to_lines([mask for mask in lines(content["masks.jsonl"]) if mask["key"] in asked])
    return reseal(content)


def without_plan(data: bytes) -> bytes:
    def change(values: Records) -> None:
        for value in values:
            value["record"].pop("plan", None)

    content = members(alter(data, "plans.jsonl", lambda values: values.clear()))
    return alter(reseal(content), "records.jsonl", change)


def rename_model(data: bytes) -> bytes:
    """Another name for the model, in every place where it stands."""
    name = "quick-bert"
    data = records(lambda values: [record["root"]["model"].update(name=name) for record in values] and None)(data)
    return cells(lambda values: [cell["setting"].update(model=name) for cell in values] and None)(data)


def rename_protocol(data: bytes) -> bytes:
    data = each("root", "protocol_label", to="glue-1")(data)
    return cells(lambda values: [cell["setting"].update(protocol="glue-1") for cell in values] and None)(data)


def grow(values: Records) -> None:
    """Encoder weights that no number of neurons gives, in every record alike."""
    for record in values:
        record["encoder"]["head_size"] += 1


def date(data: bytes) -> bytes:
    content = members(data)
    manifest = json.loads(content["manifest.json"])
    manifest["plans"][0]["written"] = "2199-01-01T00:00:00+00:00"
    return reseal(content | {"manifest.json": json.dumps(manifest).encode()})


def surrogate(data: bytes) -> bytes:
    content = members(data)
    cell_lines = content["cells.jsonl"].replace(b'"doc":"', b'"doc":"\\ud800')
    return reseal(content | {"cells.jsonl": cell_lines})


REFUSED: dict[str, Lie] = {
    "seconds: none": each("seconds", to={}),
    "seconds: huge": seconds(train=1e308),
    "seconds: above any job": seconds(train=1e9),
    "seconds: denormal": seconds(train=5e-324),
    "seconds: below any clock": seconds(evaluate=1e-9),
    "seconds: of an unknown part": seconds(sleep=1.0),
    "memory: huge": each("peak_memory_mb", to=1e12),
    "scores: huge": scores(1e308),
    "scores: denormal": scores(5e-324),
    "scores: large": scores(1e7),
    "text: half of a surrogate pair": surrogate,
    "losses: equal for two seeds": records(copy_losses),
    "losses: none": each("loss", to=None),
    "predictions: equal for two seeds": copy_predictions,
    "parameters: of no encoder": records(grow),
    "parameters: none left": each("parameters", "left", to=0),
    "parameters: fewer than weights": each("parameters", to={"total": 1, "left": 1, "in_model": 1}),
    "layers: more": each("encoder", "layers", to=lambda number: number + 1),
    "heads: more": each("encoder", "heads", to=lambda number: number + 1),
    "checks: none": each("checks", to={}),
    "tokens: more than batches hold": each("tokens", to=lambda number: 10**6 * number),
    "protocol: another label": rename_protocol,
    "plan: shortened": lambda data: alter(data, "plans.jsonl", lambda values: values.pop()),
    "plan: another seed": lambda data: alter(data, "plans.jsonl", lambda values: values[0].update(seed=7)),
}
NOTED: dict[str, Lie] = {
    "left out: a seed": drop(seed=1),
    "left out: a task": drop(task="stsb"),
    "left out: a method": drop(label="heads"),
    "left out: a cell": drop(label="heads", seed=1, task="rte"),
    "left out: a sparsity": drop(label="imp", sparsity=0.2),
    "plan: none": without_plan,
    "model: another name": rename_model,
    "time: in the future": date,
}
SILENT: dict[str, Lie] = {
    "hardware: another": each("environment", "hardware", to="a much larger machine"),
    "seconds: half": each("seconds", to=lambda old: {name: value / 2 for name, value in old.items()}),
    "memory: none": each("peak_memory_mb", to=0.0),
}
