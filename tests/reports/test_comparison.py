"""Two methods against each other, from hand-made records; `python tests/test_compare.py` writes the golden files."""

from __future__ import annotations

import csv
import html
import io
import json
import random
import re
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
from lab import Lab

from prunebench import PrunebenchError
from prunebench.reports.comparison import FORMATS, Report, build
from prunebench.reports.comparison.model import Measured
from prunebench.results.rows import Row

GOLDEN = Path(__file__).parents[1] / "golden" / "compare"


def compare_lab() -> Lab:
    """Three tasks, each of which says something else of IMP and magnitude, and two methods more."""
    lab = Lab()
    rte = {
        ("dense", 0.0): (0.60, 0.62, 0.64, 0.61, 0.63),
        ("imp", 0.3): (0.61, 0.62, 0.66, 0.63, 0.64),
        ("magnitude", 0.3): (0.51, 0.54, 0.56, 0.52, 0.54),
        ("random-pruning", 0.3): (0.50, 0.51, 0.50, 0.52, 0.50),
        ("imp", 0.5): (0.57, 0.58, 0.59, 0.60, 0.55),
        ("magnitude", 0.5): (0.56, 0.59, 0.58, 0.57, 0.57),
        ("random-pruning", 0.5): (0.50, 0.51, 0.50, 0.52, 0.50),
        ("imp", 0.9): (0.53, 0.53, 0.53, 0.53, 0.53),
        ("magnitude", 0.9): (0.53, 0.53, 0.53, 0.53, 0.53),
    }
    mrpc = {
        ("dense", 0.0): ((0.84, 0.88), (0.85, 0.89), (0.86, 0.90)),
        ("imp", 0.3): ((0.83, 0.88), (0.84, 0.88), (0.85, 0.88)),
        ("magnitude", 0.3): ((0.80, 0.86), (0.82, 0.87), None),
        ("random-pruning", 0.3): ((0.70, 0.80), (0.71, 0.81), (0.32, 0.0)),
        ("imp", 0.5): ((0.80, 0.85), (0.81, 0.86), (0.82, 0.87)),
        ("magnitude", 0.5): ((0.77, 0.82), (0.76, 0.81), (0.80, 0.85)),
        ("random-pruning", 0.5): ((0.68, 0.81), (0.68, 0.81), (0.68, 0.81)),
    }
    mnli = {
        ("dense", 0.0): ((0.80, 0.81), (0.81, 0.82), (0.82, 0.83)),
        ("imp", 0.3): ((0.80, 0.81), (0.81, 0.82), (0.82, 0.83)),
        ("magnitude", 0.3): ((0.79, 0.80), (0.80, 0.81), (0.81, 0.82)),
        ("random-pruning", 0.3): ((0.60, 0.60), (0.61, 0.63), (0.62, 0.61)),
    }
    for task, values in (("rte", rte), ("mrpc", mrpc), ("mnli", mnli)):
        for (label, sparsity), by_seed in values.items():
            for seed, value in enumerate(by_seed):
                if value is None:
                    lab.plan(task, label, sparsity, seed)
                else:
                    several = value if isinstance(value, tuple) else (value,)
                    lab.done(task, label, sparsity, seed, *several, degenerate=["f1"] if 0.0 in several else [])
    for seed in range(5):
        lab.done("rte", "heads", 0.25, seed, 0.6)
    return lab


def report(rows: list[Row] | None = None, *methods: str, **options: Any) -> Report:
    return build(compare_lab().rows() if rows is None else rows, methods or ("imp", "magnitude"), **options)


def at(found: Report, task: str, sparsity: float, metric: str = "accuracy") -> Measured:
    return next(
        entry
        for entry in found.measured
        if (entry.place.task, entry.place.sparsity, entry.place.metric) == (task, sparsity, metric)
    )


def text(found: Report) -> str:
    return FORMATS["md"](found)


# --- against hand computation ---


@pytest.mark.parametrize("name", ["md", "csv", "json"])
def test_golden(name: str) -> None:
    expected = (GOLDEN / f"compare.{name}").read_text(encoding="utf-8")
    assert FORMATS[name](golden()) == expected, f"if this is meant: python {Path(__file__).name}"


def golden() -> Report:
    return report(None, "imp", "magnitude", "random-pruning", reference="dense")


def test_what_is_compared_with_what() -> None:
    found = report()
    assert [
        (entry.place.task, entry.place.sparsity, entry.place.metric, entry.comparison.n) for entry in found.measured
    ] == [
        ("mrpc", 0.3, "accuracy", 2),
        ("mrpc", 0.3, "f1", 2),
        ("mrpc", 0.5, "accuracy", 3),
        ("mrpc", 0.5, "f1", 3),
        ("mnli", 0.3, "accuracy", 3),
        ("mnli", 0.3, "accuracy", 3),
        ("rte", 0.3, "accuracy", 5),
        ("rte", 0.5, "accuracy", 5),
        ("rte", 0.9, "accuracy", 5),
    ]
    rte = at(found, "rte", 0.3)
    # 0.10, 0.08, 0.10, 0.11, 0.10: mean 0.098, squares of deviations 0.04·10⁻⁴ + 3.24 + 0.04 + 1.44 + 0.04 = 4.8·10⁻⁴.
    assert (rte.mean_a, rte.mean_b) == (pytest.approx(0.632), pytest.approx(0.534))
    assert rte.comparison.differences == (0.10, 0.08, 0.10, 0.11, 0.10)
    assert rte.comparison.effect == pytest.approx(0.098 / (4.8e-4 / 4) ** 0.5)


def test_each_verdict_in_plain_words() -> None:
    said = text(report())
    # Holm: seven of nine have a test; MNLI's two have no spread, MRPC's first two but two seeds.
    assert report().tests == 5
    better = "At 0.3, accuracy: imp is better than magnitude by 9.80 points (95 % interval +8.44 to +11.16, p = 0.0002"
    assert f"- {better} after Holm for 5 comparisons)." in said
    assert "- At 0.5, accuracy: no difference is shown (imp − magnitude +0.40, 95 % interval" in said
    assert "- At 0.9, accuracy: imp and magnitude have the same score on each of 5 seeds." in said
    assert "- At 0.3, F1: 2 seeds, too few to call anything (3 at least)." in said
    same = "At 0.3, accuracy matched: imp is 1.00 points above magnitude on each of 3 seeds"
    assert f"- {same}; without any spread a t test cannot judge that." in said
    assert "imp is worse than" not in said


def test_what_so_few_seeds_cannot_show_is_said() -> None:
    said = text(report())
    assert "With 5 seeds neither Wilcoxon's test nor the flips of signs can go below p = 0.0625" in said
    assert "With 3 seeds neither Wilcoxon's test nor the flips of signs can go below p = 0.2500" in said
    assert "With 2 seeds" not in said


def test_a_difference_that_only_the_correction_hides_is_said_to_be_one() -> None:
    lab = Lab()
    for sparsity in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        for seed, value in enumerate((0.53, 0.52, 0.54, 0.51)):
            lab.done("rte", "imp", sparsity, seed, value)
            lab.done("rte", "magnitude", sparsity, seed, 0.5)
    found = report(lab.rows())
    alone = report(lab.rows(), sparsities=[0.3])
    assert "alone it would be (p = 0.0305), among 7 comparisons it is not." in text(found)
    assert "imp is better than magnitude by 2.50 points (95 % interval +0.45 to +4.55, p = 0.0305)." in text(alone)


def test_the_bootstrap_interval_on_request() -> None:
    found = report(interval="bootstrap")
    rte = at(found, "rte", 0.3).comparison
    # What the page says, BCa of 9,999 resamples, made without our own function; the percentiles are others.
    ends = {
        method: tuple(
            scipy.stats.bootstrap(
                ([0.08, 0.10, 0.10, 0.10, 0.11],),
                np.mean,
                n_resamples=9999,
                method=method,
                rng=np.random.default_rng(0),
            ).confidence_interval
        )
        for method in ("BCa", "percentile")
    }
    assert rte.interval is not None
    assert (rte.interval.low, rte.interval.high) == pytest.approx(ends["BCa"], abs=1e-12)
    assert rte.interval.high < ends["percentile"][1] - 0.001
    assert rte.interval != at(report(), "rte", 0.3).comparison.interval
    assert numbers(found) == numbers(report())
    bootstrap = "with the bootstrap (BCa, 9,999 resamples; too narrow for fewer than about ten seeds) interval"
    assert bootstrap in text(found)
    # Without spread there is none of either kind.
    assert at(found, "mnli", 0.3).comparison.interval is None


def test_seeds_of_only_one_method_are_named() -> None:
    assert "imp and magnitude on mrpc at 0.3: only one of them has seed 2." in report().notes
    assert at(report(), "mrpc", 0.3).left_out == (2,)


def test_over_tasks_by_hand() -> None:
    low, high = report().across
    # MRPC: seeds 0 and 1, accuracy and F1 first: IMP (85.5 + 86)/2, magnitude (83 + 84.5)/2. MNLI: one point. RTE: 9.8.
    assert low.comparison.pairs == ("mnli", "mrpc", "rte")
    assert low.comparison.differences == (0.01, 0.02, 0.098)
    assert (low.comparison.p.wilcoxon, low.comparison.holm.wilcoxon) == (0.25, 0.25)
    # At 0.5 there are two tasks: nothing can be called, and there is no p.
    assert (high.sparsity, high.comparison.pairs, high.comparison.p.wilcoxon) == (0.5, ("mrpc", "rte"), None)
    said = text(report())
    assert "Wilcoxon's p = 0.2500, and could not be below 0.2500 with 3 tasks" in said
    assert "- At 0.5, 2 tasks (mrpc, rte)" in said and "too few tasks to call anything" in said


def test_ranks_over_tasks_need_three_methods() -> None:
    assert report().ranked == ()
    low, high = report(None, "imp", "magnitude", "random-pruning").ranked
    assert low.ranking.ranks == {"imp": 1.0, "magnitude": 2.0, "random-pruning": 3.0}
    # χ² of three tasks that all agree is 3·2 = 6, and its p e⁻³.
    assert (low.ranking.chi2, low.ranking.p) == (pytest.approx(6), pytest.approx(np.exp(-3)))
    assert high.ranking.reason == "2 tasks: ranks need at least 3 to tell methods apart"


def test_every_table_names_its_split() -> None:
    lab = compare_lab()
    for seed in range(3):
        for label in ("imp", "magnitude", "random-pruning"):
            lab.done("toy", label, 0.5, seed, 0.6 + seed / 100 + len(label) / 1000, benchmark="toys", split="test")
    page = text(report(lab.rows(), "imp", "magnitude", "random-pruning"))
    titles = [line for line in page.splitlines() if line.startswith(("### ", "## Ranks"))]
    assert "### imp − magnitude: toy (toys, test)" in titles and "### imp − magnitude: rte (dev)" in titles
    # At 0.3 all tasks are of the one split, at 0.5 they are of both.
    assert [title for title in titles if "over tasks" in title] == [
        "### imp − magnitude: over tasks (dev, test)",
        "### imp − random-pruning: over tasks (dev, test)",
        "### magnitude − random-pruning: over tasks (dev, test)",
        "## Ranks over tasks",
        "### Ranks over tasks at sparsity 0.3 (dev)",
        "### Ranks over tasks at sparsity 0.5 (dev, test)",
    ]
    data = json.loads(FORMATS["json"](report(lab.rows(), "imp", "magnitude", "random-pruning")))
    assert [entry["split"] for entry in data["ranks"]] == ["dev", "dev, test"]
    assert [entry["split"] for entry in data["across_tasks"]][:2] == ["dev", "dev, test"]


def test_the_reference_is_compared_with_each_and_dense_runs_stand_against_every_sparsity() -> None:
    found = report(None, "imp", "magnitude", reference="dense")
    pairs = list(dict.fromkeys((entry.a, entry.b) for entry in found.measured))
    assert pairs == [("imp", "magnitude"), ("imp", "dense"), ("magnitude", "dense")]
    imp = [entry for entry in found.measured if (entry.a, entry.b, entry.place.task) == ("imp", "dense", "rte")]
    assert [entry.place.sparsity for entry in imp] == [0.3, 0.5, 0.9]
    assert [entry.mean_b for entry in imp] == [pytest.approx(0.62)] * 3
    assert report(None, "imp", reference="dense").methods == ("imp",)


def test_the_same_trainings_are_no_comparison() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.5, seed, 0.5 + seed / 100)
        # IMP at 0 is the dense run, as it is in a plan.
        lab.cells[-2]["key"] = lab.cells[-3]["key"]
    found = report(lab.rows(), "imp", "dense")
    assert [entry.place.sparsity for entry in found.measured] == [0.5]
    assert found.notes == ("At 0 imp and dense are the same trainings: there is nothing to compare.",)


def test_a_failed_check_and_an_undefined_metric_are_warnings() -> None:
    lab = compare_lab()
    lab.records["rte glue-1 with epochs=1 2 imp 0.3"]["checks"]["pruned_weights_zero"] = False
    found = report(lab.rows(), "imp", "random-pruning")
    assert found.warnings == (
        "imp failed the check pruned_weights_zero on rte at 0.3, seed 2.",
        "On mrpc F1 is undefined for some runs of random-pruning (one class for all, say) and counts as 0 there.",
    )


# --- names, and what cannot be compared ---


def test_a_name_may_be_that_of_the_only_variant() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "imp[rate=0.2]", 0.5, seed, 0.5)
        lab.done("rte", "magnitude", 0.5, seed, 0.4 + seed / 100)
    assert report(lab.rows(), "imp", "magnitude").methods == ("imp[rate=0.2]", "magnitude")
    lab.done("rte", "imp[rate=0.3]", 0.5, 0, 0.5)
    with pytest.raises(PrunebenchError, match=r"'imp' may be 'imp\[rate=0.2\]' or 'imp\[rate=0.3\]' \(name one"):
        report(lab.rows(), "imp", "magnitude")


@pytest.mark.parametrize(
    ("methods", "options", "message"),
    [
        (("imp", "magnitud"), {}, r"unknown strategy 'magnitud' \(did you mean 'magnitude'"),
        (("imp", "imp"), {}, "there are not two methods in 'imp', 'imp'"),
        (("imp",), {}, "there are not two methods in 'imp'"),
        (("imp", "magnitude"), {"reference": "imp"}, "there are not two methods"),
        (("imp", "heads"), {}, "sparsities are fractions of different units: heads of heads; imp of weights"),
        (("imp", "magnitude"), {"sparsities": [0.4]}, r"no results at sparsity 0.4 \(there are 0.3, 0.5, 0.9"),
        (("imp", "heads"), {"mixed": True}, "nothing can be compared: heads at 0.25; imp at 0.3, 0.5, 0.9"),
    ],
)
def test_what_cannot_be_compared(methods: tuple[str, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        report(None, *methods, **options)


def test_other_units_are_compared_when_that_is_meant() -> None:
    lab = compare_lab()
    for seed in range(5):
        lab.done("rte", "heads", 0.5, seed, 0.5 + seed / 100)
    found = report(lab.rows(), "imp", "heads", mixed=True)
    assert found.warnings == ("Mixed: sparsities are fractions of different units: heads of heads; imp of weights.",)


def test_other_settings_are_compared_when_that_is_meant() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "imp", 0.5, seed, 0.5 + seed / 100)
        lab.done("rte", "imp", 0.5, seed, 0.6, setting={"precision": "bf16"}, key=f"b{seed}", trainings=[f"b{seed}"])
    with pytest.raises(PrunebenchError, match="2 precisions for rte"):
        report(lab.rows(), "imp", "imp")
    found = report(lab.rows(), "imp", "imp {precision=fp32}", mixed=True)
    assert found.warnings[0] == "Mixed: 2 precisions for rte: 'bf16', 'fp32'."
    assert at(found, "rte", 0.5).comparison.summary is not None
    assert at(found, "rte", 0.5).comparison.differences == (0.1, 0.09, 0.08)


def test_several_protocols_are_named_with_their_tasks() -> None:
    lab = compare_lab()
    for seed in range(3):
        for label in ("imp", "magnitude"):
            lab.done("wnli", label, 0.5, seed, 0.5 + seed / 100, setting={"protocol": "glue-1"})
    found = report(lab.rows(), "imp", "magnitude", mixed=True)
    assert dict(found.setting)["protocol"] == "glue-1 for wnli; glue-1 with epochs=1 for mrpc, mnli, rte"
    assert "| glue-1 for wnli; glue-1 with epochs=1 for mrpc, mnli, rte |" in text(found)
    assert dict(report().setting)["protocol"] == "glue-1 with epochs=1"


def test_what_else_is_in_the_store_does_not_stand_in_the_way() -> None:
    lab = compare_lab()
    lab.done("rte", "heads", 0.5, 0, 0.5, setting={"precision": "bf16"})
    assert report(lab.rows()) == report()


# --- properties ---


def numbers(found: Report) -> list[Any]:
    return [(entry.place, entry.comparison.p, entry.comparison.holm) for entry in found.measured]


def test_swapping_two_methods_changes_nothing_but_signs() -> None:
    found, swapped = report(), report(None, "magnitude", "imp")
    assert numbers(found) == numbers(swapped)
    for one, other in zip(found.measured, swapped.measured, strict=True):
        assert one.comparison.differences == tuple(-value + 0.0 for value in other.comparison.differences)


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_format_depends_on_the_order_of_rows(rng: random.Random) -> None:
    rows = compare_lab().rows()
    rng.shuffle(rows)
    found = report(rows, "imp", "magnitude", "random-pruning", reference="dense")
    for name, render in FORMATS.items():
        assert render(found) == render(golden()), name


def test_names_that_are_not_ours_are_escaped() -> None:
    lab, label = Lab(), "<script>alert(1)</script>|*x*\n"
    for seed in range(3):
        lab.done("rte", "imp", 0.5, seed, 0.5 + seed / 100)
        lab.done("rte", label, 0.5, seed, 0.5)
    found = report(lab.rows(), "imp", label)
    assert "<script>" not in text(found)
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\|\*x\*" in text(found)
    assert next(csv.DictReader(io.StringIO(FORMATS["csv"](found))))["b"] == label
    assert json.loads(FORMATS["json"](found))["methods"] == ["imp", label]


def test_csv_and_json_hold_the_same_numbers() -> None:
    found = golden()
    lines = list(csv.DictReader(io.StringIO(FORMATS["csv"](found))))
    data = json.loads(FORMATS["json"](found))
    assert [line["over"] for line in lines] == ["seeds"] * len(found.measured) + ["tasks"] * len(found.across)
    for line, entry in zip(lines, [*data["comparisons"], *data["across_tasks"]], strict=True):
        for name in ("difference", "p_t", "holm_t", "p_wilcoxon", "detectable", "d_z", "low"):
            assert line[name] == ("" if entry[name] is None else repr(entry[name]))
    rte = next(entry for entry in data["comparisons"] if (entry["task"], entry["sparsity"]) == ("rte", 0.3))
    assert rte["differences"] == {"0": 0.1, "1": 0.08, "2": 0.1, "3": 0.11, "4": 0.1}


# --- the command, and predictions ---

PLUGIN = """
from prunebench import hookimpl
from prunebench.tasks.task import Split, Task, TaskData

def load(source):
    evaluation = Split((["a", "b", "c", "d", "e", "f", "g", "h"],), [0, 1, 0, 1, 0, 1, 0, 1])
    return TaskData(evaluation, {"validation": evaluation})

@hookimpl
def prunebench_tasks():
    return [Task("toy", "Eight letters.", ("no", "yes"), "glue", "rte", ("accuracy",), load)]
"""
# What each run has right of the eight examples.
RIGHT = {
    ("imp", 0): (1, 1, 1, 1, 1, 1, 1, 0),
    ("magnitude", 0): (0, 0, 0, 0, 0, 0, 1, 1),
    ("imp", 1): (1, 1, 1, 1, 0, 0, 0, 0),
    ("magnitude", 1): (1, 1, 1, 1, 0, 0, 0, 0),
    ("imp", 2): (1, 1, 1, 1, 1, 0, 0, 0),
    ("magnitude", 2): (1, 1, 1, 0, 1, 0, 0, 0),
}


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    (tmp_path / "toy.py").write_text(PLUGIN, encoding="utf-8")
    return tmp_path / "toy.py"


def fingerprint(plugin: Path) -> str:
    from prunebench.hooks.registry import Registry
    from prunebench.tasks.task import DataSource

    return str(Registry([plugin]).get("tasks", "toy").load(DataSource()).fingerprint())


def toy_store(folder: Path, data: str, **changes: Any) -> Path:
    """A store with the runs of RIGHT at sparsity 0.5, and their logits."""
    from prunebench.store.store import Store

    lab, place = Lab(), Store.create(folder)
    for (label, seed), right in RIGHT.items():
        record = lab.done("toy", label, 0.5, seed, sum(right) / 8, setting={"data": data})
        record["root"]["protocol"] = {"eval_limit": None}
        record["evaluations"]["validation"]["metrics"]["accuracy"] += changes.get("shift", 0.0)
    place.add_plan(lab.cells, "", "prunebench run")
    gold = np.array([0, 1] * 4)
    for key, record in lab.records.items():
        found = [np.array(right) for (label, seed), right in RIGHT.items() if key.endswith(f"{seed} {label} 0.5")]
        logits = b""
        if found and changes.get("logits", True):
            decided = np.where(found[0] == 1, gold, 1 - gold)
            file = io.BytesIO()
            np.savez(file, validation=np.eye(2, dtype=np.float32)[decided])
            logits = file.getvalue()
        place.add_record(record, logits)
    return folder


def run(*arguments: str | Path) -> Any:
    from prunebench.cli.compare import compare

    return CliRunner().invoke(compare, [str(argument) for argument in arguments])


def test_mcnemar_from_stored_predictions(tmp_path: Path, plugin: Path) -> None:
    store = toy_store(tmp_path / "store", fingerprint(plugin))
    result = run("imp", "magnitude", "--store", store, "--mcnemar", "--plugin", plugin, "--format", "json")
    assert result.exception is None
    first, second, third = json.loads(result.stdout)["examples"]
    # Seed 0: IMP alone has six, magnitude alone one: 2·(1 + 7)/2⁷. Seed 1: the same. Seed 2: IMP alone has one.
    assert [first[name] for name in ("both", "only_a", "only_b", "neither", "n")] == [1, 6, 1, 0, 8]
    assert (first["p_mcnemar"], first["holm_mcnemar"]) == (pytest.approx(0.125), pytest.approx(0.375))
    assert (second["p_mcnemar"], third["only_a"], third["p_mcnemar"]) == (1.0, 1, 1.0)
    page = run("imp", "magnitude", "--store", store, "--mcnemar", "--plugin", plugin).stdout
    assert "McNemar's exact test of two runs of one seed" in page
    csv_lines = run("imp", "magnitude", "--store", store, "--mcnemar", "--plugin", plugin, "--format", "csv").stdout
    assert [line["over"] for line in csv.DictReader(io.StringIO(csv_lines))] == ["seeds", *["examples"] * 3]


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ("other", {}, "the data of 'toy' is not what these results were made with"),
        ("", {"shift": 0.01}, "have an accuracy of 0.8750, and their record says 0.8850"),
        ("", {"logits": False}, "cannot trust"),
    ],
)
def test_predictions_that_are_not_the_records_are_refused(
    data: str, changes: dict[str, Any], message: str, tmp_path: Path, plugin: Path
) -> None:
    store = toy_store(tmp_path / "store", data or fingerprint(plugin), **changes)
    result = run("imp", "magnitude", "--store", store, "--mcnemar", "--plugin", plugin)
    assert isinstance(result.exception, PrunebenchError)
    assert message in str(result.exception)


def stored(lab: Lab, folder: Path) -> Path:
    from prunebench.store.store import Store

    place = Store.create(folder)
    place.add_plan(lab.cells, "", "prunebench run")
    for record in lab.records.values():
        place.add_record(record, b"")
    return folder


def test_the_command_prints_or_writes(tmp_path: Path) -> None:
    stored(compare_lab(), tmp_path / "store")
    shared = ("imp", "magnitude", "random-pruning", "--reference", "dense", "--store", tmp_path / "store")
    printed = run(*shared)
    assert printed.stdout == (GOLDEN / "compare.md").read_text(encoding="utf-8")
    assert printed.stderr == "Nothing is written; --out FILE writes this there\n"
    out = tmp_path / "new" / "compare.csv"
    assert run(*shared, "--format", "csv", "--out", out).output == f"Written: {out}\n"
    assert out.read_text(encoding="utf-8") == (GOLDEN / "compare.csv").read_text(encoding="utf-8")
    few = run("imp", "magnitude", "--store", tmp_path / "store", "--tasks", "rte", "--sparsities", "0.3, 0.5")
    assert "mrpc" not in few.stdout and "At 0.9" not in few.stdout and "all 2 comparisons" in few.stdout


def svg_texts(path: Path) -> list[str]:
    """What is written in a picture, which draws its letters and says beside them what they are."""
    return [html.unescape(found) for found in re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))]


def test_average_ranks_are_drawn_at_each_sparsity(tmp_path: Path) -> None:
    lab = compare_lab()
    for sparsity in (0.5, 0.7):
        for task in ("a", "b", "c", "d"):
            for seed in range(2):
                for i, label in enumerate(("imp", "magnitude", "random-pruning")):
                    lab.done(task, label, sparsity, seed, 0.8 - i / 10 + seed / 1000)
    shared = ("imp", "magnitude", "random-pruning", "--store", stored(lab, tmp_path / "store"), "--format")
    out = tmp_path / "new" / "ranks.svg"
    assert run(*shared, "svg", "--out", out).output == f"Written: {out}\n"
    # At 0.5 RTE and MRPC have the methods in that order, too; CD = 2.343·√(3·4/6n) for n tasks.
    names = ["imp (1.00)", "magnitude (2.00)", "random-pruning (3.00)"]
    titles = {
        "sparsity 0.3, 3 tasks (dev)": "1.91",
        "sparsity 0.5, 6 tasks (dev)": "1.35",
        "sparsity 0.7, 4 tasks (dev)": "1.66",
    }
    said = svg_texts(out)
    assert [text for text in said if text.startswith("sparsity")] == list(titles)
    assert [text for text in said if text.startswith("CD")] == [f"CD = {cd}" for cd in titles.values()]
    assert [text for text in said if text.endswith(")") and not text.startswith("sparsity")] == names * 3
    first = out.read_bytes()
    run(*shared, "svg", "--out", out)
    assert out.read_bytes() == first, "the same results, the same bytes"
    for kind, head in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        run(*shared, kind, "--out", tmp_path / "ranks")
        assert (tmp_path / "ranks").read_bytes().startswith(head)


def test_a_sparsity_without_a_critical_difference_is_named(tmp_path: Path) -> None:
    store = stored(compare_lab(), tmp_path / "store")
    out = tmp_path / "ranks.svg"
    result = run("imp", "magnitude", "random-pruning", "--store", store, "--format", "svg", "--out", out)
    reason = "2 tasks: ranks need at least 3 to tell methods apart"
    assert result.stderr == f"Not drawn: sparsity 0.5, 2 tasks (dev): {reason}\n"
    assert [text for text in svg_texts(out) if text.startswith("sparsity")] == ["sparsity 0.3, 3 tasks (dev)"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imp", "magnitude"], "there is no critical difference to draw: 2 methods (expected 3 methods or more"),
        (
            ["imp", "magnitude", "--reference", "dense", "--sparsities", "0.5"],
            "to draw: 2 tasks: ranks need at least 3",
        ),
        (["imp", "magnitude", "dense", "--tasks", "rte"], "to draw: at no sparsity do all methods share two tasks"),
    ],
)
def test_where_there_is_nothing_to_draw_that_is_said(arguments: list[str], message: str, tmp_path: Path) -> None:
    store, out = stored(compare_lab(), tmp_path / "store"), tmp_path / "ranks.svg"
    error = run(*arguments, "--store", store, "--format", "svg", "--out", out).exception
    assert isinstance(error, PrunebenchError) and message in str(error)
    assert "\n" not in str(error) and not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "svg"], r"a picture is not written to a terminal: --format svg \(--out FILE.svg says where"),
        (["--format", "mdd"], r"unknown format 'mdd' \(did you mean 'md'"),
        (["--sparsities", "a half"], "cannot read sparsities 'a half'"),
        (["--interval", "boot"], r"unknown interval 'boot' \(did you mean 'bootstrap'"),
    ],
)
def test_the_command_says_what_was_expected(arguments: list[str], message: str, tmp_path: Path) -> None:
    from prunebench.store.store import Store

    Store.create(tmp_path / "store")
    error = run("imp", "magnitude", "--store", tmp_path / "store", *arguments).exception
    assert isinstance(error, PrunebenchError)
    with pytest.raises(PrunebenchError, match=message):
        raise error


def test_comparing_needs_no_torch() -> None:
    code = (
        "import sys, prunebench.reports.comparison.predictions, prunebench.cli.compare; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, render in FORMATS.items():
        (GOLDEN / f"compare.{name}").write_text(render(golden()), encoding="utf-8")
