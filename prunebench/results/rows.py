"""The long table: one row for each metric of each evaluation of a cell, built from stored plans and records.

A `Row` joins what the plan says of the cell (method, task, sparsity, seed, setting) with what the record says: the
score in `value`, and the sizes and costs that all rows of the cell share in `outcome`. Cells without a record have rows
too, whose `status` says why there is no value.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from prunebench.recipes.phase import Phase, final_trainings, last_index, teacher_of, trains_from_theta0
from prunebench.results.versions import VersionedCell, versioned_cells
from prunebench.runtime.text import clean
from prunebench.store.schema import Cell, Command, Failure, FLOPs, Record, StoredPlan

# For scores from 0 to 1. A Matthews coefficient of 0.01 would be retained ten times by one of 0.1.
LEAST_DENSE = 0.05

FetchRecord = Callable[[str], Record | None]
FetchFailure = Callable[[str], Failure | None]


class Results(Protocol):
    """A store or a bundle. Both methods leave out keys that it does not hold."""

    def fetch(self, keys: Collection[str]) -> Mapping[str, Record]: ...
    def failures(self, keys: Collection[str]) -> Mapping[str, Failure]: ...


@dataclass(frozen=True, slots=True)
class Cost:
    """A number of trainings, with their optimiser steps, their seconds, and the `hardware` named in their records.

    `steps` and `seconds` are None if a record is missing or does not know them.
    """

    trainings: int
    steps: int | None
    seconds: float | None = None
    hardware: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the record of a cell says beside its scores.

    `realised` is the fraction of units that are pruned, `pruned` / `units` (weights, heads, …); the requested sparsity
    is a fraction of their `budget`. `encoder_before` and `encoder_after` are the shares of `encoder_weights` that are
    zero or removed, before and after the last training. `find` is the cost of finding the last mask, `train` the cost
    of training the scored weights under it. `from_theta0` is True if the scored model is a subnetwork of θ0 that was
    trained, and so may be a winning ticket. `speed` is the number of examples that the scored model predicted per
    second, if it was measured. `strategy_seconds` is what the code of strategies took on the whole recipe. `flops` and
    `strategy_seconds` are None in records of earlier versions. `equal_trainings` is how many trainings the scored
    weights had from θ0 on, and the dense model of equal training has; None if the record does not tell. `teacher` names
    the model whose outputs were learned too, "dense", or is "". `loss` is the final loss of the last training.
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
    strategy_seconds: float | None = None
    flops: FLOPs | None = None
    equal_trainings: float | None = None
    budget: str = "units"
    teacher: str = ""
    loss: float | None = None

    @property
    def hardware(self) -> str | None:
        return self.environment.get("hardware")


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one evaluation of a cell, and the `command` that planned the cell.

    `status` is "done", "missing" or "failed: reason"; `value` is None unless it is "done". `dense` is the value of the
    unpruned model with the same seed, `equal` the value of the unpruned model with as many trainings, and `majority`
    the value of always predicting the most frequent class. If `degenerate` is set, the metric is undefined for these
    predictions, and `value` is a substitute. `older_version` names the version of a cell that is missing because only
    an older version of its method has a result.
    """

    cell: Cell
    command: Command
    outcome: Outcome | None
    evaluation: str
    metric: str
    status: str
    value: float | None = None
    dense: float | None = None
    equal: float | None = None
    majority: float | None = None
    degenerate: bool = False
    examples: int | None = None
    older_version: str = ""

    @property
    def equal_trainings(self) -> float | None:
        """How many trainings the dense model of equal training has; None where that is not known."""
        return self.outcome.equal_trainings if self.outcome else None

    @property
    def ratio(self) -> float | None:
        """`value` / `dense`; None if either is unknown, or `dense` is below `LEAST_DENSE`."""
        return _ratio(self.value, self.dense)

    @property
    def ratio_equal(self) -> float | None:
        """The same, of the dense run of equal training."""
        return _ratio(self.value, self.equal)

    @property
    def split(self) -> str:
        return f"{self.cell.split} {self.cell.suffix(self.evaluation)}".strip()


def build_rows(
    plans: Sequence[StoredPlan], record: FetchRecord, failure: FetchFailure, *, all_versions: bool = False
) -> list[Row]:
    """The long table of all cells of `plans` (the newest last), in an order that depends on their content only.

    `record` and `failure` return what the store holds under a key, or None. If several plans have a cell of the same
    method, task, sparsity, seed and setting, the newest plan's cell is used. Cells of older versions of a method count
    as missing; with `all_versions` they are those of other methods.
    """
    fetch = functools.cache(record)
    cells = versioned_cells(plans, all_versions=all_versions)
    table = [row for each in cells for row in _rows(each, fetch, failure)]
    references = [row for row in table if row.cell.is_dense and row.value is not None]
    dense = {_pair(row): row.value for row in references if row.cell.is_plain_dense}
    equal: dict[Any, float | None] = {
        (_pair(row), row.equal_trainings): row.value for row in references if row.equal_trainings
    }
    return sorted(
        (
            replace(row, dense=dense.get(_pair(row)), equal=equal.get((_pair(row), row.equal_trainings)))
            for row in table
        ),
        key=sort_key,
    )


def load_rows(plans: Sequence[StoredPlan], results: Results, *, all_versions: bool = False) -> list[Row]:
    """The long table of all cells of `plans`, reading all records and failures in one request each."""
    keys = {key for plan in plans for cell in plan.cells for key in cell.record_keys}
    records = results.fetch(keys)
    failures = results.failures(keys - records.keys())
    return build_rows(plans, records.get, failures.get, all_versions=all_versions)


def sort_key(row: Row) -> tuple[Any, ...]:
    """A key that sorts rows by task, track, sparsity, method (dense runs first), seed, evaluation and metric.

    Evaluations and metrics are in the order in which the task lists them.
    """
    cell = row.cell
    method = (not cell.is_dense, cell.label)
    column = (cell.evaluations.index(row.evaluation), cell.metrics.index(row.metric))
    return (cell.task, cell.track, cell.sparsity, *method, cell.seed, *column, cell.setting)


def _ratio(value: float | None, dense: float | None) -> float | None:
    return value / dense if value is not None and dense is not None and dense >= LEAST_DENSE else None


def _rows(versioned: VersionedCell, fetch: FetchRecord, failure: FetchFailure) -> Iterable[Row]:
    cell, command = versioned.cell, versioned.command
    pairs = [(evaluation, metric) for evaluation in cell.evaluations for metric in cell.metrics]
    if versioned.older:
        # The mask is the older version's, and no page may show it as the newest one's.
        missing = Row(
            cell.model_copy(update={"mask": ""}), command, None, "", "", "missing", older_version=versioned.older
        )
        return [replace(missing, evaluation=evaluation, metric=metric) for evaluation, metric in pairs]
    record = fetch(cell.key)
    if record is None:
        status = _status(cell, failure)
        return [Row(cell, command, None, evaluation, metric, status) for evaluation, metric in pairs]
    outcome = _outcome(cell, record, fetch)
    return [_row(cell, command, outcome, record, evaluation, metric) for evaluation, metric in pairs]


def _status(cell: Cell, failure: FetchFailure) -> str:
    """The first failure on the recipe's path, which is the cause of the later ones."""
    first = next(filter(None, map(failure, cell.record_keys)), None)
    return clean(f"failed: {first.reason}") if first else "missing"


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
        from_theta0=trains_from_theta0(record.recipe),
        environment={name: str(value) for name, value in record.environment.items()},
        failed_checks=tuple(sorted(name for name, value in record.checks.items() if value is False)),
        speed=_speed(record),
        strategy_seconds=record.seconds.get("method"),
        flops=record.flops,
        equal_trainings=_trainings_from_theta0(cell, record.recipe),
        budget=sparsity.budget,
        teacher=teacher_of(record.recipe),
        loss=record.loss,
    )


def _speed(record: Record) -> float | None:
    seconds = record.seconds.get("predict")
    return sum(scores.examples for scores in record.evaluations.values()) / seconds if seconds else None


def _trainings_from_theta0(cell: Cell, recipe: Sequence[Phase]) -> float | None:
    """See `Outcome.equal_trainings`. Phases of plugins are unknown here; None where one of them trains."""
    read_elsewhere = any(phase.inputs for phase in recipe)
    unknown = len(cell.trainings) > sum(phase.trains for phase in recipe) and not read_elsewhere
    return None if unknown else final_trainings(recipe)


def _costs(cell: Cell, record: Record, fetch: FetchRecord) -> tuple[Cost, Cost]:
    """The cost of finding the mask, and the cost of training under it.

    The trainings since the last change of the mask belong to the second, and so does a training that changes the mask
    itself. If a model is pruned and not trained again, all trainings were needed to find the mask.
    """
    recipe = record.recipe
    under_mask = recipe[max(0, last_index(recipe, lambda phase: phase.changes_mask)) :]
    split = len(cell.trainings) - sum(phase.trains for phase in under_mask)
    find, train = cell.trainings[:split], cell.trainings[split:]
    # A record holds the seconds since the record before it. So the cell's own record may hold seconds of its last
    # training, and is counted with that training.
    if not train:
        return _cost(find, (*find, cell.key) if find else (), fetch), _cost((), (), fetch)
    return _cost(find, find, fetch), _cost(train, (*train, cell.key), fetch)


def _cost(keys: Sequence[str], timed: Sequence[str], fetch: FetchRecord) -> Cost:
    """The cost of the trainings of `keys`; their seconds are in the records of `timed`."""
    steps = [record.steps for key in keys if (record := fetch(key)) is not None]
    records = [record for key in dict.fromkeys(timed) if (record := fetch(key)) and "train" in record.seconds]
    return Cost(
        trainings=len(keys),
        steps=sum(steps) if len(steps) == len(keys) else None,
        seconds=math.fsum(record.seconds["train"] for record in records) if len(records) == len(set(timed)) else None,
        hardware=frozenset(str(name) for record in records if (name := record.environment.get("hardware"))),
    )


def _pair(row: Row) -> tuple[Any, ...]:
    """What a row has in common with the dense row that it is compared with."""
    cell = row.cell
    return cell.task, cell.setting, cell.seed, row.evaluation, row.metric
