"""`prunebench store`: ls, rm, gc and merge as a person meets them."""

from __future__ import annotations

import io
import json

import pytest
from commands import call, contents, refused
from plugin_files import plugin_file

from prunebench.store.store import Store


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def answer(monkeypatch):
    """Type an answer at a terminal."""
    return lambda text: monkeypatch.setattr("sys.stdin", Terminal(f"{text}\n"))


def test_ls_shows_runs_cells_and_bytes(store, words, tmp_path):
    file = plugin_file(tmp_path, score="1 / 0")
    suite = tmp_path / "mine.toml"
    suite.write_text("")
    options = ["--strategies", "mine", "--plugin", file, "--store", "store"]
    assert call("run", suite, *words, *options).status == 2
    listing = call("store", "ls", "--store", "store")
    assert (listing.status, listing.err) == (0, "")
    lines = listing.out.splitlines()
    assert lines[0] == "store: 4 cells, 3 done, 1 failed, 0 missing"
    assert lines[2].split() == ["when", "kind", "suite", "cells", "done", "failed", "missing", "command"]
    first, second = (line.split() for line in lines[3:5])
    assert first[2:8] == ["run", "-", "3", "3", "0", "0"]
    assert second[2:8] == ["run", "mine", "3", "2", "1", "0"]
    assert " ".join(second[8:]).startswith(f"prunebench run {suite} --tasks rte")
    named = dict(line.split(":", 1) for line in lines[6:])
    assert named["models"].strip().startswith("tiny-bert (")
    assert named["methods"].strip() == "dense, dense[trainings=2], magnitude, mine"
    assert named["protocols"].strip() == "glue-1 with epochs=1, batch_size=16"
    assert named["code"].strip().startswith("engine ")
    assert "records" in named["bytes"] and "together" in named["bytes"]


def test_ls_of_an_empty_store():
    refused(call("store", "ls", "--store", "nowhere"), "no store in 'nowhere'")


def test_ls_names_a_plan_that_cannot_be_read(store):
    (store / "plans" / "0123.json").write_text("{")
    listing = call("store", "ls", "--store", "store")
    assert listing.status == 0
    assert "plans/0123.json has no checksum" in listing.err
    refused(call("store", "gc", "--store", "store"), "plans/0123.json has no checksum", "nothing is removed")


def test_rm_asks_before_it_removes(store, words, answer):
    before = contents(store)
    answer("n")
    result = call("store", "rm", "--strategies", "magnitude", "--store", "store")
    assert result.status == 0
    assert "Remove 1 cell of store; 1 record, 1 mask: " in result.out and result.last.endswith("Nothing is removed")
    assert contents(store) == before
    answer("y")
    result = call("store", "rm", "--strategies", "magnitude", "--store", "store")
    assert "Removed: 1 cell of store; 1 record, 1 mask: " in result.last
    assert call("store", "ls", "--store", "store").out.startswith("store: 2 cells, 2 done")
    # The dense model is trained again, because its weights are not in the store.
    again = "To run:        3 phases, 2 trainings, 1 of them again for masks"
    assert again in call("plan", *words, "--store", "store").out


def test_rm_needs_a_terminal_or_yes(store):
    before = contents(store)
    refused(call("store", "rm", "--all", "--store", "store"), "needs a confirmation", "--yes")
    assert contents(store) == before
    assert call("store", "rm", "--all", "--yes", "--store", "store").status == 0
    assert list(contents(store)) == ["store.json"]


def test_a_dry_run_of_rm_changes_nothing(store):
    before = contents(store)
    result = call("store", "rm", "--tasks", "rte", "--dry-run", "--store", "store")
    assert result.status == 0
    assert result.out.startswith("Would go: 3 cells; 1 plan, 3 records, 1 mask, 1 label file: ")
    assert contents(store) == before


def test_rm_of_a_suite_leaves_other_runs(store, words, tmp_path):
    suite = tmp_path / "mine.toml"
    suite.write_text("")
    assert call("run", suite, *words, "--seeds", "2", "--store", "store").status == 0
    result = call("store", "rm", "mine", "--yes", "--store", "store")
    assert result.out.startswith("Removed: 6 cells of store; 1 plan, 3 records, 1 mask: ")
    assert "Nothing is left to run" in call("plan", *words, "--store", "store").out
    refused(call("store", "rm", "mine", "--yes", "--store", "store"), "unknown suite 'mine'")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ([], ["nothing is selected", "--all"]),
        (["--tasks", "rtee"], ["unknown task 'rtee'", "'rte'"]),
        (["--strategies", "imp"], ["unknown strategy 'imp'"]),
        (["--model", "other"], ["unknown model 'other'"]),
        (["--protocol", "glue-2"], ["unknown protocol 'glue-2'"]),
        (["quick"], ["unknown suite 'quick'"]),
    ],
    ids=lambda value: " ".join(value)[:20],
)
def test_rm_of_what_is_not_there(store, options, parts):
    before = contents(store)
    refused(call("store", "rm", *options, "--yes", "--store", "store"), *parts)
    assert contents(store) == before


@pytest.mark.parametrize("name", ["protocol", "model", "precision", "device", "data", "prunable", "code"])
def test_rm_takes_the_filters_of_the_leaderboard(store, name):
    setting = Store.open(store).plans()[0].cells[0].setting
    result = call("store", "rm", f"--{name}", getattr(setting, name), "--dry-run", "--store", "store")
    assert result.out.startswith("Would go: 3 cells; ")


@pytest.mark.parametrize("command", [["rm", "--all", "--yes"], ["gc"]], ids=lambda words: words[0])
def test_nothing_is_removed_while_a_run_is_active(store, command):
    with Store.open(store).claims():
        before = contents(store)
        refused(call("store", *command, "--store", "store"), "another run is active on the store 'store'")
        assert contents(store) == before
        assert call("store", *command, "--dry-run", "--store", "store").status == 0


def test_gc_says_what_it_collects(store):
    before = contents(store)
    assert call("store", "gc", "--store", "store").out == "Nothing is left over in store\n"
    (store / "masks" / f"{'ab' * 16}.safetensors").write_bytes(b"x" * 2000)
    (store / "records" / "torn.json.damaged").write_bytes(b"x")
    assert call("store", "gc", "--dry-run", "--store", "store").out == "Would go: 1 mask, 1 damaged file: 2.0 kB\n"
    assert len(contents(store)) == len(before) + 2
    assert call("store", "gc", "--store", "store").out == "Removed: 1 mask, 1 damaged file: 2.0 kB\n"
    assert contents(store) == before


def test_gc_names_what_it_does_not_touch(store):
    [plan] = Store.open(store).plans()
    [cell] = [cell for cell in plan.cells if not cell.is_dense]
    (store / "records" / cell.key[:2] / f"{cell.key}.json").unlink()
    (store / "masks" / f"{'ab' * 16}.safetensors").write_bytes(b"x")
    result = call("store", "gc", "--store", "store")
    assert result.last == "Not touched: 1 file that may belong to cells which are not done"
    assert (store / "masks" / f"{'ab' * 16}.safetensors").exists()


def test_merge_of_a_store(store, words):
    assert call("run", *words, "--seeds", "1,", "--store", "other").status == 0
    result = call("store", "merge", "other", "--store", "store")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines() == [
        "Merged into store: 1 plan, 3 records, 1 mask",
        "Show everything: prunebench leaderboard --all --store store",
    ]
    assert "mean ± std over seeds 0, 1" in call("leaderboard", "--all", "--store", "store").out


def test_merge_into_a_new_store(store):
    assert call("store", "merge", "store", "--store", "new").status == 0
    merged, original = contents(store.parent / "new"), contents(store)
    # A store has an id of its own.
    assert merged.pop("store.json") != original.pop("store.json")
    assert merged == original


def test_merge_of_a_bundle_says_what_it_lacks(store, words):
    assert call("bundle", "--store", "store", "--out", "one.zip").status == 0
    result = call("store", "merge", "one.zip", "--store", "new")
    assert (result.status, result.err) == (0, "")
    assert "no masks or weights" in result.out.splitlines()[1]
    table = call("leaderboard", "--store", "store")
    assert call("leaderboard", "--store", "new") == table
    refused(call("bundle", "--store", "new", "--out", "two.zip"), "is gone", "`prunebench run` computes it again")
    assert "again for masks or weights" in call("plan", *words, "--store", "new").out
    assert call("run", *words, "--store", "new").status == 0
    assert call("bundle", "--store", "new", "--out", "two.zip").status == 0


def test_merge_reports_differences(store):
    losses = {record.key: record.loss for record in Store.open(store).records()}
    changed = Store.create("changed")
    for record in Store.open(store).records():
        changed.add_record(record.model_copy(update={"loss": 1.25}), b"")
    result = call("store", "merge", "changed", "--store", "store")
    assert result.status == 0
    assert result.out.startswith("Merged into store: nothing new; 3 records here already")
    assert result.err.count("differs in loss: the one of this store stays") == 3
    assert {record.key: record.loss for record in Store.open(store).records()} == losses


def test_merge_of_nothing_is_one_line(store):
    refused(call("store", "merge", "nowhere", "--store", "store"), "no store in 'nowhere'")
    refused(call("store", "merge", "nowhere.zip", "--store", "store"), "nowhere.zip")
    refused(call("store", "merge", "store", "--store", "store"), "is the store itself")
    (store / "store.json").write_text(json.dumps({"format": 99, "prunebench": "9.0"}))
    refused(call("store", "merge", "store", "--store", "new"), "written by prunebench 9.0")
    assert not (store.parent / "new").exists()
