"""The answers of the reporting checklist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lab import TASKS, Lab

from prunebench.hooks.registry import Registry
from prunebench.reports.leaderboard import build
from prunebench.reports.leaderboard.checklist import QUESTIONS, TWO


def answers(lab: Lab) -> dict[str, tuple[bool | None, str]]:
    return {check.question.split(":")[0]: (check.passed, check.details) for check in build(lab.rows()).checklist}


def complete_lab() -> Lab:
    """A lab that passes every point."""
    lab = Lab()
    for seed in range(5):
        for task, values in (("rte", (0.7,)), ("mrpc", (0.8, 0.9)), ("mnli", (0.8, 0.8))):
            lab.done(task, "dense", 0.0, seed, *values)
            for label in ("imp", "random-pruning", "heads"):
                lab.done(task, label, 0.5, seed, *values)
            lab.done(task, "random-reinit", 0.5, seed, *values, control_of="imp")
            lab.done(task, "random-pruning[of=heads]", 0.5, seed, *values, control_of="heads", track="structured")
    for record in lab.records.values():
        record["seconds"] = {"train": 2.0, "predict": 1.0}
    return lab


def test_a_page_that_passes_every_point() -> None:
    assert {question: passed for question, (passed, _) in answers(complete_lab()).items() if passed is not True} == {}
    assert len(QUESTIONS) == 13


@pytest.mark.parametrize("name", TWO)
def test_the_expected_columns_are_those_of_the_installed_task(name: str) -> None:
    task = Registry().get("tasks", name)
    assert TWO[name] <= {*task.metrics, *task.evaluations}
    lab = Lab()
    columns = {"metrics": list(task.metrics), "evaluations": list(task.evaluations)}
    lab.done(name, "imp", 0.5, 0, *[0.7] * len(task.metrics) * len(task.evaluations), **columns)
    assert answers(lab)["all metrics of each task"][0] is True


@pytest.mark.parametrize("name", TASKS)
def test_the_lab_has_the_columns_of_the_installed_task(name: str) -> None:
    task = Registry().get("tasks", name)
    assert TASKS[name] == (list(task.metrics), list(task.evaluations))


@pytest.mark.parametrize(
    ("start", "passed", "details", "change"),
    [
        ("controls", None, "none for better", lambda lab: lab.done("rte", "better", 0.5, 0, 0.7)),
        ("seeds", False, "1 to 5", lambda lab: lab.done("rte", "better", 0.5, 0, 0.7)),
        ("all planned cells", None, "1 missing", lambda lab: lab.plan("rte", "imp", 0.5, 9)),
        ("comparison with the dense run", False, "not for rte seed 9", lambda lab: lab.done("rte", "imp", 0.5, 9, 0.7)),
        (
            "all metrics of each task",
            False,
            "not on stsb",
            lambda lab: lab.done("stsb", "imp", 0.5, 0, 0.7, metrics=["pearson"]),
        ),
        (
            "hardware stated, one kind",
            None,
            "A GPU; Some CPU",
            lambda lab: lab.done("rte", "heads", 0.5, 0, 0.7, environment={"hardware": "A GPU"}),
        ),
        ("speed measured", None, "for 90 of 91 cells", lambda lab: lab.done("rte", "better", 0.5, 0, 0.7)),
        ("model, data", False, "data", lambda lab: lab.done("wnli", "imp", 0.5, 0, 0.7, setting={"data": ""})),
        ("split stated", True, "dev, test", lambda lab: lab.done("wnli", "imp", 0.5, 0, 0.7, split="test")),
        ("dense runs above", False, "not on wnli", lambda lab: lab.done("wnli", "dense", 0.0, 0, 0.5)),
        (
            "counts exact",
            False,
            "imp: pruned_weights_zero",
            lambda lab: lab.done("wnli", "imp", 0.5, 0, 0.5)["checks"].update(pruned_weights_zero=False),
        ),
    ],
)
def test_each_shortcoming_is_stated(
    start: str, passed: bool | None, details: str, change: Callable[[Lab], Any]
) -> None:
    lab = complete_lab()
    change(lab)
    (answer,) = [answer for question, answer in answers(lab).items() if question.startswith(start)]
    assert answer[0] is passed and details in answer[1]
