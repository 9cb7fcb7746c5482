"""The seconds that a method's own code took, on pages and in the long table."""

from __future__ import annotations

import csv
import io

from lab import Lab
from pages import page, tables

from prunebench.reports.leaderboard import build
from prunebench.reports.leaderboard.export import to_csv


def timed_lab() -> Lab:
    lab = Lab()
    for seed in range(2):
        lab.done("rte", "dense", 0.0, seed, 0.6)["seconds"] = {"method": 0.0}
        lab.done("rte", "magnitude", 0.5, seed, 0.6)["seconds"] = {"method": 0.004}
        lab.done("rte", "snip", 0.5, seed, 0.6)["seconds"] = {"method": 9.876 + 1500 * seed}
        lab.done("rte", "imp", 0.5, seed, 0.6)
    return lab


def test_own_seconds_stand_beside_the_trainings() -> None:
    (sizes,) = tables(page(timed_lab()), "rte (dev), unstructured, size and cost")
    assert {row["method"]: row["own seconds"] for row in sizes} == {
        **{"dense": "0.00", "magnitude": "0.00", "snip": "9.88 to 1,510"},
        "imp": "—",
    }
    assert "Own seconds is what the method's own code took" in page(timed_lab())


def test_pages_of_earlier_records_have_no_such_column() -> None:
    lab = timed_lab()
    for record in lab.records.values():
        record["seconds"] = {}
    assert "own seconds" not in page(lab).lower()


def test_own_seconds_are_a_column_of_the_long_table() -> None:
    rows = csv.DictReader(io.StringIO(to_csv(build(timed_lab().rows()))))
    seconds = {(row["label"], row["seed"]): row["seconds_of_strategy"] for row in rows}
    assert seconds["magnitude", "0"] == "0.004" and seconds["snip", "1"] == "1509.876" and seconds["imp", "0"] == ""
