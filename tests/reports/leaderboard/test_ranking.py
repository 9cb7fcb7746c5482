"""The ranking against hand computation: what methods are ranked by, and which are not ranked."""

from __future__ import annotations

import re

import numpy as np
import pytest
from lab import Lab, golden_lab
from pages import page, page_text, paper_text, tables

from prunebench.reports.leaderboard import build, page_files, summary
from prunebench.reports.leaderboard.ranking import methods_in_order
from prunebench.reports.leaderboard.ranking_rules import RULES
from prunebench.reports.leaderboard.report import Options, Placement, Ranking
from prunebench.reports.leaderboard.web import html


def ranking(lab: Lab, rule: str = "retained", track: str = "unstructured") -> Ranking:
    (match,) = [each for each in build(lab.rows(), Options(rank_by=rule)).rankings if each.track == track]
    return match


def at(ranking: Ranking, sparsity: float) -> dict[str, Placement]:
    """The placements at a sparsity, by method."""
    (standing,) = [standing for standing in ranking.standings if standing.sparsity == sparsity]
    return {placement.label: placement for placement in standing.placements}


# --- the rules ---


def by_seed(values: tuple[float, ...], dense: tuple[float, ...], majority: float) -> list[float]:
    """The ratio of means above the majority class, plus the residual of each seed as a share of what dense learned."""
    learnt = sum(dense) / len(dense) - majority
    ratio = (sum(values) / len(values) - majority) / learnt
    return [ratio + (m - majority - ratio * (d - majority)) / learnt for m, d in zip(values, dense, strict=True)]


def test_retained_is_a_ratio_of_means_above_chance_inside_a_task_first() -> None:
    imp = at(ranking(golden_lab()), 0.3)["imp"]
    # RTE 63 of 62, MRPC 84 of 85 and 88 of 89; the majority class has 55, 55 and 70.
    assert imp.summary is not None and imp.summary.n == 3
    assert imp.summary.mean == pytest.approx((8 / 7 + (29 / 30 + 18 / 19) / 2) / 2)
    rte = by_seed((0.61, 0.62, 0.66), (0.60, 0.62, 0.64), 0.55)
    accuracy = by_seed((0.83, 0.84, 0.85), (0.84, 0.85, 0.86), 0.55)
    f1 = by_seed((0.88, 0.88, 0.88), (0.88, 0.89, 0.90), 0.70)
    mrpc = [(one + other) / 2 for one, other in zip(accuracy, f1, strict=True)]
    assert list(imp.values.values()) == pytest.approx([(one + other) / 2 for one, other in zip(rte, mrpc, strict=True)])
    # The seeds of two tasks are independent.
    assert imp.summary.std == pytest.approx(np.hypot(np.std(rte, ddof=1), np.std(mrpc, ddof=1)) / 2)


def test_the_plain_ratio_of_means() -> None:
    imp = at(ranking(golden_lab(), "ratio"), 0.3)["imp"]
    assert imp.summary is not None
    assert imp.summary.mean == pytest.approx((63 / 62 + (84 / 85 + 88 / 89) / 2) / 2)


def test_what_the_majority_class_has() -> None:
    # Accuracy 55, F1 70 on every seed; dense has 62 on RTE, 85 and 89 on MRPC.
    assert ranking(golden_lab()).majority == 0
    assert ranking(golden_lab(), "ratio").majority == pytest.approx((55 / 62 + (55 / 85 + 70 / 89) / 2) / 2)
    assert ranking(golden_lab(), "score").majority == pytest.approx((0.55 + (0.55 + 0.7) / 2) / 2)
    assert ranking(golden_lab(), "rank").majority is None


def test_score_ranks_by_the_average_score() -> None:
    assert at(ranking(golden_lab(), "score"), 0.3)["imp"].values == pytest.approx({0: 0.7325, 1: 0.74, 2: 0.7625})


def test_rules_may_rank_differently() -> None:
    """A task on which dense learned little weighs more in the score retained than in ratio and score."""
    lab = Lab()
    for seed in range(5):
        noise = seed / 1e4
        lab.done("rte", "dense", 0.0, seed, 0.95)
        lab.done("wnli", "dense", 0.0, seed, 0.60)
        # Retained: 40 and 2.5 points of 40 and 5. Ratio: 1 and 0.958.
        lab.done("rte", "imp", 0.5, seed, 0.95 + noise)
        lab.done("wnli", "imp", 0.5, seed, 0.575)
        # Retained: 30 and 5 points of 40 and 5. Ratio: 0.895 and 1.
        lab.done("rte", "magnitude", 0.5, seed, 0.85 + noise)
        lab.done("wnli", "magnitude", 0.5, seed, 0.60 + noise)
    with_wnli = {rule: build(lab.rows(), Options(rank_by=rule)).rankings[0] for rule in RULES}
    assert [each.label for each in with_wnli["retained"].standings[0].placements] == ["magnitude", "imp"]
    assert [each.label for each in with_wnli["ratio"].standings[0].placements] == ["imp", "magnitude"]
    assert [each.label for each in with_wnli["score"].standings[0].placements] == ["imp", "magnitude"]
    # The second ranking leaves WNLI out, as GLUE's second average does.
    assert [each.tasks for each in build(lab.rows()).rankings] == [("rte", "wnli"), ("rte",)]


def six_tasks(seeds: int = 3) -> Lab:
    lab = Lab()
    order = {"imp": 0.9, "magnitude": 0.8, "heads2": 0.7}
    for task in ("rte", "sst2", "qnli", "t4", "t5", "t6"):
        for seed in range(seeds):
            lab.done(task, "dense", 0.0, seed, 0.9)
            for label, value in order.items():
                lab.done(task, label, 0.5, seed, value + seed / 1000)
    return lab


def test_average_ranks_over_tasks() -> None:
    placements = at(ranking(six_tasks(), "rank"), 0.5)
    # Six tasks, three methods, the same order in all: CD = 2.343·√(3·4/36) = 1.353, so only ranks 1 and 3 differ.
    assert {label: (each.rank, each.summary and each.summary.mean) for label, each in placements.items()} == {
        "imp": (1, 1.0),
        "magnitude": (1, 2.0),
        "heads2": (2, 3.0),
    }
    standing = ranking(six_tasks(), "rank").standings[0]
    assert standing.across.cd == pytest.approx(1.353, abs=1e-3)
    assert standing.across.groups == (("imp", "magnitude"), ("magnitude", "heads2"))


def test_two_tasks_are_too_few_for_ranks() -> None:
    placements = at(ranking(golden_lab(), "rank"), 0.3)
    assert {label: (each.rank, each.tied) for label, each in placements.items()} == {
        "imp": (1, True),
        "random-pruning": (1, True),
    }


# --- excluded metrics ---


@pytest.mark.parametrize(
    "dense",
    [
        pytest.param((0.55, 0.55, 0.55), id="the majority class"),
        pytest.param((0.30, 0.31, 0.29), id="below it"),
        # 60 ± 4.303·4/√3 begins at 50.
        pytest.param((0.56, 0.60, 0.64), id="above it, but not for certain"),
        # One example more on each seed: the rounding leaves ± 4.303/(277·√6·√3), which is 1.01 examples.
        pytest.param((0.55 + 1 / 277,) * 3, id="above it by one example"),
    ],
)
def test_a_metric_that_dense_did_not_learn_is_excluded_for_all_methods(dense: tuple[float, ...]) -> None:
    lab = golden_lab()
    for seed, value in enumerate(dense):
        lab.done("wnli", "dense", 0.0, seed, value)
        lab.done("wnli", "imp", 0.3, seed, 0.1)
        lab.done("wnli", "random-pruning", 0.3, seed, 0.8)
    page = build(lab.rows())
    first = page.rankings[0]
    assert first.tasks == ("mrpc", "rte", "wnli")
    note = (
        "Excluded for all methods: wnli accuracy. No dense run beats the majority class there for certain, "
        "so there is nothing that pruning could lose."
    )
    assert note in first.notes
    assert note in page_text(page)
    for rule in RULES:
        placements, without = (
            at(build(each.rows(), Options(rank_by=rule)).rankings[0], 0.3) for each in (lab, golden_lab())
        )
        assert placements == without, rule


def test_two_examples_more_on_every_seed_are_learnt() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.55 + 2 / 277)
        lab.done("rte", "imp", 0.5, seed, 0.55 + 1 / 277)
    imp = at(ranking(lab), 0.5)["imp"]
    assert imp.summary is not None and imp.summary.mean == pytest.approx(0.5)


def test_without_any_metric_nothing_is_ranked() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.0)
        lab.done("rte", "imp", 0.5, seed, 0.5)
    placement = at(ranking(lab), 0.5)["imp"]
    assert (placement.rank, placement.gaps) == (None, ("no metric to rank by",))


def test_below_the_majority_class_the_score_retained_is_negative() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.75)
        lab.done("rte", "imp", 0.5, seed, 0.45)
    assert at(ranking(lab), 0.5)["imp"].values == pytest.approx({0: -0.5, 1: -0.5, 2: -0.5})


# --- methods without a rank ---


def test_rows_with_gaps_are_shown_without_a_rank() -> None:
    placements = at(ranking(golden_lab()), 0.5)
    assert (placements["imp"].rank, placements["random-pruning"].rank) == (1, None)
    assert placements["random-pruning"].gaps == ("missing mrpc seed 2",)
    text = page_text(build(golden_lab().rows()))
    # MRPC lacks seed 2. Over seeds 0 and 1: RTE −3 of 6 points; accuracy 49.5 − 55 of 29.5, F1 40.5 − 70 of 18.5.
    share = 100 * (-3 / 6 + (-5.5 / 29.5 - 29.5 / 18.5) / 2) / 2
    assert re.search(rf"−{-share:.2f} ± [0-9.]+ \(not ranked\)", text)
    assert "- random-pruning at 0.5 is not ranked: missing mrpc seed 2." in text


def test_a_score_retained_needs_a_dense_run_of_every_seed() -> None:
    lab = Lab()
    for seed in range(4):
        if seed:
            lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.5, seed, 0.59)
        lab.done("rte", "magnitude", 0.5, seed, 0.57)
    assert at(ranking(lab), 0.5)["imp"].gaps == ("no dense run of seed 0",)
    assert at(ranking(lab, "score"), 0.5)["imp"].rank == 1


@pytest.mark.parametrize("rule", ["retained", "ratio", "score"])
def test_a_method_at_the_majority_class_is_not_ranked_and_hides_no_difference_of_others(rule: str) -> None:
    """Its spread over seeds would be in that of all methods; the majority class has 0.55."""
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.8 + seed / 1000)
        lab.done("rte", "imp", 0.5, seed, 0.79 + seed / 1000)
        lab.done("rte", "magnitude", 0.5, seed, 0.70 - seed / 1000)
        lab.done("rte", "erratic", 0.5, seed, (0.8, 0.4, 0.3)[seed])
        lab.done("rte", "collapsed", 0.5, seed, 0.55)
    ranks = {label: each.rank for label, each in at(ranking(lab, rule), 0.5).items()}
    assert ranks == {"imp": 1, "magnitude": 2, "erratic": None, "collapsed": None}
    assert at(ranking(lab, rule), 0.5)["collapsed"].gaps == ("no better than the majority class",)


@pytest.mark.parametrize(("seeds", "rank"), [(1, 2), (2, 2), (3, None), (5, None)])
def test_a_method_that_may_be_at_the_majority_class_is_not_ranked(seeds: int, rank: int | None) -> None:
    """0.56 on average where the majority class has 0.55: by a t interval of three seeds and more it may be there."""
    lab = Lab()
    for seed in range(seeds):
        lab.done("rte", "dense", 0.0, seed, 0.8 + seed / 1000)
        lab.done("rte", "imp", 0.5, seed, 0.79 + seed / 1000)
        lab.done("rte", "lucky", 0.5, seed, (0.56, 0.58, 0.54, 0.57, 0.55)[seed])
    lucky = at(ranking(lab, "score"), 0.5)["lucky"]
    assert (lucky.rank is None) == (rank is None)
    assert lucky.gaps == (() if rank else ("not better than the majority class for certain",))


def test_a_method_with_a_failed_check_is_not_ranked() -> None:
    lab = golden_lab()
    lab.records["rte glue-1 with epochs=1 0 imp 0.3"]["checks"]["pruned_weights_zero"] = False
    placement = at(ranking(lab), 0.3)["imp"]
    assert (placement.rank, placement.gaps) == (None, ("check failed on rte",))


def test_structured_and_unstructured_methods_are_ranked_separately() -> None:
    methods = {
        each.track: sorted({placement.label for standing in each.standings for placement in standing.placements})
        for each in build(golden_lab().rows()).rankings
    }
    assert list(methods.items()) == [
        ("unstructured", ["imp", "random-pruning"]),
        ("structured", ["heads"]),
    ]


def test_bold_is_the_best_one_alone() -> None:
    """Two methods share the first rank; with two seeds nothing can be told apart, and nothing is bold."""
    for seeds, best in ((3, r"**\#1= 100.00 ± 0.00**"), (2, r"\#1= 100.00 ± 0.00")):
        lab = Lab()
        for seed in range(seeds):
            lab.done("rte", "dense", 0.0, seed, 0.6 + seed / 100)
            lab.done("rte", "imp", 0.5, seed, 0.6 + seed / 100)
            lab.done("rte", "magnitude", 0.5, seed, 0.6 + seed / 100 - 1 / 277)
        (ranked,) = tables(page(lab), "rte (dev), unstructured, ranking")
        entries = {row["unstructured"]: row["0.5"] for row in ranked}
        assert entries["imp"] == best
        assert entries["magnitude"].startswith(r"\#1= ")
        assert html(build(lab.rows())).count('class="number first"') == (1 if seeds == 3 else 0)


# --- the order of other tables ---


def order_lab() -> Lab:
    """Two tasks on which methods stand in another order than on the average of both; `d` lacks a seed."""
    lab = Lab()
    for task, means in {"rte": (0.57, 0.62, 0.58, 0.9), "cola": (0.50, 0.56, 0.58, 0.9)}.items():
        for seed in range(3):
            lab.done(task, "dense", 0.0, seed, 0.62 + seed / 100)
            for label, mean in zip("abcd", means, strict=True):
                for sparsity in (0.3, 0.5):
                    if (label, seed) == ("d", 2):
                        lab.plan(task, label, sparsity, seed)
                    else:
                        lab.done(task, label, sparsity, seed, mean + seed / 1000 - sparsity / 100)
    return lab


ORDER = ["b", "c", "a", "d"]


def test_tables_of_several_sparsities_are_in_the_order_of_the_ranking() -> None:
    text = page(order_lab())
    (ranked,) = tables(text, "Average of 2 GLUE tasks (dev), unstructured, ranking")
    assert [row["unstructured"] for row in ranked] == ["dense", "majority class", *ORDER]
    for name in ("Average of 2 GLUE tasks (dev)", "rte (dev)", "cola (dev)"):
        overview, matching = tables(text, f"{name}, unstructured")
        assert [row["unstructured"] for row in overview] == ["dense", "majority class", *ORDER]
        assert [row["method"] for row in matching] == ORDER
    (sizes,) = tables(text, "cola (dev), unstructured, size and cost")
    by_sparsity = [(sparsity, label) for sparsity in ("0.3", "0.5") for label in ORDER]
    assert [(row["sparsity"], row["method"]) for row in sizes] == [("0", "dense"), *by_sparsity]


def test_every_format_has_that_order() -> None:
    built = build(order_lab().rows())
    overview = summary(built).split("\ncola (dev): ")[1].split("\n\n")[1]
    assert [line.split()[0] for line in overview.splitlines()][-4:] == ORDER
    tex = paper_text(built).split("cola (dev), unstructured, accuracy by sparsity")[1]
    assert re.findall(r"^ (?:\\midrule )?([abcd]) +&", tex, re.MULTILINE)[:4] == ORDER
    matching = html(built).split('<section id="matching"')[1].split("</section>")[0]
    assert re.findall(r'<th scope="row">([abcd])</th>', matching) == ORDER * 3


def test_an_average_without_wnli_has_the_order_of_its_own_ranking() -> None:
    lab = Lab()
    for task, means in {"rte": (0.50, 0.60), "cola": (0.50, 0.60), "wnli": (0.90, 0.50)}.items():
        for label, mean in zip(("dense", "a", "b"), (0.62, *means), strict=True):
            for seed in range(3):
                for sparsity in (0.0,) if label == "dense" else (0.3, 0.5):
                    lab.done(task, label, sparsity, seed, mean)
    built = build(lab.rows())
    orders = {section.title: section.tracks[0].order for section in (*built.averages, *built.sections)}
    assert orders == {
        **{"Average of 3 GLUE tasks (dev)": ("a", "b"), "Average of 2 GLUE tasks (dev)": ("b", "a")},
        **{f"{task} (dev)": ("a", "b") for task in ("cola", "rte", "wnli")},
    }


def test_a_control_that_is_just_above_chance_comes_after_a_method_that_collapses_at_the_end() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.85)
        for sparsity, imp in ((0.3, 0.85), (0.5, 0.84), (0.7, 0.80), (0.9, 0.5)):
            lab.done("rte", "imp", sparsity, seed, imp)
            lab.done("rte", "random-pruning", sparsity, seed, 0.56)
    (ranking,) = build(lab.rows()).rankings
    assert [each.label for each in ranking.standings[-1].placements if each.rank] == ["random-pruning"]
    assert methods_in_order(ranking) == ["imp", "random-pruning"]


@pytest.mark.parametrize("rule", RULES)
def test_a_page_says_which_question_its_ranking_and_the_diagram_answer(rule: str) -> None:
    built = build(golden_lab().rows(), Options(rank_by=rule))
    text, document = page_text(built), html(built)
    assert ("answer the same question" in text) is (rule == "rank")
    for words in ("ranking", "critical-difference diagram", "would", "order hold on other tasks of this kind?"):
        assert words in text.split("## Ranking")[1].split("<details>")[0], "it is not folded"
        assert words in document.split('id="ranking"')[1].split("<details>")[0]


def test_the_table_for_a_paper_has_numbers_and_marks_only() -> None:
    text = page_files(build(golden_lab().rows()), ["tex"])["table.tex"]
    assert text.count(r"\begin{table}") == text.count(r"\caption{") == text.count(r"\label{tab:leaderboard}") == 1
    cells = text.split(r"\midrule", 1)[1].split(r"\bottomrule")[0]
    assert r"105.0 $\pm$ 6.5" in cells and r"($-$69.5 $\pm$ 98.1)" in cells
    assert "textbf" not in cells, "random pruning has no rank, so imp is alone"
    assert "ranked" not in cells and "missing" not in cells and r"\#" not in text
