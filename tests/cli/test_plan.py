"""`prunebench plan`: what a run would do."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from commands import call, contents, refused


def test_the_default_suite_needs_no_download(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("plan", "--seeds", "1", "--device", "cpu")
    assert result.status == 0 and result.err == ""
    assert result.out.startswith("Suite quick: ") and "not GLUE" in result.out.splitlines()[0]
    assert call("plan", "quick", "--seeds", "1", "--device", "cpu") == result
    assert not Path(".prunebench").exists()
    # Whoever names a model wants tasks of their own.
    refused(call("plan", "--model", "bert"), "no tasks are given", "quick")


def test_plan_before_and_after_a_run(store, words, trainings):
    before = call("plan", *words, "--seeds", "2", "--store", "other")
    assert (before.status, before.err) == (0, "")
    lines = before.out.splitlines()
    assert lines[:4] + lines[5:] == [
        "Asked for:     6 cells, 12 phases, 10 trainings",
        "After sharing: 8 phases, 6 trainings",
        "In the store:  0 phases",
        "To run:        8 phases, 6 trainings",
        "Run it with the same words: prunebench run …",
    ]
    assert re.fullmatch(r"Expected cost: about (\d+ min )?\d+ s, guessed from the size of the model", lines[4])
    assert not Path("other").exists(), "a plan writes nothing"
    untouched = contents(store)
    half = call("plan", *words, "--seeds", "2", "--store", "store", "--jobs", "2")
    assert "In the store:  4 phases" in half.out
    assert "To run:        4 phases, 3 trainings" in half.out
    assert re.search(r"^Expected cost: about (\d+ min )?\d+ s$", half.out, re.MULTILINE)
    after = call("plan", *words, "--store", "store")
    assert after.last == "Nothing is left to run: everything is in store"
    assert contents(store) == untouched
    assert trainings == []


def test_plan_and_run_say_which_levels_a_method_does_not_have(on_tiny, tiny_glue, tmp_path):
    methods = "magnitude,magnitude[pattern=2:4],random-pruning[of=magnitude[pattern=2:4]]"
    words = ["--tasks", "rte", "--strategies", methods, "--sparsities", "0.3,0.5", "--seeds", "1", "--epochs", "1"]
    words += [*on_tiny, "--store", tmp_path / "store"]
    lines = [
        "Left out:      magnitude[pattern=2:4] has no model at 0.3: pattern 2:4 has sparsity 0.5",
        "Left out:      random-pruning[of=magnitude[pattern=2:4]] has no model at 0.3: pattern 2:4 has sparsity 0.5",
    ]
    before, run = call("plan", *words), call("run", *words)
    assert before.out.splitlines()[:3] == ["Asked for:     6 cells, 16 phases, 11 trainings", *lines]
    assert run.status == 0 and all(line in run.out + run.err for line in lines)
    where = ["--store", tmp_path / "store"]
    (overview,) = [line for line in run.out.splitlines() if line.startswith("magnitude[pattern=2:4] ")][-1:]
    assert overview.split()[1] == "n/a"
    # What a comparison has in common is compared.
    compared = call("compare", "magnitude", "magnitude[pattern=2:4]", *where)
    assert compared.status == 0 and "magnitude[pattern=2:4] has no model at 0.3" in compared.out
    refused(
        call("compare", "magnitude", "magnitude[pattern=2:4]", "--sparsities", "0.3", *where), "nothing can be compared"
    )
    rows = csv.DictReader(io.StringIO(call("results", *where).out))
    assert [row["sparsity"] for row in rows if row["label"] == "magnitude[pattern=2:4]"] == ["0.5"]
    bundle = tmp_path / "mine.zip"
    assert call("bundle", *where, "--out", bundle).status == 0
    assert call("verify", bundle, "--glue-dir", tiny_glue).status == 0
