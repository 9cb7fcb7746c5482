"""Pages from hand-made records whose numbers are known; `python tests/test_leaderboard.py` writes the golden files."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import SETTING, Lab, golden_lab

from prunebench import PrunebenchError
from prunebench.reports.leaderboard import FORMATS, Selection, build, choose, parse_formats, render, select, terminal
from prunebench.reports.leaderboard.data import to_json
from prunebench.reports.leaderboard.layout import blocks
from prunebench.reports.render.blocks import Bold, Caution, Commands, Heading, Paragraph, Table
from prunebench.reports.render.formatting import confidence
from prunebench.reports.render.latex import escape as latex_escape
from prunebench.reports.render.latex import latex
from prunebench.reports.render.markdown import markdown
from prunebench.results.rows import Row
from prunebench.results.statistics import summarise

GOLDEN = Path(__file__).parents[1] / "golden" / "leaderboard"
DELTA = "Δ dense [95 %]"


def page(lab: Lab) -> str:
    return markdown(blocks(build(lab.rows())))


def tables(text: str, heading: str) -> list[list[dict[str, str]]]:
    """The tables below a heading of a Markdown text, up to the next heading: a dict for each row."""
    (body,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    found = []
    for part in re.findall(r"(?:^\|.*\n?)+", body, re.MULTILINE):
        header, _, *lines = [
            [entry.strip() for entry in re.split(r"(?<!\\)\|", line)[1:-1]] for line in part.strip().splitlines()
        ]
        found.append([dict(zip(map(plain, header), map(plain, line), strict=True)) for line in lines])
    return found


def plain(text: str) -> str:
    return text.replace(r"\[", "[").replace(r"\]", "]")


def by_method(table: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    return {row["method"]: row for row in table}


# --- the page against hand computation ---


@pytest.mark.parametrize("name", ["README.md", "results.csv", "results.json", "table.tex"])
def test_golden(name: str, tmp_path: Path) -> None:
    render(golden_lab().rows(), tmp_path)
    expected = (GOLDEN / name).read_text(encoding="utf-8")
    assert (tmp_path / name).read_text(encoding="utf-8") == expected, f"if this is meant: python {Path(__file__).name}"


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
    _, text = "", page(golden_lab())
    header, *_ = [line for line in text.splitlines() if line.startswith("| method") and "F1" in line]
    delta = r"Δ dense \[95 %\]"
    assert [entry.strip() for entry in header.strip("|").split("|")] == ["method", "accuracy", delta, "F1", delta]
    (line,) = re.findall(r"^\| random-pruning .*4\.36 \(3\).*$", text, re.MULTILINE)
    # F1 80, 81, 88: mean 83, std √((9 + 4 + 25)/2); minus dense 88, 89, 90: −8, −8, −2, so −6 ± 4.303·√(24/2)/√3.
    assert [entry.strip() for entry in line.strip("|").split("|")][1:] == [
        *("71.00 ± 1.00 (3)", "−14.00"),
        *("**83.00 ± 4.36 (3)**", r"−6.00 \[−14.61, +2.61\]"),
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
    # IMP at 0.5 has five rounds of 234 steps before the last training; 500 of 1,600 parameters are gone.
    assert [row for row in sizes if row["method"] == "imp" and row["sparsity"] == "0.5"] == [
        {
            **{"sparsity": "0.5", "method": "imp", "removed": "50.00 %", "encoder": "50.00 % → 50.00 %"},
            **{"parameters left": "1,100 (68.75 %)", "trainings": "5 + 1", "steps": "1,170 + 234", "speed": "—"},
        }
    ]
    (heads,) = tables(text, "rte (dev), structured, size and cost")
    # Two of eight heads are a quarter of the heads and 100 of the 1,000 encoder weights.
    assert (heads[1]["removed"], heads[1]["encoder"]) == ("25.00 %", "10.00 % → 10.00 %")
    assert "Sparsity is the fraction removed of 1,000 encoder weights, 62.50 % of all 1,600 parameters." in text
    assert "fraction removed of 8 heads; encoder sparsity is of 1,000 encoder weights" in text


def test_intervals_by_the_bootstrap_on_request() -> None:
    rows = golden_lab().rows()
    page = build(rows, choose(interval="bootstrap"))
    (section,) = [section for section in page.sections if section.name == "rte"]
    (line,) = [line for line in section.tracks[0].levels[0].lines if line.label == "imp"]
    low, high = scipy.stats.bootstrap(
        ([0.61, 0.62, 0.66],), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    text = markdown(blocks(page))
    _, seeds = tables(text, "rte (dev), unstructured, sparsity 0.3")
    assert [row["95 %"] for row in seeds if row["method"] == "imp"] == [f"[{100 * low:.2f}, {100 * high:.2f}]"]
    assert confidence(line.scores[0].summary) != confidence(summarise([0.61, 0.62, 0.66]))
    assert "Brackets hold 95 % bootstrap (BCa, 9,999 resamples" in text and "95 % t intervals" not in text
    data = json.loads(to_json(page))
    assert data["interval"] == "bootstrap"
    (entry,) = [one for one in data["summary"] if (one["task"], one["label"], one["sparsity"]) == ("rte", "imp", 0.3)]
    assert entry["interval"] == pytest.approx({"low": low, "high": high})
    assert "bounds" not in entry["difference"]
    with pytest.raises(PrunebenchError, match=r"unknown interval 'bootstrp'.*'bootstrap'"):
        choose(interval="bootstrp")


def test_speed_is_a_multiple_of_the_dense_model_on_the_same_hardware() -> None:
    lab = Lab()
    # 277 examples each; the third seed was disturbed.
    for seed, (dense, own) in enumerate(((2.77, 1.385), (2.77, 1.385), (50.0, 60.0))):
        lab.done("rte", "dense", 0.0, seed, 0.5)["seconds"] = {"train": 1.0, "predict": dense}
        lab.done("rte", "heads", 0.5, seed, 0.5)["seconds"] = {"train": 1.0, "predict": own}
    title = "rte (dev), structured, size and cost"
    assert [row["speed"] for row in tables(page(lab), title)[0]] == ["1.00 × (100/s)", "2.00 × (200/s)"]
    measured = {check.what: check for check in build(lab.rows()).checklist}["speed measured on it"]
    assert measured.held is True and measured.found == "of 6 of 6 cells; kinds of hardware: 1"
    lab.records[lab.cells[-1]["key"]]["environment"]["threads"] = 2
    assert [row["speed"] for row in tables(page(lab), title)[0]] == ["1.00 × (100/s)", "—"]


def test_seeds_of_different_size_show_their_range() -> None:
    lab = Lab()
    for seed, left in enumerate((1100, 1150)):
        lab.done("rte", "imp", 0.5, seed, 0.5)["parameters"]["left"] = left
    (sizes,) = tables(page(lab), "rte (dev), unstructured, size and cost")
    assert sizes[1]["parameters left"] == "1,100 to 1,150 (68.75 % to 71.88 %)"


def test_what_is_missing_is_said_and_not_bold() -> None:
    text = page(golden_lab())
    failed = by_method(tables(text, "rte (dev), structured, sparsity 0.5")[0])["heads"]
    assert (failed["accuracy"], failed["note"]) == ("56.50 ± 0.71 (2)", "failed seed 1")
    assert "- heads: seed 1 failed: strategy 'heads' raised ValueError: no \\| heads are left" in text
    missing = by_method(tables(text, "mrpc (dev), unstructured, sparsity 0.5")[0].copy())["random-pruning"]
    assert missing["note"] == "missing seed 2"


def test_an_incomplete_row_is_last_and_never_the_best() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "imp", 0.5, seed, 0.5 + seed / 1000)
        lab.done("rte", "random-pruning", 0.5, seed, 0.4)
    for seed in (1, 2):
        lab.done("rte", "better", 0.5, seed, 0.9)
    (level,) = build(lab.rows()).sections[0].tracks[0].levels
    assert [(line.label, line.scores[0].best, line.gaps) for line in level.lines] == [
        ("imp", True, ()),
        ("random-pruning", False, ()),
        ("better", False, ("missing seed 0",)),
    ]


def best(lab: Lab) -> list[dict[str, bool]]:
    """By sparsity, whether each method is marked as the best or as good as it."""
    levels = build(lab.rows()).sections[0].tracks[0].levels
    return [{line.label: line.scores[0].best for line in level.lines} for level in levels]


def test_what_cannot_be_told_from_the_best_is_marked_as_it_is() -> None:
    lab = Lab()
    for seed, noise in enumerate((0.01, 0.02, 0.03, 0.01)):
        lab.done("rte", "imp", 0.5, seed, 0.60)
        # Less 0.01, −0.02, 0.03, −0.01: mean 0.0025, far from certain.
        lab.done("rte", "magnitude", 0.5, seed, 0.60 - noise * (-1) ** seed)
        # Less 0.11, 0.12, 0.13, 0.11: mean 0.1175, std 0.0096, t = 24.
        lab.done("rte", "random-pruning", 0.5, seed, 0.50 - noise)
    lab.done("rte", "imp", 0.7, 0, 0.5)
    both, alone = best(lab)
    assert both == {"imp": True, "magnitude": True, "random-pruning": False}
    assert alone == {"imp": False}


def test_with_two_seeds_nothing_is_marked_and_the_caption_says_so() -> None:
    lab = Lab()
    for seed in (0, 1):
        lab.done("rte", "imp", 0.5, seed, 0.6 + seed / 1000)
        lab.done("rte", "magnitude", 0.5, seed, 0.4)
    assert best(lab) == [{"imp": False, "magnitude": False}]
    assert "Nothing is bold: with fewer than three common seeds" in latex(blocks(build(lab.rows())))


def test_dense_runs_of_more_seeds_leave_no_gap_in_the_methods() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
    lab.done("rte", "imp", 0.5, 0, 0.5)
    section = build(lab.rows()).sections[0]
    assert (section.tracks[0].levels[0].lines[0].gaps, section.dense.gaps) == ((), ())


def test_a_page_without_dense_runs_says_so() -> None:
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


def test_degenerate_values_carry_an_asterisk_where_they_stand_and_in_the_average() -> None:
    text = page(golden_lab())
    scores, seeds = tables(text, "mrpc (dev), unstructured, sparsity 0.5")
    assert [row["seed 1"] for row in seeds if row["method"] == "random-pruning"] == ["31.00", r"0.00\*"]
    assert by_method(scores)["random-pruning"]["accuracy"].endswith("(2)")
    average = tables(text, "Average of 2 GLUE tasks (dev), unstructured, sparsity 0.5")[0]
    assert by_method(average)["random-pruning"]["average"].endswith(r"(2)\*")
    assert r"- \* For some seed's predictions" in text


# --- the average ---


def test_average_is_over_metrics_first_and_then_over_tasks() -> None:
    text = page(golden_lab())
    scores, seeds = tables(text, "Average of 2 GLUE tasks (dev), unstructured, sparsity 0.3")
    # Seed 0: MRPC (83 + 88)/2 = 85.5 and RTE 61, so 73.25; a mean of all three metrics would be 77.33.
    assert [by_method(seeds)["imp"][f"seed {seed}"] for seed in range(3)] == ["73.25", "74.00", "76.25"]
    # Dense: 73, 74.5, 76. Differences 0.25, −0.5, 0.25: mean 0, and 4.303·√(0.375/2)/√3 to both sides.
    assert by_method(scores)["imp"][DELTA] == "0.00 [−1.08, +1.08]"
    missing = by_method(tables(text, "Average of 2 GLUE tasks (dev), unstructured, sparsity 0.5")[0])
    assert missing["random-pruning"]["note"] == "missing mrpc seed 2"


def nine(without: str = "") -> Lab:
    lab = Lab()
    for i, task in enumerate(["cola", "sst2", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte", "wnli"]):
        if task != without:
            lab.done(task, "dense", 0.0, 0, 0.9, 0.9)
            lab.done(task, "imp", 0.5, 0, i / 10, i / 10 + 0.2)
    return lab


def test_glue_average_with_and_without_wnli() -> None:
    with_wnli, without = build(nine().rows()).averages
    assert (with_wnli.title, without.title) == (
        "GLUE average, 9 tasks (dev)",
        "GLUE average without WNLI, 8 tasks (dev)",
    )
    # Values are 0, 0.1, … 0.8, plus 0.1 for MRPC's and MNLI's means of two.
    nines, eights = (found.tracks[0].levels[0].lines[0].scores[0].summary for found in (with_wnli, without))
    assert nines is not None and eights is not None
    assert nines.mean == pytest.approx((3.6 + 0.2) / 9)
    assert eights.mean == pytest.approx((2.8 + 0.2) / 8)


def test_average_without_all_tasks_names_them() -> None:
    assert [found.title for found in build(nine(without="wnli").rows()).averages] == [
        "GLUE average without WNLI, 8 tasks (dev)"
    ]
    average = build(nine(without="rte").rows()).averages[0]
    assert average.title == "Average of 8 GLUE tasks (dev)"
    assert average.about[0].endswith("The tasks are cola, sst2, mrpc, qqp, stsb, mnli, qnli, wnli.")


def test_one_task_has_no_average_and_other_benchmarks_are_not_in_it() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.done("squad", "imp", 0.5, 0, 0.5, benchmark="")
    assert build(lab.rows()).averages == ()


def test_each_benchmark_has_its_own_average_and_its_name_on_its_tasks() -> None:
    lab = Lab()
    for task, value in (("rte", 0.5), ("sst2", 0.7)):
        lab.done(task, "imp", 0.5, 0, value)
    for task, value in (("ants", 0.1), ("bees", 0.3)):
        lab.done(task, "imp", 0.5, 0, value, benchmark="toy")
    page = build(lab.rows())
    assert {
        average.title: average.tracks[0].levels[0].lines[0].scores[0].summary.mean for average in page.averages
    } == {
        "Average of 2 GLUE tasks (dev)": pytest.approx(0.6),
        "Average of 2 toy tasks (dev)": pytest.approx(0.2),
    }
    assert [section.title for section in page.sections] == [
        "sst2 (dev)",
        "rte (dev)",
        "ants (toy, dev)",
        "bees (toy, dev)",
    ]


def test_a_method_that_a_task_lacks_is_shown_without_a_number() -> None:
    lab = nine()
    lab.done("rte", "magnitude", 0.5, 0, 0.99)
    line = {line.label: line for line in build(lab.rows()).averages[0].tracks[0].levels[0].lines}["magnitude"]
    assert line.scores[0].summary is None
    assert "missing cola" in line.gaps and "missing rte" not in line.gaps


def test_sparsities_that_differ_between_tasks_have_no_average() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.done("wnli", "imp", 0.9, 0, 0.5)
    (average,) = build(lab.rows()).averages
    assert average.tracks == ()
    assert average.about[-1] == "Not every task was planned at sparsity 0.5, 0.9, so there is no average."


# --- what may stand on one page ---


def mixed(**setting: str) -> list[Row]:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    cell = lab.done("rte", "imp", 0.5, 0, 0.6, setting=setting, trainings=["other"], key="other")
    assert cell["key"] == "other"
    return lab.rows()


@pytest.mark.parametrize(
    ("setting", "message", "option"),
    [
        ({"protocol": "glue-1"}, "2 protocols for rte: 'glue-1', 'glue-1 with epochs=1'", "--protocol"),
        ({"precision": "bf16"}, "2 precisions for rte: 'bf16', 'fp32'", "--precision"),
        ({"device": "cuda"}, "2 devices for rte: 'cpu', 'cuda'", "--device"),
        ({"data": "other"}, "2 versions of the data for rte: 'data of rte', 'other'", "--data"),
        ({"model_fingerprint": "beef"}, "2 fingerprints of the model for rte: 'beef', 'f00d'", "--model"),
        ({"model": "big", "model_fingerprint": "beef"}, "2 models for rte: 'big', 'tiny/bert'", "--model"),
        (
            {"device": "cuda", "precision": "bf16"},
            "2 precisions for rte: 'bf16', 'fp32'; 2 devices for rte: 'cpu', 'cuda'",
            "--precision, --device",
        ),
    ],
)
def test_settings_never_mix(setting: dict[str, str], message: str, option: str) -> None:
    with pytest.raises(PrunebenchError) as error:
        build(mixed(**setting))
    assert error.value.message == f"the store holds results under {message}"
    assert error.value.hint == f"one page shows one: choose with {option}, or say --allow-mixed"


@pytest.mark.parametrize(
    ("setting", "selection"),
    [
        ({"protocol": "glue-1"}, Selection(protocol="glue-1")),
        ({"device": "cuda"}, Selection(device="cuda")),
        ({"model": "dir/big", "model_fingerprint": "beef"}, Selection(model="big")),
        ({"model_fingerprint": "beef"}, Selection(model="beef")),
        ({"model_revision": "v2"}, Selection(model="v2")),
        ({"data": "other"}, Selection(data="other")),
    ],
)
def test_a_choice_makes_a_page_of_a_mixture(setting: dict[str, str], selection: Selection) -> None:
    (row,) = build(select(mixed(**setting), selection)).rows
    assert row.value == 0.6


def test_tasks_of_one_benchmark_may_differ_in_data_but_not_in_protocol_or_model() -> None:
    other = Lab()
    other.done("rte", "imp", 0.5, 0, 0.5)
    other.done("mrpc", "imp", 0.5, 0, 0.5, 0.5, setting={"protocol": "glue-1"})
    with pytest.raises(PrunebenchError, match=r"2 protocols for GLUE: 'glue-1', 'glue-1 with epochs=1' \(one page"):
        build(other.rows())
    assert "Mixed: 2 protocols for GLUE" in build(other.rows(), mixed=True).warnings[0]
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.done("mrpc", "imp", 0.5, 0, 0.5, 0.5, setting={"protocol": "glue-1"}, benchmark="")
    assert "| protocols" in page(lab)
    lab.done("wnli", "imp", 0.5, 0, 0.5, setting={"model": "big"})
    with pytest.raises(PrunebenchError, match=r"under 2 models: 'big', 'tiny/bert' \(one page"):
        build(lab.rows())


def test_a_setting_without_results_does_not_stand_in_the_way() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.plan("rte", "imp", 0.5, 0, setting={"protocol": "glue-1"})
    assert len(build(lab.rows()).rows) == 1


def test_selection_by_task_and_strategy_keeps_dense() -> None:
    table = golden_lab().rows()
    labels = {row.cell.label for row in select(table, Selection(tasks=("rte",), strategies=("heads",)))}
    assert labels == {"dense", "heads"}
    assert {row.cell.task for row in select(table, Selection(tasks=("rte",)))} == {"rte"}


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(tasks=("rte", "mrcp")), "unknown task 'mrcp' (did you mean 'mrpc'?"),
        (Selection(strategies=("head",)), "unknown strategy 'head' (did you mean 'heads'?"),
        (
            Selection(protocol="glue-1 with epochs=2"),
            "unknown protocol 'glue-1 with epochs=2' (did you mean 'glue-1 with epochs=1'?",
        ),
    ],
)
def test_a_choice_that_fits_nothing_is_an_error_with_the_near_name(selection: Selection, message: str) -> None:
    with pytest.raises(PrunebenchError) as error:
        select(golden_lab().rows(), selection)
    assert str(error.value).startswith(message)


def test_different_hardware_is_a_visible_warning() -> None:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    lab.done("rte", "imp", 0.5, 1, 0.5, environment={"hardware": "A GPU"})
    lab.done("wnli", "imp", 0.5, 0, 0.5, source="prunebench 0.2.0")
    text = page(lab)
    kinds = "The results of rte were made with 2 kinds of hardware: A GPU; Some CPU, 2 cores."
    assert f"> **Warning:** {kinds}" in text
    assert "come from 2 versions: prunebench 0.1.0, prunebench 0.2.0" in text
    assert f"warning: {kinds}" in terminal(lab.rows())
    assert "Warning" not in page(golden_lab())


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(PrunebenchError, match="there are no results to show"):
        build([])
    lab = Lab()
    key = lab.plan("rte", "imp", 0.5, 0)["key"]
    with pytest.raises(PrunebenchError, match="1 cells are planned and none is done"):
        build(lab.rows())
    lab.failures[key] = {"key": key, "reason": "no memory"}
    with pytest.raises(PrunebenchError, match="the first reason: no memory"):
        build(lab.rows())
    assert "no memory" in terminal(lab.rows())


# --- formats ---


def test_long_table_as_csv(tmp_path: Path) -> None:
    render(golden_lab().rows(), tmp_path, ["csv"])
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 7 * 3 + 7 * 3 * 2
    (row,) = [row for row in found if row["label"] == "random-pruning" and row["value"] == "0.0"]
    assert (row["task"], row["metric"], row["seed"], row["degenerate"]) == ("mrpc", "f1", "1", "true")
    assert (row["dense"], row["protocol"], row["control_of"]) == ("0.89", "glue-1 with epochs=1", "imp")
    assert json.loads(row["options"]) == {"of": "imp", "counts": "layer"}
    (failed,) = [row for row in found if row["status"].startswith("failed")]
    assert (failed["value"], failed["realised"]) == ("", "")
    assert failed["status"].endswith("no | heads\nare left")


def test_json_holds_the_same_rows_and_the_summary(tmp_path: Path) -> None:
    table = golden_lab().rows()
    render(table, tmp_path, ["json"])
    data = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert data["format"] == 3
    assert data["tasks"]["rte"] == [{**SETTING, "data": "data of rte"}]
    values = {(row["key"], row["metric"]): row["value"] for row in data["rows"]}
    assert values == {(row.cell.key, row.metric): row.value for row in table}
    wanted = {"task": "rte", "label": "imp", "sparsity": 0.3}
    (imp,) = [entry for entry in data["summary"] if wanted.items() <= entry.items()]
    assert (imp["n"], imp["mean"], imp["minimum"]) == (3, pytest.approx(0.63), 0.61)
    assert imp["values"] == {"0": 0.61, "1": 0.62, "2": 0.66}
    assert imp["difference"]["mean"] == pytest.approx(0.01)


def test_terminal_summary() -> None:
    lines = terminal(golden_lab().rows()).splitlines()
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
    text = terminal(lab.rows())
    assert max(map(len, text.splitlines())) <= 120
    headers = [line.split()[1:] for line in text.splitlines() if line.startswith("unstructured")]
    assert len(headers) > 1
    assert [float(level) for header in headers for level in header] == levels


def shuffled(lab: Lab, rng: random.Random) -> Lab:
    other = Lab()
    other.cells, records = list(lab.cells), list(lab.records.items())
    rng.shuffle(other.cells)
    rng.shuffle(records)
    other.records, other.failures = dict(records), lab.failures
    return other


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_format_depends_on_the_order_of_cells_and_records(rng: random.Random) -> None:
    lab = golden_lab()
    table = shuffled(lab, rng).rows()
    rng.shuffle(table)
    found, expected = build(table), build(lab.rows())
    for _, text_of in FORMATS.values():
        assert text_of(found) == text_of(expected)
        assert text_of(found).endswith("\n") and not text_of(found).endswith("\n\n")


# --- text that is not ours ---

NASTY = "|`*_[]()<>{}~#!&$%^\\\"'-+=\n\t\r\x1b\u202eaé中θ±—.:/@1 "
nasty = st.text(alphabet=st.sampled_from(NASTY) | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=25)


@settings(deadline=None)
@given(nasty)
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    from markdown_it import MarkdownIt

    visible = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    table = Table("title", ("method", "x"), "ll", ((text, "1"), (Bold("y"), text)), notes=("a: " + text,))
    source = markdown([Heading(2, "a " + text), Caution(text), Commands((text,)), table, Paragraph("a " + text)])
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source)
    shown = ["".join(child.content for child in token.children or []) for token in tokens if token.type == "inline"]
    after = " " + visible if visible else ""
    expected = ["a" + after, "Warning:" + after, "method", "x", visible, "1", "y", visible, "a:" + after, "a" + after]
    assert shown == expected
    kinds = {child.type for token in tokens for child in token.children or []}
    assert kinds <= {"text", "text_special", "strong_open", "strong_close"}
    assert [token.content.strip("\n") for token in tokens if token.type == "code_block"] == [visible] * bool(visible)


COMMANDS = (
    r"\\(?:[&%$#_{}\\]|[`'^~\"vc](?=\{)|(?:textbackslash|textasciitilde|textasciicircum|textemdash|textendash|ldots"
    r"|pm|times|rightarrow|Delta|theta|leq|geq|textbf|par|noindent|smallskip|small|toprule|midrule|bottomrule"
    r"|alpha|delta|texttt|begin|end|footnotesize|scriptsize|tiny|tabcolsep|linewidth|centering)(?![a-zA-Z]))"
)


def check_latex(text: str) -> None:
    """ASCII only, nothing but known commands, braces and formulas closed, as many cells in a row as in its tabular."""
    assert text.isascii()
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("%"))
    for environment in ("center", "tabular", "minipage"):
        assert body.count(rf"\begin{{{environment}}}") == body.count(rf"\end{{{environment}}}")
    for columns, rows_text in re.findall(r"\\begin\{tabular\}\{(.+?)\}\n\\toprule\n(.*?)\\bottomrule", body, re.DOTALL):
        count = len(re.sub(r"\{[^}]*\}?", "", columns))
        for line in rows_text.strip().splitlines():
            if line != r"\midrule":
                assert line.endswith(r" \\")
                assert len(re.findall(r"(?<!\\)&", line)) == count - 1
                assert not re.match(r"\s*(\\midrule)?\s*[\[*]", line)
    rest = re.sub(COMMANDS, "", body)
    assert "\\" not in rest and "#" not in rest and "^" not in rest and "_" not in rest
    assert (
        "~" not in rest
        and "%" not in rest
        and "<" not in rest.replace("$<$", "")
        and "|" not in rest.replace("$|$", "")
    )
    assert rest.count("$") % 2 == 0
    depth = 0
    for character in rest:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0


@settings(deadline=None)
@given(nasty)
def test_latex_holds_any_text(text: str) -> None:
    table = Table("a" + text, ("method", "x"), "lr", ((text, "1"), (text, Bold(text)), (text, "-")), (text,), rule=1)
    check_latex(latex([table, Paragraph(text), Caution(text), Commands((text,))]))


def test_latex_of_the_golden_page_is_well_formed() -> None:
    check_latex((GOLDEN / "table.tex").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("imp[rate=0.2]", "imp{[}rate=0.2{]}"),
        ("50 % & more_of #1", r"50 \% \& more\_of \#1"),
        (r"a\b", r"a\textbackslash{}b"),
        ("63.00 ± 2.65", r"63.00 $\pm$ 2.65"),
        ("−1.00", "$-$1.00"),
        ("--lr", "-{}-lr"),
        ("é ç š", r"\'{e} \c{c} \v{s}"),
        ("中", "U+4E2D"),
    ],
)
def test_latex_escapes(text: str, expected: str) -> None:
    assert latex_escape(text) == expected


def test_nasty_labels_go_through_every_format(tmp_path: Path) -> None:
    lab = Lab()
    label = "my|method[x=a_b&c$,y=<b>`]\x1b[31m\nnew"
    lab.done("rte", label, 0.5, 0, 0.5)
    render(lab.rows(), tmp_path)
    check_latex((tmp_path / "table.tex").read_text(encoding="utf-8"))
    shown = r"my\|method\[x=a\_b&amp;c&#36;,y=&lt;b&gt;\`\] \[31m new"
    assert shown in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "\x1b" not in terminal(lab.rows())
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["label"] == label


def test_latex_compiles(tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("there is no pdflatex")
    lab = golden_lab()
    lab.done("rte", NASTY, 0.5, 0, 0.5)
    render(lab.rows(), tmp_path, ["tex"])
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{table}\end{document}"
    (tmp_path / "main.tex").write_text(document)
    done = subprocess.run(
        [compiler, "-interaction=nonstopmode", "-halt-on-error", "main.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


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
    """The golden records in a store on the disk."""
    from prunebench.store.store import Store

    lab, place = golden_lab(), Store.create(tmp_path / "store")
    place.add_plan(lab.cells, "", "prunebench run --tasks rte,mrpc")
    for record in lab.records.values():
        place.add_record(record, b"")
    for failure in lab.failures.values():
        place.add_failure(failure["key"], failure["reason"])
    return place.place.folder


def run(*arguments: str | Path) -> Any:
    from prunebench.cli.leaderboard import leaderboard

    return CliRunner().invoke(leaderboard, [str(argument) for argument in arguments])


def test_command_renders_a_store(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "deep"
    result = run("--store", store, "--out", out)
    assert result.exception is None
    assert result.output.startswith(terminal(golden_lab().rows()))
    files = [out / name for name in ("README.md", "results.csv", "results.json", "table.tex", "index.html")]
    assert result.output.splitlines()[-1] == f"Written: {', '.join(map(str, files))}"
    for name in ("README.md", "results.csv", "results.json", "table.tex"):
        assert (out / name).read_text(encoding="utf-8") == (GOLDEN / name).read_text(encoding="utf-8")


def test_command_without_a_folder_writes_nothing(store: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = run("--store", store, "--tasks", "rte", "--strategies", "imp", "--format", "md")
    assert result.exception is None
    assert "mrpc" not in result.output and "heads" not in result.output
    assert result.output.splitlines()[-1] == "Nothing is written; --out DIR writes README.md there"
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
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for written in render(golden_lab().rows(), GOLDEN, ["md", "csv", "json", "tex"]):
        print(written)
