"""The long table as a DataFrame, CSV, JSON and Parquet, and the command that writes it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import invoke
from lab import SETTING, Lab, golden_lab

from prunebench import PrunebenchError
from prunebench.results.export import FORMATS, frame, to_csv, to_json
from prunebench.results.rows import Row

ISSUE = (
    *("suite", "track", "label", "options", "task", "split", "model", "protocol", "sparsity", "realised", "seed"),
    *("metric", "value", "dense"),
)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return golden_lab().rows()


def test_the_frame_groups_to_what_is_known(rows: list[Row]) -> None:
    table = frame(rows)
    assert len(table) == len(rows) and set(ISSUE) <= set(table.columns)
    imp = table[(table.task == "rte") & (table.label == "imp") & (table.sparsity == 0.3)]
    assert list(imp.value) == [0.61, 0.62, 0.66]
    assert list(imp.dense) == [0.60, 0.62, 0.64]
    assert list(imp.seed) == [0, 1, 2]
    assert imp.value.mean() == pytest.approx(0.63)


def test_what_is_missing_is_missing_and_counts_stay_whole(rows: list[Row]) -> None:
    table = frame(rows)
    lost = table[table.status != "done"]
    assert len(lost) == 3  # a failed cell of RTE, and two metrics of one that MRPC never had
    assert lost.value.isna().all() and lost.pruned.isna().all() and lost.from_theta0.isna().all()
    assert str(table.pruned.dtype) == "Int64"
    assert sorted(table.pruned.dropna().unique()) == [0, 2, 4, 300, 500]


def test_every_format_holds_the_same_rows(rows: list[Row], tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_bytes(FORMATS["parquet"](rows))
    parquet = pd.read_parquet(tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(parquet, frame(rows))
    found = json.loads(to_json(rows))
    assert found["format"] == 1
    by_csv = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(found["rows"]) == len(by_csv) == len(rows)
    for entry, line, row in zip(found["rows"], by_csv, rows, strict=True):
        assert set(entry) == set(line) == set(parquet.columns)
        assert entry["value"] == row.value
        assert line["value"] == ("" if row.value is None else repr(row.value))
        assert json.loads(line["options"]) == entry["options"] == row.cell.options
        assert {name: entry[name] for name in SETTING} == SETTING
    assert {line["degenerate"] for line in by_csv} == {"true", "false"}


# --- the command ---


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from prunebench.store.store import Store

    lab, place = golden_lab(), Store.create(tmp_path_factory.mktemp("lab") / "store")
    lab.write(place)
    return Path(place.name)


def run(*arguments: str | Path) -> Any:
    from prunebench.cli.results import results

    return invoke(results, [str(argument) for argument in arguments])


def test_the_command_prints_what_the_leaderboard_writes(store: Path) -> None:
    golden = Path(__file__).parents[1] / "golden" / "leaderboard" / "results.csv"
    result = run("--store", store)
    assert result.exception is None
    printed = sorted(result.output.splitlines())
    assert printed == sorted(golden.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", FORMATS)
def test_the_command_writes_a_file(name: str, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / f"table.{name}"
    result = run("--store", store, "--format", name, "--out", out, "--tasks", "rte", "--strategies", "imp")
    assert result.output == f"Written: {out}, 9 rows\n"
    assert out.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "jsn"], r"unknown format 'jsn' \(did you mean 'json'"),
        (["--format", "parquet"], r"a Parquet file cannot be printed \(--out FILE"),
        (["--tasks", "mrcp"], r"unknown task 'mrcp' \(did you mean 'mrpc'"),
    ],
)
def test_the_command_says_what_was_expected(arguments: list[str], message: str, store: Path) -> None:
    error = run("--store", store, *arguments).exception
    assert isinstance(error, PrunebenchError)
    with pytest.raises(PrunebenchError, match=message):
        raise error


def test_a_store_without_plans_has_nothing_to_export(tmp_path: Path) -> None:
    from prunebench.store.store import Store

    Store.create(tmp_path / "empty")
    assert "there are no results to show" in str(run("--store", tmp_path / "empty").exception)


def test_mixed_results_are_exported_only_when_that_is_meant(tmp_path: Path) -> None:
    from prunebench.store.store import Store

    lab, place = Lab(), Store.create(tmp_path / "store")
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.done("rte", "imp", 0.5, 0, 0.6, setting={"precision": "bf16"}, trainings=["other"], key="other")
    lab.write(place)
    assert "2 precisions for rte" in str(run("--store", tmp_path / "store").exception)
    result = run("--store", tmp_path / "store", "--allow-mixed")
    assert result.stderr == "warning: Mixed: 2 precisions for rte: 'bf16', 'fp32'.\n"
    assert {line["precision"]: line["value"] for line in csv.DictReader(io.StringIO(result.stdout))} == {
        "bf16": "0.6",
        "fp32": "0.5",
    }


def test_the_long_table_needs_no_torch_and_starts_without_pandas() -> None:
    code = (
        "import sys, prunebench.results.export, prunebench.cli.results; print({'torch', 'pandas'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
