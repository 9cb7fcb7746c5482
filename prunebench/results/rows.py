"""The long table: one row for each cell, evaluation and metric, from stored plans and records alone.

Torch-free. Imports `phases`.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from prunebench.recipes.phases import trains_from_theta0

Fetch = Callable[[str], Mapping[str, Any] | None]


class Store(Protocol):
    """What gives records and failures, as many as there are of those keys."""

    def fetch(self, keys: Collection[str]) -> Mapping[str, Mapping[str, Any]]: ...
    def failures(self, keys: Collection[str]) -> Mapping[str, Mapping[str, Any]]: ...


@dataclass(frozen=True, order=True)
class Setting:
    """What must be equal for two results of one task to stand in one ranking."""

    model: str = ""
    model_fingerprint: str = ""
    model_revision: str = ""
    data: str = ""
    protocol: str = ""
    precision: str = ""
    device: str = ""
    prunable: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One method at one sparsity on one task with one seed, as it was planned.

    `key` names the record that its score is read from, `trainings` those of all trainings on its recipe's path.
    `mask` is that of its mask in the store: "" where it has none, or one drawn at random, which is not kept, or was
    planned before masks were named. `mask_from` is set in a transfer only: the task that the mask was found on, or the
    control that it comes from.
    """

    suite: str
    command: str
    written: str
    strategy: str
    label: str
    options: Mapping[str, Any]
    unit: str
    track: str
    control_of: str | None
    source: str
    doc: str
    task: str
    benchmark: str
    split: str
    metrics: tuple[str, ...]
    evaluations: tuple[str, ...]
    sparsity: float
    seed: int
    key: str
    trainings: tuple[str, ...]
    setting: Setting
    mask: str = ""
    mask_from: str = ""

    @property
    def is_dense(self) -> bool:
        return self.strategy == "dense"

    def suffix(self, evaluation: str) -> str:
        """What tells an evaluation of this task from its others: "matched", or "" where there is but one."""
        if len(self.evaluations) < 2:
            return ""
        return evaluation.removeprefix("validation").replace("_", " ").strip()


@dataclass(frozen=True, slots=True)
class Cost:
    """Trainings, the optimiser steps in them, and the seconds that they took on the `hardware` that records name.

    Steps and seconds are None where a record is lost, or knows of none.
    """

    trainings: int
    steps: int | None
    seconds: float | None = None
    hardware: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the record of a cell says beside its scores.

    Realised sparsity is `pruned` of `units` (weights, heads or neurons); encoder sparsities are fractions of
    `encoder_weights` that are zero or gone, before and after the last training. `find` is what was spent until the
    last mask stood, `train` what was spent on the weights that are scored. `from_theta0`: what is scored is a
    subnetwork of θ0 that was trained, which can be a winning ticket. `speed` is how many examples a second the scored
    model predicted, where that was measured.
    """

    units: int
    pruned: int
    realised: float
    encoder_before: float
    encoder_after: float
    encoder_weights: int
    parameters_total: int
    parameters_left: int
    train_examples: int
    find: Cost
    train: Cost
    from_theta0: bool
    environment: Mapping[str, str]
    failed_checks: tuple[str, ...]
    speed: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one evaluation of a cell.

    `value` is None unless `status` is "done"; else `status` is "missing" or "failed: reason". `dense` is the value of
    the unpruned model of the same seed, `majority` that of the most frequent class. `degenerate`: the metric is
    undefined for these predictions, and `value` stands in for it.
    """

    cell: Cell
    outcome: Outcome | None
    evaluation: str
    metric: str
    status: str
    value: float | None = None
    dense: float | None = None
    majority: float | None = None
    degenerate: bool = False
    examples: int | None = None

    @property
    def split(self) -> str:
        return f"{self.cell.split} {self.cell.suffix(self.evaluation)}".strip()


def rows(plans: Iterable[Mapping[str, Any]], record: Fetch, failure: Fetch) -> list[Row]:
    """The long table of all cells of `plans` (the newest last), in an order that depends on their content only.

    `record` and `failure` give what the store holds under a key, or None. Where two plans have the same method, task,
    sparsity, seed and setting, the newer one's cell counts.
    """
    fetch = functools.cache(record)
    table = [row for cell in _cells(plans) for row in _rows(cell, fetch, failure)]
    dense = {_pair(row): row.value for row in table if row.cell.is_dense and row.value is not None}
    return sorted((replace(row, dense=dense.get(_pair(row))) for row in table), key=order)


def stored(plans: Sequence[Mapping[str, Any]], store: Store) -> list[Row]:
    """The long table of all cells of `plans`, from a store that is asked for everything at once."""
    cells = [cell for plan in plans for cell in plan["cells"]]
    keys = {key for cell in cells for key in (cell["key"], *cell["trainings"])}
    records = store.fetch(keys)
    return rows(plans, records.get, store.failures(keys - records.keys()).get)


def order(row: Row) -> tuple[Any, ...]:
    """Sorts rows by task, track, sparsity, method and seed, and a task's metrics as the task lists them."""
    cell = row.cell
    metric = cell.metrics.index(row.metric)
    evaluation = cell.evaluations.index(row.evaluation)
    method = (not cell.is_dense, cell.label)
    return (cell.task, cell.track, cell.sparsity, *method, cell.seed, evaluation, metric, cell.setting)


def _cells(plans: Iterable[Mapping[str, Any]]) -> list[Cell]:
    newest: dict[tuple[Any, ...], Cell] = {}
    for plan in plans:
        # Within one plan the order of the cells must not matter, not even if it holds one twice.
        for data in sorted(plan["cells"], key=lambda data: str(data["key"])):
            cell = _cell(plan, data)
            newest[cell.label, cell.task, cell.sparsity, cell.seed, cell.setting] = cell
    return list(newest.values())


_OF_PLAN = ("suite", "command", "written")
# What plans of earlier versions lack.
_LATER = ("mask", "mask_from")
_OF_CELL = [field.name for field in fields(Cell) if field.name not in (*_OF_PLAN, *_LATER)]
_OF_SETTING = [field.name for field in fields(Setting)]


def _cell(plan: Mapping[str, Any], data: Mapping[str, Any]) -> Cell:
    values = {name: data[name] for name in _OF_CELL}
    for name in ("metrics", "evaluations", "trainings"):
        values[name] = tuple(values[name])
    values["setting"] = Setting(**{name: data["setting"].get(name) or "" for name in _OF_SETTING})
    values |= {name: data.get(name) or "" for name in _LATER}
    return Cell(**{name: plan[name] for name in _OF_PLAN}, **values)


def _rows(cell: Cell, fetch: Fetch, failure: Fetch) -> Iterable[Row]:
    record = fetch(cell.key)
    pairs = [(evaluation, metric) for evaluation in cell.evaluations for metric in cell.metrics]
    if record is None:
        status = _failed(cell, failure)
        return [Row(cell, None, evaluation, metric, status) for evaluation, metric in pairs]
    outcome = _outcome(cell, record, fetch)
    return [_row(cell, outcome, record, evaluation, metric) for evaluation, metric in pairs]


def _failed(cell: Cell, failure: Fetch) -> str:
    """The first failure on the recipe's path: what was never started because of it says less about the reason."""
    for key in dict.fromkeys((*cell.trainings, cell.key)):
        failed = failure(key)
        if failed is not None:
            return f"failed: {failed['reason']}"
    return "missing"


def _row(cell: Cell, outcome: Outcome, record: Mapping[str, Any], evaluation: str, metric: str) -> Row:
    scores = record["evaluations"].get(evaluation, {})
    value = scores.get("metrics", {}).get(metric)
    if value is None:
        return Row(cell, outcome, evaluation, metric, f"failed: the record has no {metric} of {evaluation}")
    if not math.isfinite(value):
        return Row(cell, outcome, evaluation, metric, f"failed: {metric} of {evaluation} is {value}")
    return Row(
        cell,
        outcome,
        evaluation,
        metric,
        status="done",
        value=float(value),
        majority=scores.get("majority", {}).get(metric),
        degenerate=metric in scores.get("degenerate", ()),
        examples=scores.get("examples"),
    )


def _outcome(cell: Cell, record: Mapping[str, Any], fetch: Fetch) -> Outcome:
    sparsity, parameters = record["sparsity"], record["parameters"]
    find, train = _costs(cell, record, fetch)
    return Outcome(
        **{name: sparsity[name] for name in ("units", "pruned", "realised", "encoder_weights")},
        encoder_before=sparsity["encoder_before"],
        encoder_after=sparsity["encoder_after"],
        parameters_total=parameters["total"],
        parameters_left=parameters["left"],
        train_examples=record["root"]["sizes"]["train"],
        find=find,
        train=train,
        from_theta0=trains_from_theta0(record["phases"]),
        environment={name: str(value) for name, value in record.get("environment", {}).items()},
        failed_checks=tuple(sorted(name for name, held in record.get("checks", {}).items() if held is False)),
        speed=_speed(record),
    )


def _speed(record: Mapping[str, Any]) -> float | None:
    seconds = record.get("seconds", {}).get("predict")
    return sum(found["examples"] for found in record["evaluations"].values()) / seconds if seconds else None


def _costs(cell: Cell, record: Mapping[str, Any], fetch: Fetch) -> tuple[Cost, Cost]:
    """What was spent to find the mask, and to train it.

    The last training trained what is scored only if nothing but `Compact` follows it: a model that is pruned and left
    as it is has cost all its trainings to find, and none to train.
    """
    last_first = (phase["phase"] for phase in reversed(record["phases"]))
    after = set(itertools.takewhile(lambda word: word != "Train", last_first))
    split = len(cell.trainings) - (1 if cell.trainings and after <= {"Compact"} else 0)
    find, train = cell.trainings[:split], cell.trainings[split:]
    # A record has the seconds since the one before it: those of a training that `Compact` follows stand in its record.
    if not train:
        return _cost(find, (*find, cell.key) if find else (), fetch), _cost((), (), fetch)
    return _cost(find, find, fetch), _cost(train, (*train, cell.key), fetch)


def _cost(keys: Sequence[str], timed: Sequence[str], fetch: Fetch) -> Cost:
    steps = [record["steps"] for key in keys if (record := fetch(key)) is not None]
    found = [record for key in dict.fromkeys(timed) if "seconds" in (record := fetch(key) or {})]
    return Cost(
        len(keys),
        sum(steps) if len(steps) == len(keys) else None,
        math.fsum(record["seconds"]["train"] for record in found) if len(found) == len(set(timed)) else None,
        frozenset(str(name) for record in found if (name := record.get("environment", {}).get("hardware"))),
    )


def _pair(row: Row) -> tuple[Any, ...]:
    cell = row.cell
    return cell.task, cell.setting, cell.seed, row.evaluation, row.metric
