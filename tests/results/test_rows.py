"""The long table: which cell counts, what it is compared with, what it cost, and what is not there."""

from __future__ import annotations

import random
from typing import Any

import pytest
from lab import experiment
from pydantic import ValidationError

from prunebench.results.rows import Cost, Row, build_rows
from prunebench.store.schema import Cell, Failure, Record, StoredPlan, digest

SETTING = {
    "model": "tiny/bert",
    "model_fingerprint": "f00d",
    "model_revision": "main",
    "data": "da7a",
    "protocol": "glue-1",
    "precision": "fp32",
    "device": "cpu",
    "prunable": "encoder",
    "code": "engine 1",
}


def cell(
    label: str,
    name: str,
    seed: int = 0,
    sparsity: float = 0.5,
    trainings: tuple[str, ...] | None = None,
    **changes: Any,
) -> Cell:
    """A cell; its key and those of its trainings are digests of these names."""
    keys = [digest(each) for each in ((name,) if trainings is None else trainings)]
    values = {
        **{"strategy": label, "label": label, "options": {}, "unit": "weight", "track": "unstructured"},
        **{"control_of": None, "doc": "", "source": "prunebench 0.1.0"},
        **{"task": "rte", "benchmark": "GLUE", "split": "dev"},
        **{"metrics": ["accuracy"], "evaluations": ["validation"], "sparsity": sparsity, "seed": seed},
        **{"key": digest(name), "trainings": keys, "setting": SETTING, **changes},
    }
    return Cell.model_validate(values)


SPARSITIES = {"Prune": {"sparsity": 0.5}, "Ramp": {"phase": "Train", "sparsity": {"final": 0.5}}}


def record(accuracy: float, steps: int = 10, phases: tuple[str, ...] = ("Train",), **changes: Any) -> dict[str, Any]:
    return {
        **{"format": 1, "status": "done", "steps": steps, "tokens": 0, "loss": None},
        "root": experiment({"setting": SETTING, "task": "rte", "seed": 0}),
        "phases": [{"phase": phase, "strategy": "", **SPARSITIES.get(phase, {})} for phase in phases],
        "evaluations": {"validation": evaluation({"accuracy": accuracy})},
        "sparsity": {
            **{"unit": "weight", "units": 200, "pruned": 100, "realised": 0.5, "encoder_weights": 200},
            **{"encoder_before": 0.5, "encoder_after": 0.5},
        },
        "parameters": {"total": 300, "left": 200, "in_model": 300},
        **{"checks": {}, "environment": {}, "seconds": {}, "peak_memory_mb": 0.0},
        **changes,
    }


def evaluation(metrics: dict[str, float], *degenerate: str) -> dict[str, Any]:
    return {"examples": 7, "metrics": metrics, "degenerate": list(degenerate), "majority": {"accuracy": 0.5}}


def plan(*cells: Cell, command: str = "prunebench run") -> StoredPlan:
    return StoredPlan(command=command, written="2026-01-01", cells=list(cells))


def table(
    plans: list[StoredPlan], records: dict[str, dict[str, Any]], failures: dict[str, str] | None = None
) -> list[Row]:
    """The rows of these plans, with records and reasons of failures by name."""
    done = {digest(name): Record.model_validate({**record, "key": digest(name)}) for name, record in records.items()}
    failed = {digest(name): Failure(key=digest(name), reason=reason) for name, reason in (failures or {}).items()}
    return build_rows(plans, done.get, failed.get)


def test_a_row_holds_what_the_record_says() -> None:
    (row,) = table([plan(cell("imp", "a"))], {"a": record(0.75)})
    assert (row.status, row.value, row.majority, row.degenerate, row.examples) == ("done", 0.75, 0.5, False, 7)
    assert row.split == "dev"
    assert row.outcome is not None
    assert (row.outcome.pruned, row.outcome.units, row.outcome.parameters_left) == (100, 200, 200)


def test_each_evaluation_and_metric_has_its_row() -> None:
    matched = evaluation({"accuracy": 0.8, "f1": 0.0}, "f1")
    other = evaluation({"accuracy": 0.6, "f1": 0.7})
    evaluations = ["matched", "mismatched"]
    mnli = cell("imp", "a", metrics=["f1", "accuracy"], evaluations=evaluations)
    found = table([plan(mnli)], {"a": record(0, evaluations=dict(zip(evaluations, (matched, other), strict=True)))})
    assert [(row.split, row.metric, row.value, row.degenerate) for row in found] == [
        ("dev matched", "f1", 0.0, True),
        ("dev matched", "accuracy", 0.8, False),
        ("dev mismatched", "f1", 0.7, False),
        ("dev mismatched", "accuracy", 0.6, False),
    ]


def test_dense_is_that_of_the_same_seed_task_and_setting() -> None:
    other = {**SETTING, "protocol": "glue-1 with epochs=1"}
    cells = [
        cell("dense", "d0", 0, 0.0),
        cell("dense", "d1", 1, 0.0),
        cell("dense", "e0", 0, 0.0, setting=other),
        cell("dense", "m0", 0, 0.0, task="mrpc"),
        *(cell("imp", f"i{seed}", seed) for seed in range(3)),
        cell("imp", "j0", 0, setting=other),
    ]
    values = {"d0": 0.1, "d1": 0.2, "e0": 0.3, "m0": 0.4, "i0": 0.5, "i1": 0.6, "i2": 0.7, "j0": 0.8}
    found = table([plan(*cells)], {key: record(value) for key, value in values.items()})
    dense = {row.cell.key: row.dense for row in found if row.cell.label == "imp"}
    assert dense == {digest("i0"): 0.1, digest("i1"): 0.2, digest("i2"): None, digest("j0"): 0.3}


def test_the_newest_plan_wins_and_older_cells_stay() -> None:
    older = plan(cell("imp", "old", 0), cell("imp", "kept", 1), command="first")
    newer = plan(cell("imp", "new", 0), command="second")
    records = {"old": record(0.1), "kept": record(0.2), "new": record(0.3)}
    found = table([older, newer], records)
    assert [(row.cell.key, row.value, row.command.command) for row in found] == [
        (digest("new"), 0.3, "second"),
        (digest("kept"), 0.2, "first"),
    ]


@pytest.mark.parametrize(
    ("trainings", "phases", "find", "train"),
    [
        pytest.param("leaf", "Train", (0, 0, 0), (1, 100, 4), id="dense"),
        pytest.param("t0 t1 leaf", "Train Prune Rewind Train Prune Rewind Train", (2, 11, 3), (1, 100, 4), id="imp"),
        pytest.param("t0 t1", "Train Prune Train Compact", (1, 1, 1), (1, 10, 6), id="heads"),
        pytest.param(
            "t0 t1 leaf", "Train Prune Train Train", (1, 1, 1), (2, 110, 6), id="trained twice under its mask"
        ),
        pytest.param("t0 leaf", "Train Ramp", (1, 1, 1), (1, 100, 4), id="pruned in its last training"),
        pytest.param("t0 t1", "Train Prune Train Prune", (2, 11, 7), (0, 0, 0), id="not retrained"),
        pytest.param("t0", "Train Prune Compact", (1, 1, 5), (0, 0, 0), id="compacted, not retrained"),
        pytest.param("", "Prune", (0, 0, 0), (0, 0, 0), id="never trained"),
    ],
)
def test_cost(trainings: str, phases: str, find: tuple[int, int, int], train: tuple[int, int, int]) -> None:
    leaf = record(0.5, 100 if "leaf" in trainings else 0, tuple(phases.split()), seconds={"train": 4.0})
    first, second = (record(0, steps, seconds={"train": train}) for steps, train in ((1, 1.0), (10, 2.0)))
    records = {"t0": first, "t1": second, "leaf": leaf}
    (row,) = table([plan(cell("method", "leaf", trainings=tuple(trainings.split())))], records)
    assert row.outcome is not None
    assert (row.outcome.find, row.outcome.train) == (Cost(*find), Cost(*train))


def test_cost_with_a_lost_record_is_not_made_up() -> None:
    (row,) = table(
        [plan(cell("imp", "b", trainings=("lost", "b")))], {"b": record(0.5, 10, ("Train", "Prune", "Train"))}
    )
    assert row.outcome is not None
    assert (row.outcome.find, row.outcome.train) == (Cost(1, None), Cost(1, 10))


def test_missing_and_failed_cells_have_rows_too() -> None:
    cells = [cell("imp", "gone", 0), cell("imp", "broken", 1, trainings=("first", "broken"))]
    reasons = {"first": "strategy 'imp' raised ValueError: no", "broken": "a training before it failed"}
    found = table([plan(*cells)], {}, reasons)
    assert [row.status for row in found] == ["missing", "failed: strategy 'imp' raised ValueError: no"]
    assert [(row.value, row.outcome) for row in found] == [(None, None)] * 2


def test_a_result_beats_an_earlier_failure() -> None:
    (row,) = table([plan(cell("imp", "a"))], {"a": record(0.5)}, {"a": "no memory"})
    assert row.status == "done"


def test_no_number_is_never_a_number() -> None:
    (row,) = table([plan(cell("imp", "a"))], {"a": record(0, evaluations={"validation": evaluation({})})})
    assert (row.status, row.value) == ("failed: the record has no accuracy of validation", None)
    with pytest.raises(ValidationError, match=r"metrics\.accuracy\s+Input should be a finite number"):
        table([plan(cell("imp", "a"))], {"a": record(float("nan"))})


def test_failed_checks_are_named_and_measures_are_no_checks() -> None:
    checks = {"pruned_weights_zero": False, "rewound": True, "compact_difference": 0.0}
    (row,) = table([plan(cell("imp", "a"))], {"a": record(0.5, checks=checks)})
    assert row.outcome is not None
    assert row.outcome.failed_checks == ("pruned_weights_zero",)


def test_order_depends_on_content_only() -> None:
    keys = {f"{label}{seed}{level}": (label, seed, level) for label in "ab" for seed in (0, 1) for level in (0.3, 0.7)}
    cells = [cell(label, key, seed, level) for key, (label, seed, level) in keys.items()]
    records = {key: record(i / 10) for i, key in enumerate(keys)}
    shuffled = list(cells)
    random.Random(0).shuffle(shuffled)
    assert shuffled != cells
    assert table([plan(*shuffled)], records) == table([plan(*cells)], records)
