"""The tiny GLUE of `conftest.py` has the layout of the official files."""

import csv
from pathlib import Path

import pytest


def test_the_tiny_glue_has_the_layout_of_the_official_files(tiny_glue):
    columns = {"RTE": 4, "MRPC": 5, "STS-B": 10, "CoLA": 4, "SST-2": 2}
    for task, width in columns.items():
        for split, count in (("train", 48), ("dev", 24)):
            with (tiny_glue / task / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
            assert {len(row) for row in rows} == {width}
            assert len(rows) == count + (task != "CoLA")


@pytest.mark.parametrize("task", ["RTE", "MRPC", "STS-B", "CoLA", "SST-2"])
def test_the_tiny_glue_has_the_headers_of_the_official_files(tiny_glue, task):
    official = Path(__file__).parents[3] / "shared" / "glue" / task
    if not official.is_dir():
        pytest.skip("there is no folder with the official files")
    for split in ("train", "dev", "test"):
        if task == "CoLA" and split != "test":
            continue
        first, second = ((root / f"{split}.tsv").read_bytes().splitlines()[0] for root in (official, tiny_glue / task))
        assert first == second
