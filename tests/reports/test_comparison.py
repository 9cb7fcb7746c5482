"""A comparison against computations by hand, and in every format."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import Lab
from reports.comparison_lab import GOLDEN, at, compare_lab, golden, numbers, page, report
from statsmodels.stats.power import TTestPower

from prunebench.reports.comparison import FORMATS
from prunebench.results.statistics.comparison import detectable_effect


@pytest.mark.parametrize("name", ["md", "csv", "json"])
def test_golden(name: str) -> None:
    expected = (GOLDEN / f"compare.{name}").read_text(encoding="utf-8")
    hint = "to accept the new text: PYTHONPATH=tests python tests/reports/comparison_lab.py"
    assert FORMATS[name](golden()) == expected, hint


def test_methods_are_paired_by_seed_under_each_condition() -> None:
    result = report(each_metric=True)
    assert [
        (entry.condition.task, entry.condition.sparsity, entry.condition.metric, entry.comparison.n)
        for entry in result.over_seeds
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
    rte = at(result, "rte", 0.3)
    # 0.10, 0.08, 0.10, 0.11, 0.10: mean 0.098, squares of deviations 0.04·10⁻⁴ + 3.24 + 0.04 + 1.44 + 0.04 = 4.8·10⁻⁴.
    assert (rte.mean_a, rte.mean_b) == (pytest.approx(0.632), pytest.approx(0.534))
    assert rte.comparison.differences == (0.10, 0.08, 0.10, 0.11, 0.10)
    assert rte.comparison.effect == pytest.approx(0.098 / (4.8e-4 / 4) ** 0.5)


def test_a_task_has_one_score_unless_metrics_are_asked_for() -> None:
    """MRPC at 0.5: the means of accuracy and F1 are 82.5, 83.5 and 84.5 for IMP, and 79.5, 78.5 and 82.5."""
    result = report()
    assert [(entry.condition.task, entry.condition.sparsity) for entry in result.over_seeds] == [
        ("mrpc", 0.3),
        ("mrpc", 0.5),
        ("mnli", 0.3),
        ("rte", 0.3),
        ("rte", 0.5),
        ("rte", 0.9),
    ]
    [mrpc] = [entry for entry in result.over_seeds if entry.condition.task == "mrpc" and entry.comparison.n == 3]
    assert mrpc.condition.metric == "accuracy and f1"
    assert mrpc.comparison.differences == (0.03, 0.05, 0.02)
    # Holm's correction is for the five comparisons with a test, and not for eight of single metrics.
    assert (result.tests, report(each_metric=True).tests) == (5, 7)


def test_each_verdict_in_words() -> None:
    text = page(report(each_metric=True))
    better = "At 0.3, accuracy: imp is better than magnitude by 9.80 points (95 % interval +8.44 to +11.16, p = 0.0003"
    assert f"- {better} after Holm's correction for 7 comparisons)." in text
    assert "- At 0.5, accuracy: no significant difference (imp − magnitude: +0.40, 95 % interval" in text
    assert "- At 0.9, accuracy: imp and magnitude have the same score on each of 5 seeds." in text
    assert "- At 0.3, F1: no verdict from 2 seeds; at least 3 are needed." in text
    # MNLI is one point better on each seed, which is as certain as the rounding to one of 277 examples.
    assert (
        "- At 0.3, accuracy matched: imp is better than magnitude by 1.00 points (95 % interval +0.63 to +1.37" in text
    )
    assert "imp is worse than" not in text


def test_the_average_of_tasks_is_that_of_independent_differences() -> None:
    """At 0.5: MRPC has 3, 5 and 2 points on three seeds, RTE 1, −1, 1, 3 and −2. Welch's degrees, by hand."""
    [low, high] = report().averages
    a, b = np.array([0.03, 0.05, 0.02]), np.array([0.01, -0.01, 0.01, 0.03, -0.02])
    parts = [values.var(ddof=1) / len(values) for values in (a, b)]
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 4)
    assert (high.sparsity, high.tasks, high.crossed) == (0.5, ("mrpc", "rte"), False)
    assert high.error.mean == pytest.approx((a.mean() + b.mean()) / 2)
    assert (high.error.error, high.error.degrees) == pytest.approx((np.sqrt(sum(parts)) / 2, degrees))
    t = scipy.stats.t(degrees)
    assert high.p == pytest.approx(2 * t.sf(high.error.mean / high.error.error))
    # MRPC has two common seeds at 0.3.
    assert low.tasks == ("mnli", "rte")
    assert "At 0.5, the average of 2 tasks (mrpc, rte): imp is better than magnitude by 1.87 points" in page(report())


def test_what_could_have_been_shown_is_at_the_corrected_level() -> None:
    result = report()
    rte = at(result, "rte", 0.5).comparison
    std = np.std(rte.differences, ddof=1)
    power = TTestPower().solve_power(nobs=5, alpha=0.05 / 5, power=0.8)
    assert rte.detectable == pytest.approx(power * std, rel=1e-4)
    assert "5 seeds with this error can detect about" in page(result)
    # The audit's case: 42 comparisons with five seeds.
    assert detectable_effect(5, 0.05 / 42, 0.8) == pytest.approx(4.6, abs=0.05)


def test_a_test_that_cannot_show_anything_says_so() -> None:
    text = page(report())
    assert "With 5 seeds, these tests cannot show any difference." in text
    lab = Lab()
    for sparsity in (0.1, 0.2, 0.3):
        for seed in range(6):
            lab.done("rte", "imp", sparsity, seed, 0.6 + seed / 100)
            lab.done("rte", "magnitude", sparsity, seed, 0.5)
    # 2/64 is below 0.05, and three times that is not.
    assert "With 6 seeds and 3 comparisons, these tests cannot show any difference." in page(report(lab.rows()))
    assert "cannot show any difference" not in page(report(lab.rows(), sparsities=[0.1]))


def test_probabilities_on_request() -> None:
    """The t distribution around the mean difference, with the standard error as its scale."""
    result = report(rope=0.01)
    rte = at(result, "rte", 0.5).comparison
    posterior = scipy.stats.t(4, np.mean(rte.differences), np.std(rte.differences, ddof=1) / np.sqrt(5))
    shares = posterior.cdf(-0.01), posterior.cdf(0.01) - posterior.cdf(-0.01), posterior.sf(0.01)
    lines = list(csv.DictReader(io.StringIO(FORMATS["csv"](result))))
    [line] = [line for line in lines if (line["over"], line["task"], line["sparsity"]) == ("seeds", "rte", "0.5")]
    names = ("probability_worse", "probability_same", "probability_better")
    assert [float(line[name]) for name in names] == pytest.approx(shares)
    text = page(result)
    assert " | ".join(f"{100 * share:.2f} %" for share in shares) in " | ".join(text.split("|")).replace(
        "  ", " "
    ) or all(f"{100 * share:.2f} %" in text for share in shares)
    assert "The prior is flat in the mean difference" in text
    assert "probability_worse" not in FORMATS["csv"](report())


def test_page_states_the_smallest_p_of_so_few_seeds() -> None:
    text = page(report())
    assert "With 5 seeds, Wilcoxon's test and the sign flips cannot give a p below 0.0625" in text
    assert "With 3 seeds, Wilcoxon's test and the sign flips cannot give a p below 0.2500" in text
    assert "With 2 seeds" not in text


def test_page_states_when_only_the_correction_hides_a_difference() -> None:
    lab = Lab()
    for sparsity in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        for seed, value in enumerate((0.53, 0.52, 0.54, 0.51)):
            lab.done("rte", "imp", sparsity, seed, value)
            lab.done("rte", "magnitude", sparsity, seed, 0.5)
    result = report(lab.rows())
    alone = report(lab.rows(), sparsities=[0.3])
    assert "it is significant on its own (p = 0.0305), but not among 7 comparisons." in page(result)
    assert "imp is better than magnitude by 2.50 points (95 % interval +0.45 to +4.55, p = 0.0305)." in page(alone)


def test_the_bootstrap_interval_on_request() -> None:
    result = report(interval="bootstrap")
    rte = at(result, "rte", 0.3).comparison
    # BCa of 9,999 resamples, as the page states, without our own function; percentiles would differ.
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
    assert numbers(result) == numbers(report())
    assert "with the bootstrap (BCa, 9,999 resamples; too narrow for fewer than about ten seeds) interval" in page(
        result
    )
    # Equal differences have the interval of the rounding, and no bootstrap interval.
    assert at(report(each_metric=True), "mnli", 0.3).comparison.interval is not None


def test_seeds_of_only_one_method_are_named() -> None:
    assert "imp and magnitude on mrpc at 0.3: only one of them has seed 2." in report().notes
    assert at(report(), "mrpc", 0.3, "accuracy and f1").unpaired_seeds == (2,)


def test_over_tasks_by_hand() -> None:
    low, high = report().over_tasks
    # MRPC: seeds 0 and 1, accuracy and F1 first: IMP (85.5 + 86)/2, magnitude (83 + 84.5)/2. MNLI: one point. RTE: 9.8.
    assert low.comparison.pairs == ("mnli", "mrpc", "rte")
    assert low.comparison.differences == (0.01, 0.02, 0.098)
    assert (low.comparison.p.wilcoxon, low.comparison.holm.wilcoxon) == (0.25, 0.25)
    # At 0.5 there are two tasks: too few for a verdict, and there is no p.
    assert (high.sparsity, high.comparison.pairs, high.comparison.p.wilcoxon) == (0.5, ("mrpc", "rte"), None)
    text = page(report())
    assert "this test cannot show any difference with 3 tasks, because p cannot be below 0.2500" in text
    assert "- At 0.5, 2 tasks (mrpc, rte)" in text and "no verdict, at least 3 tasks are needed" in text


def test_ranks_over_tasks_need_three_methods() -> None:
    assert report().rankings == ()
    low, high = report(None, "imp", "magnitude", "random-pruning").rankings
    assert low.ranking.ranks == {"imp": 1.0, "magnitude": 2.0, "random-pruning": 3.0}
    # χ² of three tasks that all agree is 3·2 = 6, and its p e⁻³.
    assert (low.ranking.chi2, low.ranking.p) == (pytest.approx(6), pytest.approx(np.exp(-3)))
    assert high.ranking.reason == "2 tasks: ranks need at least 3 to tell methods apart"


def test_every_table_names_its_split() -> None:
    lab = compare_lab()
    for seed in range(3):
        for label in ("imp", "magnitude", "random-pruning"):
            lab.done("toy", label, 0.5, seed, 0.6 + seed / 100 + len(label) / 1000, benchmark="toys", split="test")
    text = page(report(lab.rows(), "imp", "magnitude", "random-pruning"))
    titles = [line for line in text.splitlines() if line.startswith(("### ", "## Ranks"))]
    assert "### imp − magnitude: toy (toys, test)" in titles and "### imp − magnitude: rte (dev)" in titles
    # At 0.3 all tasks are of one split, at 0.5 they are of both.
    assert [title for title in titles if "over tasks" in title and "average" not in title] == [
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


def test_a_failed_check_and_an_undefined_metric_are_warnings() -> None:
    lab = compare_lab()
    lab.records["rte glue-1 with epochs=1 2 imp 0.3"]["checks"]["pruned_weights_zero"] = False
    result = report(lab.rows(), "imp", "random-pruning")
    assert result.warnings == (
        "imp failed the check pruned_weights_zero on rte at 0.3, seed 2.",
        "On mrpc, F1 is undefined for some runs of random-pruning, for example because all predictions are the same; "
        "it counts as 0 there.",
    )


def test_swapping_two_methods_changes_nothing_but_signs() -> None:
    result, swapped = report(), report(None, "magnitude", "imp")
    assert numbers(result) == numbers(swapped)
    for one, other in zip(result.over_seeds, swapped.over_seeds, strict=True):
        assert one.comparison.differences == tuple(-value + 0.0 for value in other.comparison.differences)


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_format_depends_on_the_order_of_rows(rng: random.Random) -> None:
    rows = compare_lab().rows()
    rng.shuffle(rows)
    result = report(rows, "imp", "magnitude", "random-pruning", reference="dense")
    for name, render in FORMATS.items():
        assert render(result) == render(golden()), name


def test_names_from_plugins_are_escaped() -> None:
    lab, label = Lab(), "<script>alert(1)</script>|*x*\n"
    for seed in range(3):
        lab.done("rte", "imp", 0.5, seed, 0.5 + seed / 100)
        lab.done("rte", label, 0.5, seed, 0.5)
    result = report(lab.rows(), "imp", label)
    assert "<script>" not in page(result)
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\|\*x\*" in page(result)
    assert next(csv.DictReader(io.StringIO(FORMATS["csv"](result))))["b"] == label
    assert json.loads(FORMATS["json"](result))["methods"] == ["imp", label]


def test_csv_and_json_hold_the_same_numbers() -> None:
    result = golden()
    lines = list(csv.DictReader(io.StringIO(FORMATS["csv"](result))))
    data: dict[str, Any] = json.loads(FORMATS["json"](result))
    kinds = {"seeds": result.over_seeds, "average": result.averages, "tasks": result.over_tasks}
    assert [line["over"] for line in lines] == [kind for kind, entries in kinds.items() for _ in entries]
    for line, entry in zip(lines, [*data["comparisons"], *data["averages"], *data["across_tasks"]], strict=True):
        for name in ("difference", "p_t", "holm_t", "p_wilcoxon", "detectable", "d_z", "low", "error", "p_crossed"):
            value = entry.get(name)
            assert line[name] == ("" if value is None else repr(value))
    rte = next(entry for entry in data["comparisons"] if (entry["task"], entry["sparsity"]) == ("rte", 0.3))
    assert rte["differences"] == {"0": 0.1, "1": 0.08, "2": 0.1, "3": 0.11, "4": 0.1}


def test_comparing_needs_no_torch() -> None:
    code = (
        "import sys, prunebench.reports.comparison.predictions, prunebench.cli.compare; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
