"""Results of two versions of a method are never averaged: the newest counts, and older ones are named apart."""

from __future__ import annotations

from typing import Any

import pytest
from commands import call
from plugin_files import SCORE, plugin_file
from results.test_rows import SETTING, cell, record

import prunebench as pb
from prunebench.results.rows import Row, build_rows
from prunebench.results.warnings import older_versions
from prunebench.store.schema import Cell, Record, StoredPlan, StrategyCode, digest
from prunebench.store.store import Store

CONTROL = "random-pruning[of=mine]"


def code(label: str, source: str, version: str = "") -> StrategyCode:
    name = label.partition("[")[0]
    return StrategyCode(name=name, options={}, distribution="mine.py", version=version, source=source * 16)


def plan(*cells: Cell, **sources: str) -> StoredPlan:
    """A plan of these cells, with the source of `mine` and of the control; without any it is an old plan."""
    labels = {"mine": "mine", "control": CONTROL, "dense": "dense"}
    codes = {labels[name]: code(labels[name], source) for name, source in sources.items()}
    return StoredPlan(command="prunebench run", written="2026-01-01", strategies=codes, cells=list(cells))


def control(name: str, seed: int) -> Cell:
    return cell(CONTROL, name, seed, control_of="mine")


def rows(plans: list[StoredPlan], *, all_versions: bool = False) -> list[Row]:
    """The rows, where every cell is done."""
    keys = [each.key for plan in plans for each in plan.cells]
    done = {key: Record.model_validate({**record(0.5 + i / 100), "key": key}) for i, key in enumerate(keys)}
    return build_rows(plans, done.get, {}.get, all_versions=all_versions)


def statuses(table: list[Row]) -> dict[tuple[str, int], str]:
    return {(row.cell.label, row.cell.seed): row.status for row in table}


def test_seeds_of_an_older_version_are_missing() -> None:
    plans = [plan(cell("mine", "a", 0), cell("mine", "b", 1), mine="a"), plan(cell("mine", "c", 1), mine="b")]
    table = rows(plans)
    assert statuses(table) == {("mine", 0): "missing", ("mine", 1): "done"}
    assert [row.value for row in table] == [None, 0.52]
    [sentence] = older_versions(table)
    assert sentence.startswith("1 cell of mine is left out, made by an older version of its source (aaaaaaaa)")


def test_all_versions_are_methods_of_their_own_on_request() -> None:
    plans = [plan(cell("mine", "a", 0), cell("mine", "b", 1), mine="a"), plan(cell("mine", "c", 1), mine="b")]
    table = rows(plans, all_versions=True)
    assert {(row.cell.label, row.cell.seed): row.value for row in table} == {
        ("mine @ aaaaaaaa", 0): 0.5,
        ("mine @ aaaaaaaa", 1): 0.51,
        ("mine", 1): 0.52,
    }
    assert not list(older_versions(table))


def test_a_control_is_as_old_as_the_method_that_it_controls() -> None:
    plans = [plan(control("a", 0), mine="a", control="c"), plan(cell("mine", "b", 0), mine="b")]
    assert statuses(rows(plans)) == {(CONTROL, 0): "missing", ("mine", 0): "done"}
    [older] = [row for row in rows(plans, all_versions=True) if row.cell.control_of]
    assert (older.cell.label, older.cell.control_of) == (f"{CONTROL} @ aaaaaaaa", "mine @ aaaaaaaa")


def test_a_control_of_its_own_older_version_still_controls_the_newest_method() -> None:
    plans = [plan(control("a", 0), mine="a", control="c"), plan(control("b", 1), mine="a", control="d")]
    assert statuses(rows(plans)) == {(CONTROL, 0): "missing", (CONTROL, 1): "done"}
    older = rows(plans, all_versions=True)[1]
    assert (older.cell.label, older.cell.control_of) == (f"{CONTROL} @ cccccccc", "mine")


def test_a_version_that_comes_back_counts_with_its_older_results() -> None:
    plans = [plan(cell("mine", name, 0), mine=source) for name, source in (("a", "a"), ("b", "b"))]
    plans.append(plan(cell("mine", "c", 1), mine="a"))
    assert [row.value for row in rows(plans)] == [0.5, 0.52]


def test_the_dense_model_has_one_version() -> None:
    """No key of it holds code, so its results are those of every version."""
    cells = [cell("dense", name, seed, 0.0) for seed, name in enumerate("ab")]
    table = rows([plan(cells[0], dense="a"), plan(cells[1], dense="b")])
    assert statuses(table) == {("dense", 0): "done", ("dense", 1): "done"}


def test_plans_without_the_code_of_strategies_are_one_version() -> None:
    cells = [cell("mine", name, seed) for seed, name in enumerate("abc")]
    assert set(statuses(rows([plan(cells[0]), plan(cells[1])])).values()) == {"done"}
    table = rows([plan(cells[0]), plan(cells[1]), plan(cells[2], mine="a")])
    assert list(statuses(table).values()) == ["missing", "missing", "done"]
    assert rows([plan(cells[0]), plan(cells[1], mine="a")], all_versions=True)[1].cell.label == "mine @ unknown"


@pytest.mark.parametrize(("changes", "status"), [({"task": "mrpc"}, "missing"), ({"protocol": "long"}, "done")])
def test_tasks_of_a_benchmark_share_a_version_and_settings_do_not(changes: dict[str, Any], status: str) -> None:
    """An average over tasks is of one version; under another protocol, it is another page's."""
    setting = SETTING | {name: value for name, value in changes.items() if name in SETTING}
    task = changes.get("task", "rte")
    table = rows([plan(cell("mine", "a", task=task, setting=setting), mine="a"), plan(cell("mine", "b"), mine="b")])
    assert {row.status for row in table if row.cell.key == digest("a")} == {status}


def test_an_edited_plugin_starts_a_row_of_its_own(tiny_bert: Any, tiny_glue: Any, tmp_path: Any) -> None:
    store = tmp_path / "store"
    words = {"model": str(tiny_bert), "glue_dir": str(tiny_glue), "tasks": "rte", "epochs": 1, "sparsities": "0.2"}
    for seed, score in enumerate((SCORE, SCORE.replace("weight.abs()", "2 * weight.abs()"))):
        strategies = f"mine,{CONTROL}"
        pb.run(strategies=strategies, plugins=[plugin_file(tmp_path, score=score)], store=store, seeds=f"{seed},",
               precision="fp32", device="cpu", resources=pb.Resources("here"), progress=False, **words)  # fmt: skip
    first = next(iter(Store.open(store).plans())).strategies["mine"].source[:8]
    results = pb.load(store, everything=True)
    table = results.frame().set_index(["label", "seed"])["status"]
    assert table.to_dict() == {
        **{(label, seed): "done" for label in ("dense", "dense[trainings=2]") for seed in (0, 1)},
        **{(label, seed): "done" if seed else "missing" for label in ("mine", CONTROL) for seed in (0, 1)},
    }
    text = call("leaderboard", "--store", store, "--all").out
    assert f"1 cell of mine is left out, made by an older version of its source ({first})" in " ".join(text.split())
    every = pb.load(store, all_versions=True).frame()
    labels = {"dense", "dense[trainings=2]", "mine", CONTROL, f"mine @ {first}", f"{CONTROL} @ {first}"}
    assert set(every["label"]) == labels
    assert set(every["status"]) == {"done"}
    assert f"mine @ {first}" in call("results", "--store", store, "--all-versions").out
    out = tmp_path / "mine.zip"
    assert call("bundle", "--store", store, "--all", "--plugin", tmp_path / "mine.py", "--out", out).status == 0
    assert set(pb.load(out).frame().query("label == 'mine'")["seed"]) == {1}
