"""The ranking against hand computation: what methods are ranked by, and which are not ranked."""

from __future__ import annotations

import re

import pytest
from lab import Lab, golden_lab
from pages import page, tables

from prunebench.reports.leaderboard import build, summary
from prunebench.reports.leaderboard.page import blocks
from prunebench.reports.leaderboard.ranking_rules import RULES
from prunebench.reports.leaderboard.report import Options, Placement, Ranking
from prunebench.reports.leaderboard.web import html
from prunebench.reports.render.latex import latex
from prunebench.reports.render.markdown import markdown


def ranking(lab: Lab, rule: str = "retained", track: str = "unstructured") -> Ranking:
    (match,) = [each for each in build(lab.rows(), Options(rank_by=rule)).rankings if each.track == track]
    return match


def at(ranking: Ranking, sparsity: float) -> dict[str, Placement]:
    """The placements at a sparsity, by method."""
    (standing,) = [standing for standing in ranking.standings if standing.sparsity == sparsity]
    return {placement.label: placement for placement in standing.placements}


# --- the rules ---


def test_retained_is_the_ratio_to_the_same_seed_inside_a_task_first() -> None:
    imp = at(ranking(golden_lab()), 0.3)["imp"]
    # Seed 0: RTE 61/60, MRPC the mean of 83/84 and 88/88, then their mean. It is not 73.25/73, the ratio of averages.
    assert imp.values[0] == pytest.approx((61 / 60 + (83 / 84 + 88 / 88) / 2) / 2)
    assert imp.values[2] == pytest.approx((66 / 64 + (85 / 86 + 88 / 90) / 2) / 2)
    assert imp.summary is not None and imp.summary.n == 3


def test_score_retained_by_the_majority_class() -> None:
    # Accuracy 0.55, F1 0.7 on every seed.
    expected = []
    for rte, accuracy, f1 in ((0.60, 0.84, 0.88), (0.62, 0.85, 0.89), (0.64, 0.86, 0.90)):
        expected.append((0.55 / rte + (0.55 / accuracy + 0.7 / f1) / 2) / 2)
    assert ranking(golden_lab()).majority == pytest.approx(sum(expected) / 3)
    assert ranking(golden_lab(), "score").majority == pytest.approx((0.55 + (0.55 + 0.7) / 2) / 2)
    assert ranking(golden_lab(), "rank").majority is None


def test_score_ranks_by_the_average_score() -> None:
    assert at(ranking(golden_lab(), "score"), 0.3)["imp"].values == pytest.approx({0: 0.7325, 1: 0.74, 2: 0.7625})


def test_a_ratio_and_a_score_may_rank_differently() -> None:
    """A task with low scores weighs more in the score retained than in the average score."""
    lab = Lab()
    for seed in range(5):
        noise = seed / 1e4
        lab.done("rte", "dense", 0.0, seed, 0.8)
        lab.done("wnli", "dense", 0.0, seed, 0.2)
        lab.done("rte", "imp", 0.5, seed, 0.8 + noise)
        lab.done("wnli", "imp", 0.5, seed, 0.1)
        lab.done("rte", "magnitude", 0.5, seed, 0.65 + noise)
        lab.done("wnli", "magnitude", 0.5, seed, 0.2 + noise)
    with_wnli = {rule: build(lab.rows(), Options(rank_by=rule)).rankings[0] for rule in RULES}
    assert [each.label for each in with_wnli["retained"].standings[0].placements] == ["magnitude", "imp"]
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


@pytest.mark.parametrize("value", [0.0, -0.1, 0.0499])
def test_a_metric_with_a_dense_run_near_zero_is_excluded_for_all_methods(value: float) -> None:
    lab = golden_lab()
    for seed, dense in enumerate((0.5, value, 0.5)):
        lab.done("wnli", "dense", 0.0, seed, dense)
        lab.done("wnli", "imp", 0.3, seed, 0.9)
        lab.done("wnli", "random-pruning", 0.3, seed, 0.8)
    page = build(lab.rows())
    first = page.rankings[0]
    assert first.tasks == ("mrpc", "rte", "wnli")
    assert at(first, 0.3)["imp"].values == at(ranking(golden_lab()), 0.3)["imp"].values
    note = (
        "Excluded for all methods: wnli accuracy. Some dense run scores below 5.00 there, "
        "which is too little to divide by."
    )
    assert note in first.notes
    assert note in markdown(blocks(page))
    # Ranking by score needs no ratio, so the metric counts.
    assert at(build(lab.rows(), Options(rank_by="score")).rankings[0], 0.3)["imp"].values[0] != pytest.approx(0.7325)


def test_without_any_metric_nothing_is_ranked() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.0)
        lab.done("rte", "imp", 0.5, seed, 0.5)
    placement = at(ranking(lab), 0.5)["imp"]
    assert (placement.rank, placement.gaps) == (None, ("no metric to rank by",))


def test_a_negative_score_gives_a_negative_score_retained() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.5)
        lab.done("rte", "imp", 0.5, seed, -0.1)
    assert at(ranking(lab), 0.5)["imp"].values == pytest.approx({0: -0.2, 1: -0.2, 2: -0.2})


def test_a_dense_model_that_learnt_nothing_is_named() -> None:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.55)
        lab.done("rte", "imp", 0.5, seed, 0.55)
    assert "no better than the majority class on rte" in ranking(lab).notes[0]


# --- methods without a rank ---


def test_rows_with_gaps_are_shown_without_a_rank() -> None:
    placements = at(ranking(golden_lab()), 0.5)
    assert (placements["imp"].rank, placements["random-pruning"].rank) == (1, None)
    assert placements["random-pruning"].gaps == ("missing mrpc seed 2",)
    text = markdown(blocks(build(golden_lab().rows())))
    assert "68.82 ± 25.12 (not ranked)" in text
    assert "- random-pruning at 0.5 is not ranked: missing mrpc seed 2." in text


def test_a_score_retained_needs_a_dense_run_of_every_seed() -> None:
    lab = Lab()
    for seed in range(4):
        if seed:
            lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", "imp", 0.5, seed, 0.5)
        lab.done("rte", "magnitude", 0.5, seed, 0.4)
    assert at(ranking(lab), 0.5)["imp"].gaps == ("no dense run of seed 0",)
    assert at(ranking(lab, "score"), 0.5)["imp"].rank == 1


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


# --- the order of other tables ---


def order_lab() -> Lab:
    """Two tasks on which methods stand in another order than on the average of both; `d` lacks a seed."""
    lab = Lab()
    for task, means in {"rte": (0.50, 0.60, 0.52, 0.9), "cola": (0.50, 0.56, 0.58, 0.9)}.items():
        for seed in range(3):
            lab.done(task, "dense", 0.0, seed, 0.62 + seed / 100)
            for label, mean in zip("abcd", means, strict=True):
                for sparsity in (0.3, 0.5):
                    if (label, seed) == ("d", 2):
                        lab.plan(task, label, sparsity, seed)
                    else:
                        lab.done(task, label, sparsity, seed, mean + seed / 100 - sparsity / 100)
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
    tex = latex(blocks(built)).split("cola (dev), unstructured, accuracy by sparsity")[1]
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
