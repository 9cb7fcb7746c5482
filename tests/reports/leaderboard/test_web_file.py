"""The HTML page as a file: what it contains, and that no name on it can become markup."""

from __future__ import annotations

import functools
import json
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import golden_lab, method_lab

from prunebench.reports.leaderboard import build, parse_options
from prunebench.reports.leaderboard.glance import glance_chart
from prunebench.reports.leaderboard.web import html
from prunebench.reports.leaderboard.web.chart_data import chart_data, to_script
from prunebench.reports.render.blocks import one_line
from prunebench.reports.render.svg import LIGHT, SHAPES


class Tags(HTMLParser):
    """The elements of a document with the names of their attributes, and the text of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.scripts: list[str] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.scripts[-1] += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    tags.close()
    return tags


@functools.cache
def elements_of_a_plain_name() -> list[tuple[str, tuple[str, ...]]]:
    return parsed(html(build(method_lab("x").rows()))).elements


@settings(deadline=None, max_examples=25)
@given(st.text(st.sampled_from("<>&'\"/!-=a \n\u2028{}%") | st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_name_makes_an_element(label: str) -> None:
    tags = parsed(html(build(method_lab(label).rows())))
    assert tags.elements == elements_of_a_plain_name()
    assert tags.comments == []
    data = json.loads(tags.scripts[0].strip())
    assert data["methods"][1]["label"] == one_line(label)


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_script_element_holds_any_text(value: Any) -> None:
    text = to_script(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_the_file_is_self_contained() -> None:
    tags = parsed(html(build(golden_lab().rows(), parse_options(published="all"))))
    assert {tag for tag, _ in tags.elements} & {"link", "img", "iframe", "object", "base", "form"} == {"form"}
    assert [names for tag, names in tags.elements if tag == "script"] == [("type", "id"), ()]


def test_the_file_is_small_and_links_to_the_others() -> None:
    page = build(golden_lab().rows(), parse_options(published="all"))
    text = html(page)
    assert len(text.encode()) < 500_000, "with all published tables"
    assert len(html(build(golden_lab().rows())).encode()) < 150_000
    assert 'href="results.csv"' in text and 'href="README.md"' in text and 'href="#reading"' in text
    assert "bundle.zip" not in text, "these results are of a store"
    assert 'href="bundle.zip"' in html(build(golden_lab().rows(), verification="Not verified."))


def test_the_scripts_draw_with_the_markers_and_colours_of_the_first_chart() -> None:
    page = build(golden_lab().rows())
    data, chart = chart_data(page), glance_chart(page)
    assert chart is not None and (data["shapes"], data["colours"]) == (SHAPES, len(LIGHT))
    labels = [method["label"] for method in data["methods"]]
    assert labels[0] == "dense" and all(labels[1 + each.look] == each.label for each in chart.series)


def test_every_number_of_the_page_is_in_it() -> None:
    page = build(golden_lab().rows())
    data = chart_data(page)
    entries = [dict(zip(data["entryFields"], values, strict=True)) for values in data["entries"]]
    (imp,) = [
        entry
        for entry in entries
        if data["methods"][entry["method"]]["label"] == "imp"
        and data["sections"][entry["section"]]["name"] == "rte"
        and entry["sparsity"] == 0.3
    ]
    assert (imp["mean"], imp["n"], imp["delta"]) == (63.0, 3, 1.0)
    assert imp["values"] == [61.0, 62.0, 66.0]
    assert (imp["low"], imp["high"]) == (pytest.approx(56.4276, abs=1e-3), pytest.approx(69.5724, abs=1e-3))
    scores = sum(1 for section in page.sections for _ in section.columns)
    assert len(entries) == (scores + 1) * 7
    retention = [dict(zip(data["retentionFields"], values, strict=True)) for values in data["retention"]]
    (imp,) = [
        entry
        for entry in retention
        if data["methods"][entry["method"]]["label"] == "imp"
        and data["sections"][entry["section"]]["name"] == "rte"
        and entry["sparsity"] == 0.5
    ]
    # 1,100 of 1,600 parameters, five rounds of 234 steps and the last training, and 3 of 7 points above the majority
    # class (58 and 62 less 55), where seed 0 has 2 of 5.
    assert (imp["parameters"], imp["share"], imp["steps"]) == (1100, 68.75, 6 * 234)
    assert imp["values"][0] == pytest.approx(100 * (3 / 7 + (2 - 3 / 7 * 5) / 7), abs=1e-4)
    assert imp["mean"] == pytest.approx(300 / 7, abs=1e-4)
    assert imp["seconds"] is None


def test_cost_in_seconds_if_it_is_known() -> None:
    lab = method_lab("imp")
    for record in lab.records.values():
        record["seconds"] = {"train": 2.0}
    data = chart_data(build(lab.rows()))
    seconds = data["retentionFields"].index("seconds")
    assert {values[seconds] for values in data["retention"]} == {12.0}


def test_flops_are_a_share_of_the_dense_model_or_unknown() -> None:
    lab = method_lab("imp")
    data = chart_data(build(lab.rows()))
    at = data["retentionFields"].index("flops")
    assert {tuple(values[at : at + 2]) for values in data["retention"]} == {(None, None)}
    for record in lab.records.values():
        record["flops"] = {"length": 8, "dense": 400, "scored": 300, "skipping_zeros": 100}
    assert {tuple(values[at : at + 2]) for values in chart_data(build(lab.rows()))["retention"]} == {(75.0, 25.0)}


def test_reported_rows_are_not_among_the_entries() -> None:
    data = chart_data(build(golden_lab().rows(), parse_options(published="chen2020")))
    assert {row["setting"] for row in data["reported"]} == {"bert-base-uncased, dev, 5 seeds"}
    assert len(data["entries"]) == len(chart_data(build(golden_lab().rows()))["entries"])
