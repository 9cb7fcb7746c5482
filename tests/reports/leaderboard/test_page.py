"""The tables of a page against hand computation, from hand-made records whose numbers are known."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import pytest
import scipy.stats
from lab import Lab, golden_lab
from pages import by_method, page, page_text, tables

from prunebench import PrunebenchError
from prunebench.reports.leaderboard import build, parse_options
from prunebench.reports.leaderboard.export import to_json
from prunebench.reports.leaderboard.page import blocks, files_beside
from prunebench.reports.render.formatting import limits
from prunebench.reports.render.markdown import markdown
from prunebench.results.rows import Row
from prunebench.results.statistics import summarise

DELTA = "Δ dense [95 %]"


def test_means_deviations_and_paired_differences() -> None:
    text = page(golden_lab())
    scores, seeds = tables(text, "rte (dev), unstructured, sparsity 0.3")
    # 61, 62, 66: mean 63, deviations −2, −1, 3, std √(14/2). Minus dense 60, 62, 64: 1, 0, 2, so 1 ± 4.303·1/√3.
    assert by_method(scores)["imp"] == {
        "method": "imp",
        "accuracy": "**63.00 ± 2.65 (3)**",
        DELTA: "+1.00 [−1.48, +3.48]",
    }
    assert by_method(scores)["dense"]["accuracy"] == "62.00 ± 2.00 (3)"
    assert by_method(scores)["majority class"]["accuracy"] == "55.00"
    # 63 ± 4.303·2.6458/√3.
    spread = {"95 %": "[56.43, 69.57]", "min": "61.00", "median": "62.00", "max": "66.00"}
    assert by_method(seeds)["imp"] == {
        **{"method": "imp", **spread},
        **{"seed 0": "61.00", "seed 1": "62.00", "seed 2": "66.00"},
    }
    assert [row["method"] for row in scores] == ["dense", "majority class", "imp", "random-pruning"]


def test_both_metrics_of_a_task() -> None:
    text = page(golden_lab())
    header, *_ = [line for line in text.splitlines() if line.startswith("| method") and "F1" in line]
    delta = r"Δ dense \[95 %\]"
    assert [entry.strip() for entry in header.strip("|").split("|")] == ["method", "accuracy", delta, "F1", delta]
    (line,) = re.findall(r"^\| random-pruning .*4\.36 \(3\).*$", text, re.MULTILINE)
    # F1 80, 81, 88: mean 83, std √((9 + 4 + 25)/2); minus dense 88, 89, 90: −8, −8, −2, so −6 ± 4.303·√(24/2)/√3.
    assert [entry.strip() for entry in line.strip("|").split("|")][1:] == [
        # Each seed lost 14 points. The rounding to one of 277 examples leaves 4.303·100/(277·√6·√3) = 0.37 open.
        *("71.00 ± 1.00 (3)", r"−14.00 \[−14.37, −13.63\]"),
        *("83.00 ± 4.36 (3)", r"−6.00 \[−14.61, +2.61\]"),
    ]
    seeds = tables(text, "mrpc (dev), unstructured, sparsity 0.3")[1]
    f1 = by_method([row for row in seeds if row["metric"] == "F1"])
    assert (f1["random-pruning"]["min"], f1["random-pruning"]["seed 2"]) == ("80.00", "88.00")


def test_two_evaluations_of_one_training_are_two_columns() -> None:
    lab = Lab()
    lab.done("mnli", "dense", 0.0, 0, 0.8, 0.7)
    lab.done("mnli", "imp", 0.5, 0, 0.6, 0.5)
    section = build(lab.rows()).sections[0]
    assert section.columns == ("accuracy matched", "accuracy mismatched")
    assert "277 dev matched and 277 dev mismatched examples" in page(lab)


def test_size_and_cost() -> None:
    text = page(golden_lab())
    (sizes,) = tables(text, "rte (dev), unstructured, size and cost")
    # IMP at 0.5 has five rounds of 234 steps before the last training, and 500 of 1,600 parameters are removed.
    assert [row for row in sizes if row["method"] == "imp" and row["sparsity"] == "0.5"] == [
        {
            **{"sparsity": "0.5", "method": "imp", "removed": "50.00 %", "encoder": "50.00 % → 50.00 %"},
            **{"parameters left": "1,100 (68.75 %)", "trainings": "5 + 1", "steps": "1,170 + 234", "speed": "—"},
        }
    ]
    (heads,) = tables(text, "rte (dev), structured, size and cost")
    # Two of eight heads are a quarter of the heads and 100 of the 1,000 encoder weights.
    assert (heads[1]["removed"], heads[1]["encoder"]) == ("25.00 %", "10.00 % → 10.00 %")
    assert "Sparsity is the removed fraction of 1,000 encoder weights (62.50 % of all 1,600 parameters)." in text
    assert "removed fraction of 8 heads; encoder sparsity is a fraction of 1,000 encoder weights" in text


def speed_lab(dense: Sequence[float], heads: Sequence[float]) -> Lab:
    """A lab whose models predict this many of 277 examples per second on each seed."""
    lab = Lab()
    for seed, (reference, own) in enumerate(zip(dense, heads, strict=True)):
        lab.done("rte", "dense", 0.0, seed, 0.5)["seconds"] = {"train": 1.0, "predict": 277 / reference}
        lab.done("rte", "heads", 0.5, seed, 0.5)["seconds"] = {"train": 1.0, "predict": 277 / own}
    return lab


def speeds_of(lab: Lab) -> list[str]:
    return [row["speed"] for row in tables(page(lab), "rte (dev), structured, size and cost")[0]]


def test_speed_is_a_multiple_of_the_dense_model_on_the_same_hardware() -> None:
    lab = speed_lab((98, 100, 102), (200, 204, 196))
    # Each has a relative std of 2 %, and so the quotient one of √2 times that: 2 · 0.0283.
    assert speeds_of(lab) == ["1.00 × (100 ± 2/s)", "2.00 ± 0.06 × (200 ± 4/s)"]
    checks = {check.question: check for check in build(lab.rows()).checklist}
    measured = checks["speed measured on that hardware"]
    assert measured.passed is True and measured.details == "for 6 of 6 cells; kinds of hardware: 1"
    lab.records[lab.cells[-1]["key"]]["environment"]["threads"] = 2
    assert speeds_of(lab) == ["1.00 × (100 ± 2/s)", "—"]


def test_a_speed_that_is_not_known_to_a_tenth_is_not_printed() -> None:
    # The interval of three numbers that are s apart is ± 4.303 · s/√3, or 2.484 · s: a tenth of 100 is s = 4.026.
    assert speeds_of(speed_lab((95.98, 100, 104.02), (100, 100, 100))) == [
        "1.00 × (100 ± 4/s)",
        "1.00 ± 0.04 × (100 ± 0/s)",
    ]
    assert speeds_of(speed_lab((95.97, 100, 104.03), (100, 100, 100))) == ["—", "—"]
    # Both together are not, if each is by itself.
    assert speeds_of(speed_lab((97, 100, 103), (97, 103, 100))) == ["1.00 × (100 ± 3/s)", "—"]
    assert speeds_of(speed_lab((100,), (200,))) == ["—", "—"], "a single seed has no spread"


def test_seeds_of_different_size_show_their_range() -> None:
    lab = Lab()
    for seed, left in enumerate((1100, 1150)):
        lab.done("rte", "imp", 0.5, seed, 0.5)["parameters"]["left"] = left
    (sizes,) = tables(page(lab), "rte (dev), unstructured, size and cost")
    assert sizes[1]["parameters left"] == "1,100 to 1,150 (68.75 % to 71.88 %)"


def test_missing_results_are_explained_and_not_bold() -> None:
    text = page(golden_lab())
    failed = by_method(tables(text, "rte (dev), structured, sparsity 0.5")[0])["heads"]
    assert (failed["accuracy"], failed["note"]) == ("56.50 ± 0.71 (2)", "failed seed 1")
    assert "- heads: seed 1 failed: strategy 'heads' raised ValueError: no \\| heads are left" in text
    missing = by_method(tables(text, "mrpc (dev), unstructured, sparsity 0.5")[0].copy())["random-pruning"]
    assert missing["note"] == "missing seed 2"


def test_an_incomplete_row_is_last_and_never_the_best() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.5, seed, 0.58 + seed / 1000)
        lab.done("rte", "random-pruning", 0.5, seed, 0.4)
    for seed in (1, 2):
        lab.done("rte", "better", 0.5, seed, 0.9)
    (level,) = build(lab.rows()).sections[0].tracks[0].levels
    assert [(line.label, line.scores[0].best, line.gaps) for line in level.lines] == [
        ("imp", True, ()),
        ("random-pruning", False, ()),
        ("better", False, ("missing seed 0",)),
    ]


def test_dense_runs_of_more_seeds_leave_no_gap_in_the_methods() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
    lab.done("rte", "imp", 0.5, 0, 0.5)
    section = build(lab.rows()).sections[0]
    assert (section.tracks[0].levels[0].lines[0].gaps, section.dense.gaps) == ((), ())


def test_a_page_without_dense_runs_shows_gaps() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 3, 0.5)
    scores = by_method(tables(page(lab), "rte (dev), unstructured, sparsity 0.5")[0])
    assert (scores["dense"]["accuracy"], scores["dense"]["note"]) == ("—", "missing seed 3")
    assert (scores["imp"]["accuracy"], scores["imp"][DELTA]) == ("50.00 (1)", "—")


def test_dense_runs_alone_make_a_page() -> None:
    lab = Lab()
    lab.done("rte", "dense", 0.0, 0, 0.6)
    scores = tables(page(lab), "rte (dev), dense, sparsity 0")[0]
    assert [row["accuracy"] for row in scores] == ["60.00 (1)", "55.00"]


def test_a_failed_check_is_a_gap() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)["checks"]["pruned_weights_zero"] = False
    (line,) = build(lab.rows()).sections[0].tracks[0].levels[0].lines
    assert line.gaps == ("check failed seed 0",)
    assert line.reasons == ("seed 0 failed the check pruned_weights_zero",)


def test_degenerate_values_carry_an_asterisk_also_in_the_average() -> None:
    text = page(golden_lab())
    scores, seeds = tables(text, "mrpc (dev), unstructured, sparsity 0.5")
    assert [row["seed 1"] for row in seeds if row["method"] == "random-pruning"] == ["31.00", r"0.00\*"]
    assert by_method(scores)["random-pruning"]["accuracy"].endswith("(2)")
    average = tables(text, "Average of 2 GLUE tasks (dev), unstructured, sparsity 0.5")[0]
    assert by_method(average)["random-pruning"]["average"].endswith(r"(2)\*")
    assert r"- \* For some seed the metric is undefined" in text


# --- bootstrap intervals ---


def test_bootstrap_intervals_on_request() -> None:
    rows = golden_lab().rows()
    page = build(rows, parse_options(interval="bootstrap"))
    (section,) = [section for section in page.sections if section.name == "rte"]
    (line,) = [line for line in section.tracks[0].levels[0].lines if line.label == "imp"]
    low, high = scipy.stats.bootstrap(
        ([0.61, 0.62, 0.66],), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    text = page_text(page)
    _, seeds = tables(text, "rte (dev), unstructured, sparsity 0.3")
    assert [row["95 %"] for row in seeds if row["method"] == "imp"] == [f"[{100 * low:.2f}, {100 * high:.2f}]"]
    assert limits(line.scores[0].summary) != limits(summarise([0.61, 0.62, 0.66]))
    assert "Brackets hold 95 % bootstrap (BCa, 9,999 resamples" in text and "95 % t intervals" not in text
    data = json.loads(to_json(page))
    assert data["interval"] == "bootstrap"
    key = {"task": "rte", "label": "imp", "sparsity": 0.3}
    (entry,) = [entry for entry in data["summary"] if key.items() <= entry.items()]
    assert entry["interval"] == pytest.approx({"low": low, "high": high})
    assert "bounds" not in entry["difference"]
    with pytest.raises(PrunebenchError, match=r"unknown interval 'bootstrp'.*'bootstrap'"):
        parse_options(interval="bootstrp")


# --- a page of many rows ---


def many(count: int) -> list[Row]:
    lab = Lab()
    for seed in range(count):
        lab.done("rte", "imp", 0.5, seed, 0.5)
    return lab.rows()


def test_a_long_page_leaves_out_single_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunebench.reports.leaderboard.page.FULL", 40)
    short, long = (page_text(build(many(count))) for count in (40, 41))
    details = "Intervals and every seed"
    assert details in short and "results.csv and results.json hold all of them" not in short
    assert details not in long and "results.csv and results.json hold all of them" in long


@pytest.mark.parametrize("methods", [19, 20])
def test_a_page_of_many_methods_has_its_tables_in_other_files(methods: int) -> None:
    """Dense is one of the 20 that a page has room for."""
    lab = Lab()
    for seed in range(2):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        for i in range(methods):
            lab.done("rte", f"method-{i}", 0.5, seed, 0.59)
    built = build(lab.rows())
    files = files_beside(built)
    text = markdown(blocks(built))
    assert ("methods.md" in files) is (methods == 20)
    assert ("](methods.md)" in text) is ("There are too many methods" in text) is (methods == 20)
    assert "### rte (dev), unstructured, by sparsity" in text or methods == 20
    table = files.get("methods.md", text)
    assert all(f"method-{i}" in table for i in range(methods))
    assert "method-7" in files["tasks/rte.md"]
