"""The long table: one row for each cell, evaluation and metric, from stored plans and records alone."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from prunebench.recipes.phases import trains_from_theta0
from prunebench.store.schema import Cell, Command, Failure, Record, StoredPlan

FetchRecord = Callable[[str], Record | None]
FetchFailure = Callable[[str], Failure | None]


class Results(Protocol):
    """A store or a bundle: gives the records and failures of those keys, as many as there are."""

    def fetch(self, keys: Collection[str]) -> Mapping[str, Record]: ...
    def failures(self, keys: Collection[str]) -> Mapping[str, Failure]: ...


@dataclass(frozen=True, slots=True)
class Cost:
    """Trainings, their optimiser steps, and the seconds that they took on the `hardware` that records name.

    Steps and seconds are None where a record is lost, or does not know them.
    """

    trainings: int
    steps: int | None
    seconds: float | None = None
    hardware: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the record of a cell says beside its scores.

    Realised sparsity is `pruned` of `units` (weights, heads or neurons). Encoder sparsities are fractions of
    `encoder_weights` that are zero or gone, before and after the last training. `find` is the cost until the last mask
    stood, `train` the cost of training the weights that are scored. `from_theta0`: what is scored is a subnetwork of θ0
    that was trained, which can be a winning ticket. `speed` is how many examples a second the scored model predicted,
    where that was measured.
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
    """One metric of one evaluation of a cell, and the `command` that asked for the cell.

    `value` is None unless `status` is "done"; else `status` is "missing" or "failed: reason". `dense` is the value of
    the unpruned model of the same seed, `majority` that of the most frequent class. `degenerate`: the metric is
    undefined for these predictions, and `value` stands in for it.
    """

    cell: Cell
    command: Command
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


def rows(plans: Iterable[StoredPlan], record: FetchRecord, failure: FetchFailure) -> list[Row]:
    """The long table of all cells of `plans` (the newest last), in an order that depends on their content only.

    `record` and `failure` return what the store holds under a key, or None. Where two plans have the same method, task,
    sparsity, seed and setting, the newer one's cell counts.
    """
    fetch = functools.cache(record)
    table = [row for cell, command in _newest(plans) for row in _rows(cell, command, fetch, failure)]
    dense = {_pair(row): row.value for row in table if row.cell.is_dense and row.value is not None}
    return sorted((replace(row, dense=dense.get(_pair(row))) for row in table), key=order)


def stored_rows(plans: Sequence[StoredPlan], results: Results) -> list[Row]:
    """The long table of all cells of `plans`, from a store that is asked for everything at once."""
    keys = {key for plan in plans for cell in plan.cells for key in cell.record_keys}
    records = results.fetch(keys)
    return rows(plans, records.get, results.failures(keys - records.keys()).get)


def order(row: Row) -> tuple[Any, ...]:
    """Sorts rows by task, track, sparsity, method and seed, and a task's metrics as the task lists them."""
    cell = row.cell
    metric = cell.metrics.index(row.metric)
    evaluation = cell.evaluations.index(row.evaluation)
    method = (not cell.is_dense, cell.label)
    return (cell.task, cell.track, cell.sparsity, *method, cell.seed, evaluation, metric, cell.setting)


def _newest(plans: Iterable[StoredPlan]) -> list[tuple[Cell, Command]]:
    newest: dict[tuple[Any, ...], tuple[Cell, Command]] = {}
    for plan in plans:
        command = Command(suite=plan.suite, command=plan.command, written=plan.written)
        # The order of the cells in a plan must not matter, not even if it holds one twice.
        for cell in sorted(plan.cells, key=lambda cell: cell.key):
            newest[cell.label, cell.task, cell.sparsity, cell.seed, cell.setting] = cell, command
    return list(newest.values())


def _rows(cell: Cell, command: Command, fetch: FetchRecord, failure: FetchFailure) -> Iterable[Row]:
    record = fetch(cell.key)
    pairs = [(evaluation, metric) for evaluation in cell.evaluations for metric in cell.metrics]
    if record is None:
        status = _status(cell, failure)
        return [Row(cell, command, None, evaluation, metric, status) for evaluation, metric in pairs]
    outcome = _outcome(cell, record, fetch)
    return [_row(cell, command, outcome, record, evaluation, metric) for evaluation, metric in pairs]


def _status(cell: Cell, failure: FetchFailure) -> str:
    """The first failure on the recipe's path, which is the cause of those behind it."""
    failures = (failure(key) for key in cell.record_keys)
    first = next((each for each in failures if each is not None), None)
    return f"failed: {first.reason}" if first else "missing"


def _row(cell: Cell, command: Command, outcome: Outcome, record: Record, evaluation: str, metric: str) -> Row:
    scores = record.evaluations.get(evaluation)
    if scores is None or metric not in scores.metrics:
        return Row(cell, command, outcome, evaluation, metric, f"failed: the record has no {metric} of {evaluation}")
    return Row(
        cell,
        command,
        outcome,
        evaluation,
        metric,
        status="done",
        value=scores.metrics[metric],
        majority=scores.majority.get(metric),
        degenerate=metric in scores.degenerate,
        examples=scores.examples,
    )


def _outcome(cell: Cell, record: Record, fetch: FetchRecord) -> Outcome:
    sparsity, parameters = record.sparsity, record.parameters
    find, train = _costs(cell, record, fetch)
    return Outcome(
        units=sparsity.units,
        pruned=sparsity.pruned,
        realised=sparsity.realised,
        encoder_before=sparsity.encoder_before,
        encoder_after=sparsity.encoder_after,
        encoder_weights=sparsity.encoder_weights,
        parameters_total=parameters.total,
        parameters_left=parameters.left,
        train_examples=record.experiment.sizes["train"],
        find=find,
        train=train,
        from_theta0=trains_from_theta0([{"phase": entry.phase, **entry.fields} for entry in record.phases]),
        environment={name: str(value) for name, value in record.environment.items()},
        failed_checks=tuple(sorted(name for name, held in record.checks.items() if held is False)),
        speed=_speed(record),
    )


def _speed(record: Record) -> float | None:
    seconds = record.seconds.get("predict")
    return sum(scores.examples for scores in record.evaluations.values()) / seconds if seconds else None


def _costs(cell: Cell, record: Record, fetch: FetchRecord) -> tuple[Cost, Cost]:
    """What was spent to find the mask, and to train it.

    The last training trained what is scored only if nothing but `Compact` follows it: a model that is pruned and left
    as it is has cost all its trainings to find, and none to train.
    """
    last_first = (entry.phase for entry in reversed(record.phases))
    after = set(itertools.takewhile(lambda phase: phase != "Train", last_first))
    split = len(cell.trainings) - (1 if cell.trainings and after <= {"Compact"} else 0)
    find, train = cell.trainings[:split], cell.trainings[split:]
    # A record has the seconds since the one before it: those of a training that `Compact` follows stand in its record.
    if not train:
        return _cost(find, (*find, cell.key) if find else (), fetch), _cost((), (), fetch)
    return _cost(find, find, fetch), _cost(train, (*train, cell.key), fetch)


def _cost(keys: Sequence[str], timed: Sequence[str], fetch: FetchRecord) -> Cost:
    steps = [record.steps for key in keys if (record := fetch(key)) is not None]
    records = [record for key in dict.fromkeys(timed) if (record := fetch(key)) and "train" in record.seconds]
    return Cost(
        trainings=len(keys),
        steps=sum(steps) if len(steps) == len(keys) else None,
        seconds=math.fsum(record.seconds["train"] for record in records) if len(records) == len(set(timed)) else None,
        hardware=frozenset(str(name) for record in records if (name := record.environment.get("hardware"))),
    )


def _pair(row: Row) -> tuple[Any, ...]:
    cell = row.cell
    return cell.task, cell.setting, cell.seed, row.evaluation, row.metric
