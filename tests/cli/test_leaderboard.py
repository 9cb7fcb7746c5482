"""`prunebench leaderboard`: files, and one setting on a page."""

from __future__ import annotations

import json
from pathlib import Path

from commands import call, contents, refused

from prunebench.store.store import Store


def test_leaderboard_writes_a_folder_and_names_the_files(store):
    result = call("leaderboard", "--store", "store", "--out", "page/mine")
    assert (result.status, result.err) == (0, "")
    files = ["page/mine/README.md", "page/mine/results.csv", "page/mine/results.json"]
    files += ["page/mine/table.tex", "page/mine/index.html"]
    beside = ["page/mine/appendix.tex", "page/mine/glance.svg", "page/mine/tasks/rte.md"]
    assert result.last == f"Written: {', '.join(files)}, and 3 more in page/mine"
    assert sorted(contents(Path("page"))) == sorted(file.removeprefix("page/") for file in [*files, *beside])
    page = Path("page/mine/README.md").read_text()
    assert "magnitude" in page
    assert "prunebench run --tasks rte --strategies magnitude" in page, "the page names the command that made it"
    assert r"\toprule" in Path("page/mine/table.tex").read_text()
    assert json.loads(Path("page/mine/results.json").read_text())


def test_leaderboard_shows_without_writing(store, first):
    result = call("leaderboard", "--store", "store")
    assert result.out.split("\n\n")[0:2] == first[1].out.split("\n\n")[1:3]
    assert (
        result.last
        == "Nothing is written; --out DIR writes README.md, results.csv, results.json, table.tex, index.html there"
    )
    assert sorted(path.name for path in Path().iterdir()) == ["store"]
    assert (
        call("leaderboard", "--store", "store", "--format", "csv", "--out", "page").last == "Written: page/results.csv"
    )


def test_leaderboard_without_results_is_one_line(store):
    refused(call("leaderboard"), "no store in '.prunebench'", "prunebench run")
    refused(call("leaderboard", "--store", "store", "--format", "md,cvs"), "unknown format 'cvs'", "'csv'")
    refused(call("leaderboard", "--store", "store", "--tasks", "mrpc"), "unknown task 'mrpc'")
    refused(call("leaderboard", "--store", "store", "--out", "store/store.json"), "cannot write")
    Store.create("empty")
    refused(call("leaderboard", "--store", "empty"), "no results")
