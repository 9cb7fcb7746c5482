"""Pages name every method that had a teacher, whether its label says so or not."""

from __future__ import annotations

import csv
import io
import json

from lab import Lab
from pages import page, tables

from prunebench.reports.leaderboard import build
from prunebench.reports.leaderboard.export import to_csv, to_json
from prunebench.reports.leaderboard.web import html

NOTE = "Trained with a teacher, the dense model of the same seed: mine."


def taught_lab(teacher: bool = True) -> Lab:
    lab = Lab()
    for seed in range(2):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.5, seed, 0.6)
        if teacher:
            record = lab.done("rte", "mine", 0.5, seed, 0.6)
            lesson = {"temperature": 2.0, "weight": 0.0, "hidden": 0.0}
            record["phases"] = [*record["phases"][:-1], {**record["phases"][-1], "teacher": lesson}]
    return lab


def test_a_taught_method_is_named_below_its_ranking_and_among_the_methods() -> None:
    text = page(taught_lab())
    assert text.count(NOTE) == 3, "below the ranking, and above the tables of the track in README.md and in its file"
    (methods,) = tables(text, "Methods")
    assert {row["method"]: row["role"] for row in methods} == {
        "dense": "reference",
        "imp": "prunes weights",
        "mine": "prunes weights; teacher: dense",
    }
    assert "prunes weights; teacher: dense" in html(build(taught_lab().rows()))
    assert "teacher" not in page(taught_lab(teacher=False))


def test_a_teacher_is_part_of_the_files() -> None:
    built = build(taught_lab().rows())
    rows = csv.DictReader(io.StringIO(to_csv(built)))
    assert {row["label"]: row["teacher"] for row in rows} == {"dense": "", "imp": "", "mine": "dense"}
    methods = json.loads(to_json(built))["methods"]
    assert {method["label"]: method["teacher"] for method in methods} == {"dense": "", "imp": "", "mine": "dense"}
