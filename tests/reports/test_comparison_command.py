"""`prunebench compare`: pages, files and pictures of ranks."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from reports.comparison_lab import GOLDEN, compare_lab, run, write_store

from prunebench import PrunebenchError


def test_the_command_prints_or_writes(tmp_path: Path) -> None:
    write_store(compare_lab(), tmp_path / "store")
    shared = ("imp", "magnitude", "random-pruning", "--reference", "dense", "--store", tmp_path / "store")
    rendered = run(*shared).stdout
    assert rendered.startswith("Comparison of imp, magnitude, random-pruning and dense\n===") and "|" not in rendered
    printed = run(*shared, "--format", "md")
    assert printed.stdout == (GOLDEN / "compare.md").read_text(encoding="utf-8")
    assert printed.stderr == "Nothing is written; --out FILE writes this there\n"
    out = tmp_path / "new" / "compare.csv"
    assert run(*shared, "--format", "csv", "--out", out).output == f"Written: {out}\n"
    assert out.read_text(encoding="utf-8") == (GOLDEN / "compare.csv").read_text(encoding="utf-8")
    few = run("imp", "magnitude", "--store", tmp_path / "store", "--tasks", "rte", "--sparsities", "0.3, 0.5")
    assert "mrpc" not in few.stdout and "At 0.9" not in few.stdout and "all 2 comparisons" in few.stdout


def svg_texts(path: Path) -> list[str]:
    """The texts of a picture. Letters are drawn as shapes, with the text in a comment."""
    return [html.unescape(text) for text in re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))]


def test_average_ranks_are_drawn_at_each_sparsity(tmp_path: Path) -> None:
    lab = compare_lab()
    for sparsity in (0.5, 0.7):
        for task in ("a", "b", "c", "d"):
            for seed in range(2):
                for i, label in enumerate(("imp", "magnitude", "random-pruning")):
                    lab.done(task, label, sparsity, seed, 0.8 - i / 10 + seed / 1000)
    shared = ("imp", "magnitude", "random-pruning", "--store", write_store(lab, tmp_path / "store"), "--format")
    out = tmp_path / "new" / "ranks.svg"
    assert run(*shared, "svg", "--out", out).output == f"Written: {out}\n"
    # At 0.5 RTE and MRPC have the methods in that order, too; CD = 2.343·√(3·4/6n) for n tasks.
    names = ["imp (1.00)", "magnitude (2.00)", "random-pruning (3.00)"]
    titles = {
        "sparsity 0.3, 3 tasks (dev)": "1.91",
        "sparsity 0.5, 6 tasks (dev)": "1.35",
        "sparsity 0.7, 4 tasks (dev)": "1.66",
    }
    texts = svg_texts(out)
    assert [text for text in texts if text.startswith("sparsity")] == list(titles)
    assert [text for text in texts if text.startswith("CD")] == [f"CD = {cd}" for cd in titles.values()]
    assert [text for text in texts if text.endswith(")") and not text.startswith("sparsity")] == names * 3
    first = out.read_bytes()
    run(*shared, "svg", "--out", out)
    assert out.read_bytes() == first, "the same results give the same bytes"
    for kind, head in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        run(*shared, kind, "--out", tmp_path / "ranks")
        assert (tmp_path / "ranks").read_bytes().startswith(head)


def test_a_sparsity_without_a_critical_difference_is_named(tmp_path: Path) -> None:
    store = write_store(compare_lab(), tmp_path / "store")
    out = tmp_path / "ranks.svg"
    result = run("imp", "magnitude", "random-pruning", "--store", store, "--format", "svg", "--out", out)
    reason = "2 tasks: ranks need at least 3 to tell methods apart"
    assert result.stderr == f"Not drawn: sparsity 0.5, 2 tasks (dev): {reason}\n"
    assert [text for text in svg_texts(out) if text.startswith("sparsity")] == ["sparsity 0.3, 3 tasks (dev)"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imp", "magnitude"], "there is no critical difference to draw: 2 methods (expected at least 3 methods"),
        (
            ["imp", "magnitude", "--reference", "dense", "--sparsities", "0.5"],
            "2 tasks: ranks need at least 3",
        ),
        (["imp", "magnitude", "dense", "--tasks", "rte"], "to draw: no sparsity has two tasks that all methods share"),
    ],
)
def test_an_error_says_why_nothing_can_be_drawn(arguments: list[str], message: str, tmp_path: Path) -> None:
    store, out = write_store(compare_lab(), tmp_path / "store"), tmp_path / "ranks.svg"
    error = run(*arguments, "--store", store, "--format", "svg", "--out", out).exception
    assert isinstance(error, PrunebenchError) and message in str(error)
    assert "\n" not in str(error) and not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "svg"], r"an svg picture cannot be printed \(--out FILE.svg says where"),
        (["--format", "mdd"], r"unknown format 'mdd' \(did you mean 'md'"),
        (["--sparsities", "a half"], "cannot read sparsities 'a half'"),
        (["--interval", "boot"], r"unknown interval 'boot' \(did you mean 'bootstrap'"),
    ],
)
def test_an_error_says_what_was_expected(arguments: list[str], message: str, tmp_path: Path) -> None:
    from prunebench.store.store import Store

    Store.create(tmp_path / "store")
    error = run("imp", "magnitude", "--store", tmp_path / "store", *arguments).exception
    assert isinstance(error, PrunebenchError)
    with pytest.raises(PrunebenchError, match=message):
        raise error
