"""The files of a page, and the command that writes them.

`PYTHONPATH=tests python tests/reports/leaderboard/test_files.py` writes the golden files.
"""

from __future__ import annotations

import csv
import functools
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import invoke
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import SETTING, Lab, golden_lab
from pages import GOLDEN

from prunebench import PrunebenchError
from prunebench.reports.leaderboard import FORMATS, build, parse_formats, render, summarise_rows


@pytest.mark.parametrize("name", ["README.md", "results.csv", "results.json", "table.tex"])
def test_golden(name: str, tmp_path: Path) -> None:
    render(golden_lab().rows(), tmp_path)
    expected = (GOLDEN / name).read_text(encoding="utf-8")
    assert (tmp_path / name).read_text(encoding="utf-8") == expected, (
        "if the change is intended, write the golden files (see the docstring)"
    )


def test_long_table_as_csv(tmp_path: Path) -> None:
    render(golden_lab().rows(), tmp_path, ["csv"])
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 7 * 3 + 7 * 3 * 2
    (row,) = [row for row in table if row["label"] == "random-pruning" and row["value"] == "0.0"]
    assert (row["task"], row["metric"], row["seed"], row["degenerate"]) == ("mrpc", "f1", "1", "true")
    assert (row["dense"], row["protocol"], row["control_of"]) == ("0.89", "glue-1 with epochs=1", "imp")
    assert json.loads(row["options"]) == {"of": "imp", "counts": "layer"}
    (failed,) = [row for row in table if row["status"].startswith("failed")]
    assert (failed["value"], failed["realised"]) == ("", "")
    assert failed["status"].endswith("no | heads are left")


def test_json_holds_the_same_rows_and_the_summary(tmp_path: Path) -> None:
    table = golden_lab().rows()
    render(table, tmp_path, ["json"])
    data = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert data["format"] == 4
    assert data["tasks"]["rte"] == [{**SETTING, "data": "data of rte"}]
    values = {(row["key"], row["metric"]): row["value"] for row in data["rows"]}
    assert values == {(row.cell.key, row.metric): row.value for row in table}
    key = {"task": "rte", "label": "imp", "sparsity": 0.3}
    (imp,) = [entry for entry in data["summary"] if key.items() <= entry.items()]
    assert (imp["n"], imp["mean"], imp["minimum"]) == (3, pytest.approx(0.63), 0.61)
    assert imp["values"] == {"0": 0.61, "1": 0.62, "2": 0.66}
    assert imp["difference"]["mean"] == pytest.approx(0.01)


def test_terminal_summary() -> None:
    lines = summarise_rows(golden_lab().rows()).splitlines()
    assert "rte (dev): accuracy × 100, mean ± std over seeds 0, 1, 2" in lines
    rows_of = [line.split("  ") for line in lines if line.startswith("heads ")]
    assert any("56.50 ± 0.71 (2 of 3)" in row for row in rows_of)
    assert "heads at 0.5: seed 1 failed: strategy 'heads' raised ValueError: no | heads are left" in lines
    assert max(map(len, lines)) <= 120


def test_many_sparsities_stay_within_a_terminal() -> None:
    lab = Lab()
    levels = [i / 20 for i in range(1, 20)]
    for seed in (0, 1):
        for level in levels:
            lab.done("rte", "imp", level, seed, level + seed / 100)
    text = summarise_rows(lab.rows())
    assert max(map(len, text.splitlines())) <= 120
    headers = [line.split()[1:] for line in text.splitlines() if line.startswith("unstructured")]
    assert len(headers) > 2
    assert [float(level) for header in headers for level in header] == 2 * levels, "the ranking, then the scores"


def shuffled(lab: Lab, rng: random.Random) -> Lab:
    """The same cells and records in another order."""
    other = Lab()
    other.cells, records = list(lab.cells), list(lab.records.items())
    rng.shuffle(other.cells)
    rng.shuffle(records)
    other.records, other.failures = dict(records), lab.failures
    return other


@functools.cache
def texts() -> list[str]:
    """The golden lab in every format."""
    page = build(golden_lab().rows())
    return [text_of(page) for _, text_of in FORMATS.values()]


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_format_depends_on_the_order_of_cells_and_records(rng: random.Random) -> None:
    table = shuffled(golden_lab(), rng).rows()
    rng.shuffle(table)
    page = build(table)
    assert [text_of(page) for _, text_of in FORMATS.values()] == texts()
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in texts())


# --- writing, and the command ---


def test_formats_are_checked_by_name() -> None:
    assert parse_formats("md, csv,md") == ("md", "csv")
    with pytest.raises(PrunebenchError, match=r"unknown format 'jsno'.*did you mean 'json'"):
        parse_formats("md,jsno")
    with pytest.raises(PrunebenchError, match="no format is given"):
        parse_formats(" ,")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PrunebenchError, match=r"cannot write .*(not a directory|file exists)"):
        render(golden_lab().rows(), tmp_path / "file", ["md"])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store on disk that holds the golden lab."""
    from prunebench.store.store import Store

    golden_lab().write(Store.create(tmp_path / "store"))
    return tmp_path / "store"


def run(*arguments: str | Path) -> Any:
    from prunebench.cli.leaderboard import leaderboard

    return invoke(leaderboard, [str(argument) for argument in arguments])


def test_command_renders_a_store(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "deep"
    result = run("--store", store, "--out", out)
    assert result.exception is None
    files = [out / name for name in ("README.md", "results.csv", "results.json", "table.tex", "index.html")]
    assert result.output.splitlines() == [f"Written: {', '.join(map(str, files))}"]
    for name in ("README.md", "results.csv", "results.json", "table.tex"):
        assert (out / name).read_text(encoding="utf-8") == (GOLDEN / name).read_text(encoding="utf-8")


def test_command_without_a_folder_writes_nothing(store: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = run("--store", store, "--tasks", "rte", "--strategies", "imp", "--format", "md")
    assert result.exception is None
    assert "mrpc" not in result.output and "heads" not in result.output
    assert result.output.splitlines()[-1] == "Nothing is written; --out DIR writes README.md there"
    assert run("--store", store).output.startswith(summarise_rows(golden_lab().rows()))
    assert sorted(tmp_path.rglob("*")) == before


def test_command_on_no_store_and_on_an_empty_one(tmp_path: Path) -> None:
    from prunebench.store.store import Store

    assert isinstance(run("--store", tmp_path / "none").exception, PrunebenchError)
    Store.create(tmp_path / "empty")
    assert "there are no results to show" in str(run("--store", tmp_path / "empty", "--tasks", "rte").exception)


def test_rendering_needs_no_torch() -> None:
    code = "import sys, prunebench.reports.leaderboard, prunebench.cli.leaderboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


if __name__ == "__main__":
    for path in render(golden_lab().rows(), GOLDEN, ["md", "csv", "json", "tex"]):
        print(path)
