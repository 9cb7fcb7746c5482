"""The sentence and the chart that a page begins with, on hand-made pages with one result each."""

from __future__ import annotations

import base64
import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import ATTACKS, Lab, golden_lab

from prunebench.reports.leaderboard import build, page_files, parse_options
from prunebench.reports.leaderboard.glance import glance, glance_chart
from prunebench.reports.leaderboard.headline import NOT_COMPARABLE, NOTHING_PRUNED, headline, ranking_sentence
from prunebench.reports.leaderboard.report import Page
from prunebench.reports.render.svg import LineChart, Series, line_chart, ticks
from prunebench.reports.views import Leaderboard

# The majority class has 55, so dense has learned 30 points.
DENSE = (0.85, 0.85, 0.85)
Scores = Mapping[tuple[str, float], Sequence[float]]


def page_of(scores: Scores, *, dense: Sequence[float] = DENSE, rank_by: str = "retained", task: str = "rte") -> Page:
    """A task with these scores of each seed, by method and sparsity."""
    lab = Lab()
    for (label, sparsity), values in {("dense", 0.0): dense, **scores}.items():
        for seed, value in enumerate(values):
            lab.done(task, label, sparsity, seed, value)
    return build(lab.rows(), parse_options(rank_by=rank_by))


def retained(share: float, spread: float = 0.001) -> tuple[float, ...]:
    """Scores of three seeds that retain this share, `spread` apart."""
    return tuple(0.55 + 0.3 * share + spread * i for i in (-1, 0, 1))


def test_a_winner_at_the_highest_sparsity_at_which_it_keeps_nine_tenths() -> None:
    page = page_of(
        {
            **{("imp", 0.5): retained(1.0), ("magnitude", 0.5): retained(0.9), ("random-pruning", 0.5): retained(0.2)},
            **{("imp", 0.7): retained(0.93), ("magnitude", 0.7): retained(0.4), ("random-pruning", 0.7): (0.55,) * 3},
            **{("imp", 0.9): retained(0.3), ("magnitude", 0.9): retained(0.1)},
        }
    )
    assert headline(page) == (
        "At 70 % sparsity imp keeps 93 % (± 0, 3 seeds) of what dense learned on rte; magnitude is significantly "
        "worse; random masks keep nothing."
    )


def test_ties_are_named_and_many_are_counted() -> None:
    two = {("imp", 0.5): retained(1.0), ("magnitude", 0.5): retained(0.999)}
    assert "; magnitude cannot be told apart from it." in headline(page_of(two))
    three = {**two, ("movement", 0.5): retained(0.998)}
    assert "; no other unstructured method can be told apart from it." in headline(page_of(three))
    worse = {**three, ("lth", 0.5): retained(0.5)}
    assert "; magnitude and movement cannot be told apart from it." in headline(page_of(worse))
    many = {**worse, ("snip", 0.5): retained(0.997)}
    assert "; 3 of 4 other unstructured methods cannot be told apart from it." in headline(page_of(many))
    alone = {("imp", 0.5): retained(1.0), ("a", 0.5): retained(0.5), ("b", 0.5): retained(0.4)}
    assert "; every other unstructured method is significantly worse." in headline(page_of(alone))


def test_a_single_method() -> None:
    sentence = headline(page_of({("imp", 0.5): retained(0.8)}))
    assert sentence == (
        "At 50 % sparsity imp keeps 80 % (± 0, 3 seeds) of what dense learned on rte; there is no other unstructured "
        "method."
    )


def test_fewer_than_three_seeds_tell_nothing_apart() -> None:
    scores = {("imp", 0.5): (0.85, 0.84), ("magnitude", 0.5): (0.60, 0.61)}
    assert headline(page_of(scores, dense=(0.85, 0.85))).endswith("; 2 seeds cannot tell methods apart.")
    one = {("imp", 0.5): (0.85,), ("magnitude", 0.5): (0.60,)}
    sentence = headline(page_of(one, dense=(0.85,)))
    assert "keeps 100 % (1 seed) of" in sentence and sentence.endswith("; 1 seed cannot tell methods apart.")


def test_where_nothing_was_learnt_there_is_no_winner() -> None:
    page = page_of({("imp", 0.5): retained(0.1)}, dense=(0.55, 0.56, 0.54))
    assert headline(page) == (
        "No dense run beats the majority class for certain on rte: there is nothing that pruning could lose, and "
        "nothing is ranked."
    )


def test_where_every_method_is_at_chance_nothing_is_said_to_win() -> None:
    page = page_of({("imp", 0.5): (0.55, 0.55, 0.55), ("magnitude", 0.5): (0.5, 0.5, 0.5)})
    assert headline(page) == "No unstructured method is complete and above the majority class at any sparsity."


def test_a_track_without_methods_and_tasks_without_a_common_sparsity() -> None:
    assert headline(page_of({})) == NOTHING_PRUNED
    lab = Lab()
    for task, sparsity in (("rte", 0.3), ("mrpc", 0.5)):
        for seed in range(3):
            lab.done(task, "dense", 0.0, seed, 0.8, 0.9)
            lab.done(task, "imp", sparsity, seed, 0.7, 0.8)
    assert headline(build(lab.rows())) == NOT_COMPARABLE


def test_tasks_are_counted_and_those_that_were_not_learnt_do_not_count() -> None:
    lab = Lab()
    for task, dense in (("rte", 0.85), ("wnli", 0.5), ("qnli", 0.85)):
        for seed in range(3):
            lab.done(task, "dense", 0.0, seed, dense)
            lab.done(task, "imp", 0.5, seed, 0.8)
    assert "on 2 of 3 tasks" in headline(build(lab.rows()))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ratio", "At 50 % sparsity imp reaches 100 % (± 0, 3 seeds) of dense's score on rte;"),
        ("score", "At 50 % sparsity imp has the highest score, 85.0 (± 0.1, 3 seeds), on rte;"),
        ("rank", "At 50 % sparsity imp has the best average rank, 1.00, over rte;"),
    ],
)
def test_every_rule_has_its_own_words(rule: str, expected: str) -> None:
    scores = {("imp", 0.5): retained(1.0), ("magnitude", 0.5): retained(0.5)}
    assert headline(page_of(scores, rank_by=rule)).startswith(expected)


def test_it_is_the_first_sentence_of_every_page() -> None:
    page = build(golden_lab().rows())
    files = page_files(page, ["md", "html", "tex"])
    assert files["README.md"].split("\n\n")[1] == headline(page)
    assert headline(page) in files["index.html"].split("</header>")[0]
    assert ranking_sentence(page, page.rankings[1]) in files["README.md"]
    assert page_files(page, ["md"]).keys() >= {"glance.svg", "tasks/rte.md", "tasks/average.md"}


def test_a_notebook_shows_the_sentence_and_the_chart_and_no_dead_links() -> None:
    page = build(golden_lab().rows())
    text = Leaderboard(page)._repr_markdown_()
    assert text.split("\n\n")[1] == headline(page)
    (data,) = re.findall(r"!\[.*?\]\(data:image/svg\+xml;base64,(.*?)\)", text)
    assert base64.b64decode(data).decode() == glance(page)
    assert "](tasks/" not in text and "](#" not in text and "<details>" not in text
    headings = re.findall(r"^(#+) (.*)$", text, re.MULTILINE)
    assert "Every task" not in {title for _, title in headings}, "its links are left out, and so is the heading"


# --- the chart ---


def test_the_chart_shows_what_the_ranking_ranks_by() -> None:
    page = page_of({("imp", 0.5): retained(1.0), ("imp", 0.3): retained(1.0), ("magnitude", 0.5): retained(0.5)})
    chart = glance_chart(page)
    assert chart is not None and chart.guides == (("dense", 100.0), ("majority class", 0.0))
    points = {each.label: [(x, round(y, 6)) for x, y, _ in each.points] for each in chart.series}
    assert points == {"imp": [(0.3, 100.0), (0.5, 100.0)], "magnitude": [(0.5, 50.0)]}
    assert "imp: 100 at 0.3, 100 at 0.5; magnitude: 50 at 0.5" in chart.description


def test_where_nothing_was_learnt_the_chart_shows_scores_beside_chance() -> None:
    chart = glance_chart(page_of({("imp", 0.5): (0.5, 0.5, 0.5)}, dense=(0.55, 0.56, 0.54)))
    assert chart is not None and chart.y_label == "accuracy × 100"
    assert dict(chart.guides) == {"dense": pytest.approx(55), "majority class": pytest.approx(55)}
    assert glance(page_of({})) == ""


def positions(text: str) -> dict[str, tuple[float, float]]:
    """Where the marks of a chart are, by their title."""
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    return {
        str(mark.findtext(f"{space}title")): (float(x), float(y))
        for mark in root.iter(f"{space}path")
        if mark.find(f"{space}title") is not None
        for x, y in re.findall(r"translate\((\S+) (\S+)\)", mark.get("transform", ""))
    }


def test_points_are_where_their_numbers_are() -> None:
    series = Series("imp", ((0.2, 0.0, None), (0.4, 50.0, 1.0), (0.8, 100.0, None)), look=0)
    low, middle, high = positions(line_chart(LineChart("t", "x", "y", (series,)))).values()
    assert middle[0] - low[0] == pytest.approx((high[0] - middle[0]) / 2, abs=0.2), "0.2 is half of 0.4"
    assert low[1] - middle[1] == pytest.approx(middle[1] - high[1], abs=0.2) and high[1] < low[1]


def test_no_name_becomes_markup() -> None:
    text = glance(page_of({(attack, 0.5): retained(0.9) for attack in ATTACKS}))
    root = ElementTree.fromstring(text)
    tags = {element.tag.partition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "desc", "style", "rect", "clipPath", "g", "path", "text"}
    texts = " ".join(element.text or "" for element in root.iter())
    assert all(f"{attack} at 0.5" in texts for attack in ATTACKS)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_round_few_and_inside(low: float, width: float) -> None:
    values = ticks(low, low + width)
    slack = 1e-6 * (abs(low) + width)
    assert 2 <= len(values) <= 7
    assert all(low - slack <= value <= low + width + slack for value in values)
    steps = {round(b - a, 6) for a, b in itertools.pairwise(values)}
    assert max(steps) - min(steps) < 1e-3
