"""Which results of a store a command shows: the last run, those of a suite, or all."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from commands import call, contents, refused


def protocols(*words):
    """The protocols in the table that `prunebench results` prints."""
    table = call("results", "--store", "store", "--allow-mixed", *words)
    assert table.status == 0, table.err
    return {row["protocol"] for row in csv.DictReader(table.out.splitlines())}


def test_the_last_run_is_shown_by_default(store, words, tmp_path):
    one, two = "glue-1 with epochs=1, batch_size=16", "glue-1 with epochs=2, batch_size=16"
    suite = tmp_path / "mine.toml"
    suite.write_text("epochs = 2\n")
    again = [*words[: words.index("--epochs")], "--batch-size", "16", "--store", "store"]
    assert call("run", suite, *again).status == 0
    assert protocols() == protocols("mine") == protocols(suite) == {two}
    assert protocols("--all") == {one, two}
    assert call("run", *words, "--store", "store").status == 0
    assert protocols() == {one}
    assert protocols("mine") == {two}
    refused(call("results", "--store", "store", "mien"), "unknown suite 'mien'", "did you mean 'mine'?")


def test_protocols_are_never_mixed(store, words):
    assert call("run", *words, "--epochs", "2", "--store", "store").status == 0
    untouched = contents(store)
    one, two = "glue-1 with epochs=1, batch_size=16", "glue-1 with epochs=2, batch_size=16"
    result = call("leaderboard", "--store", "store", "--all", "--out", "page")
    refused(result, f"2 protocols for rte: '{one}', '{two}'", "--protocol")
    assert not Path("page").exists()
    for protocol, steps in ((one, "3"), (two, "6")):
        result = call("leaderboard", "--store", "store", "--all", "--protocol", protocol, "--out", "page")
        assert result.status == 0
        assert json.loads(Path("page/results.json").read_text())["setting"]["protocol"] == protocol
        rows = list(csv.DictReader(Path("page/results.csv").read_text().splitlines()))
        assert {(row["protocol"], row["steps_to_train"]) for row in rows if row["label"] in ("dense", "magnitude")} == {
            (protocol, steps)
        }
    refused(call("leaderboard", "--store", "store", "--all", "--protocol", "glue-2"), "unknown protocol 'glue-2'")
    assert contents(store) == untouched
