"""McNemar's test from the stored predictions of a task that a plugin brings."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import Lab
from reports.comparison_lab import run

from prunebench import PrunebenchError

PLUGIN = """
from prunebench import hookimpl
from prunebench.tasks.task import Split, Task, TaskData

def load(source):
    evaluation = Split((["a", "b", "c", "d", "e", "f", "g", "h"],), [0, 1, 0, 1, 0, 1, 0, 1])
    return TaskData(evaluation, {"validation": evaluation})

@hookimpl
def prunebench_tasks():
    return [Task("toy", "Eight letters.", ("no", "yes"), "glue", "rte", ("accuracy",), load)]
"""
# Which of the eight examples each run gets right.
RIGHT = {
    ("imp", 0): (1, 1, 1, 1, 1, 1, 1, 0),
    ("magnitude", 0): (0, 0, 0, 0, 0, 0, 1, 1),
    ("imp", 1): (1, 1, 1, 1, 0, 0, 0, 0),
    ("magnitude", 1): (1, 1, 1, 1, 0, 0, 0, 0),
    ("imp", 2): (1, 1, 1, 1, 1, 0, 0, 0),
    ("magnitude", 2): (1, 1, 1, 0, 1, 0, 0, 0),
}


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    (tmp_path / "toy.py").write_text(PLUGIN, encoding="utf-8")
    return tmp_path / "toy.py"


def fingerprint(plugin: Path) -> str:
    from prunebench.hooks.registry import Registry
    from prunebench.tasks.task import DataSource

    return str(Registry([plugin]).get("tasks", "toy").load(DataSource()).fingerprint())


def toy_store(folder: Path, data: str, **changes: Any) -> Path:
    """A store with the runs of RIGHT at sparsity 0.5, and their logits."""
    from prunebench.store.store import Store

    lab, store = Lab(), Store.create(folder)
    for (label, seed), right in RIGHT.items():
        record = lab.done("toy", label, 0.5, seed, sum(right) / 8, setting={"data": data})
        record["root"]["protocol"] = {**record["root"]["protocol"], "eval_limit": None}
        record["evaluations"]["validation"]["metrics"]["accuracy"] += changes.get("shift", 0.0)
    for plan in lab.plans():
        store.add_plan(plan)
    gold = np.array([0, 1] * 4)
    for key in lab.records:
        matches = [np.array(right) for (label, seed), right in RIGHT.items() if key.endswith(f"{seed} {label} 0.5")]
        logits = b""
        if matches and changes.get("logits", True):
            predictions = np.where(matches[0] == 1, gold, 1 - gold)
            file = io.BytesIO()
            np.savez(file, validation=np.eye(2, dtype=np.float32)[predictions])
            logits = file.getvalue()
        store.add_record(lab.read(key), logits)
    return folder


def test_mcnemar_from_stored_predictions(tmp_path: Path, plugin: Path) -> None:
    store = toy_store(tmp_path / "store", fingerprint(plugin))
    result = run("imp", "magnitude", "--store", store, "--mcnemar", "--plugin", plugin, "--format", "json")
    assert result.exception is None
    first, second, third = json.loads(result.stdout)["examples"]
    # Seed 0: IMP alone has six, magnitude alone one: 2·(1 + 7)/2⁷. Seed 1: the same. Seed 2: IMP alone has one.
    assert [first[name] for name in ("both", "only_a", "only_b", "neither", "n")] == [1, 6, 1, 0, 8]
    assert (first["p_mcnemar"], first["holm_mcnemar"]) == (pytest.approx(0.125), pytest.approx(0.375))
    assert (second["p_mcnemar"], third["only_a"], third["p_mcnemar"]) == (1.0, 1, 1.0)
    page = run("imp", "magnitude", "--store", store, "--mcnemar", "--plugin", plugin).stdout
    assert "McNemar's exact test of two runs of one seed" in page
    csv_lines = run("imp", "magnitude", "--store", store, "--mcnemar", "--plugin", plugin, "--format", "csv").stdout
    assert [line["over"] for line in csv.DictReader(io.StringIO(csv_lines))] == ["seeds", *["examples"] * 3]


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ("other", {}, "the data of 'toy' is not what these results were made with"),
        ("", {"shift": 0.01}, "have an accuracy of 0.8750, and their record says 0.8850"),
        ("", {"logits": False}, "are not in the store"),
    ],
)
def test_predictions_that_do_not_fit_their_records_are_refused(
    data: str, changes: dict[str, Any], message: str, tmp_path: Path, plugin: Path
) -> None:
    store = toy_store(tmp_path / "store", data or fingerprint(plugin), **changes)
    result = run("imp", "magnitude", "--store", store, "--mcnemar", "--plugin", plugin)
    assert isinstance(result.exception, PrunebenchError)
    assert message in str(result.exception)
