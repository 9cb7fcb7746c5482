"""The page for a browser: what it holds, and what it does in headless Chromium."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab import Lab, golden_lab
from plotly.offline import get_plotlyjs

from prunebench.reports.leaderboard import build, choose
from prunebench.reports.leaderboard.model import Options
from prunebench.reports.leaderboard.web import html
from prunebench.reports.leaderboard.web.content import content, to_script
from prunebench.reports.render.blocks import one_line

ATTACKS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>alert(1)",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    '<a href="javascript:alert(1)">click</a><b>bold</b>',
    "%{x} {{ 7 * 7 }} $x^2$ &lt;i&gt;",
]


def attacked() -> Lab:
    """A page whose every name is an attack."""
    lab = golden_lab()
    for attack in ATTACKS:
        for seed in range(3):
            lab.done("rte", attack, 0.3, seed, 0.6 + seed / 100, doc=attack, source=attack, options={"x": attack})
    for seed in range(3):
        lab.done(ATTACKS[0], ATTACKS[1], 0.3, seed, 0.5, benchmark=ATTACKS[2])
    return lab


# --- what is in the file ---


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
    """The document, but for plotly.js, which takes long to read."""
    tags = Tags()
    tags.feed(text.replace(get_plotlyjs(), ""))
    tags.close()
    return tags


def named(label: str) -> Lab:
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        lab.done("rte", label, 0.5, seed, 0.5 + seed / 100, doc=label, source=label)
    return lab


@settings(deadline=None, max_examples=30)
@given(st.text(st.sampled_from("<>&'\"/!-=a \n\u2028{}%") | st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_name_makes_an_element(label: str) -> None:
    found = parsed(html(build(named(label).rows())))
    assert found.elements == parsed(html(build(named("x").rows()))).elements
    assert found.comments == []
    data = json.loads(found.scripts[0].strip())
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


def test_the_file_needs_nothing_else() -> None:
    tags = parsed(html(build(golden_lab().rows(), choose(published="all"))))
    assert {tag for tag, _ in tags.elements} & {"link", "img", "iframe", "object", "base", "form"} == {"form"}
    assert [names for tag, names in tags.elements if tag == "script"] == [("type", "id"), (), ()]


def test_every_number_of_the_page_is_in_it() -> None:
    page = build(golden_lab().rows())
    found = content(page)
    entries = [dict(zip(found["entry"], values, strict=True)) for values in found["entries"]]
    (imp,) = [
        entry
        for entry in entries
        if found["methods"][entry["method"]]["label"] == "imp"
        and found["sections"][entry["section"]]["name"] == "rte"
        and entry["sparsity"] == 0.3
    ]
    assert (imp["mean"], imp["n"], imp["delta"]) == (63.0, 3, 1.0)
    assert imp["values"] == [61.0, 62.0, 66.0]
    assert (imp["low"], imp["high"]) == (pytest.approx(56.4276, abs=1e-3), pytest.approx(69.5724, abs=1e-3))
    scores = sum(1 for section in page.sections for _ in section.columns)
    assert len(entries) == (scores + 1) * 7
    kept = [dict(zip(found["keptEntry"], values, strict=True)) for values in found["kept"]]
    (imp,) = [
        entry
        for entry in kept
        if found["methods"][entry["method"]]["label"] == "imp"
        and found["sections"][entry["section"]]["name"] == "rte"
        and entry["sparsity"] == 0.5
    ]
    # 1,100 of 1,600 parameters; five rounds of 234 steps and the last training; 57/60 of the dense run of seed 0.
    assert (imp["parameters"], imp["share"], imp["steps"]) == (1100, 68.75, 6 * 234)
    assert imp["values"][0] == 95.0
    assert imp["seconds"] is None


def test_cost_in_seconds_where_it_is_known() -> None:
    lab = named("imp")
    for record in lab.records.values():
        record["seconds"] = {"train": 2.0}
    found = content(build(lab.rows()))
    seconds = found["keptEntry"].index("seconds")
    assert {values[seconds] for values in found["kept"]} == {12.0}


def test_reported_rows_are_apart_from_the_entries() -> None:
    found = content(build(golden_lab().rows(), choose(published="chen2020")))
    assert {row["setting"] for row in found["reported"]} == {"bert-base-uncased, dev, n = 5"}
    assert len(found["entries"]) == len(content(build(golden_lab().rows()))["entries"])


# --- in a browser ---


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


Opened = Callable[..., Any]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    """Opens the page of a store's rows; in the end there was nothing on the console, no dialog, and no request."""
    contexts, heard, asked = [], [], []

    def open_page(lab: Lab, options: Options | None = None, **context: Any) -> Any:
        path = tmp_path / "index.html"
        path.write_text(html(build(lab.rows(), options)), encoding="utf-8")
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: (heard.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        asked.remove(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert heard == []
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == []


def column(page: Any, title: str) -> list[str]:
    """The entries of a column of the table of all results."""
    titles = [text.strip() for text in page.locator("#results thead th").all_inner_texts()]
    found = page.locator(f"#results tbody tr > :nth-child({titles.index(title) + 1})").all_inner_texts()
    return [text.strip() for text in found]


def numbers(texts: list[str]) -> list[float]:
    return [float(text.split(" ")[0].replace("−", "-")) for text in texts if text != "—"]


CHARTS = ("scores", "strip", "parameters", "spent", "ranks")


def test_it_opens_and_draws(opened: Opened) -> None:
    page = opened(golden_lab(), choose(published="all"))
    assert page.title() == "Leaderboard"
    for name in CHARTS:
        drawn = page.locator(f"#{name} svg.main-svg").count()
        assert drawn or "No critical difference: 2 methods" in page.locator(f"#{name}").inner_text()
    assert page.locator("#parameters .scatterlayer .trace").count() == 2
    assert page.locator("#published").count() == 1


def test_every_seed_is_told_at_a_point(opened: Opened) -> None:
    page = opened(golden_lab())
    page.select_option("#task", label="rte (dev)")
    texts = page.evaluate("document.getElementById('scores').data.flatMap((trace) => trace.hovertext || [])")
    assert any("<b>imp</b>" in text and "seed 0: 61.00, seed 1: 62.00, seed 2: 66.00" in text for text in texts)
    assert any("63.00 ± 2.65 (n = 3)" in text for text in texts)


def test_a_click_sorts_by_value(opened: Opened) -> None:
    page = opened(golden_lab())
    head = page.locator("#results th", has=page.get_by_role("button", name="mean ± std"))
    assert head.get_attribute("aria-sort") == "none"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    found = numbers(column(page, "mean ± std"))
    assert found == sorted(found, reverse=True) and len(set(found)) > 10
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert numbers(column(page, "mean ± std")) == sorted(found)
    page.get_by_role("button", name="method", exact=True).click()
    names = column(page, "method")
    assert names == sorted(names)
    assert head.get_attribute("aria-sort") == "none"


def test_what_is_not_known_comes_last_either_way(opened: Opened) -> None:
    page = opened(golden_lab())
    for _ in range(2):
        page.get_by_role("button", name="Δ dense [95 %]").click()
        known = [text != "—" for text in column(page, "Δ dense [95 %]")]
        assert known == sorted(known, reverse=True)


def test_the_keyboard_sorts(opened: Opened) -> None:
    page = opened(golden_lab())
    page.locator("#filter-sparsity").focus()
    for _ in range(3):  # the region that scrolls, then the first button, then the second
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "task"
    page.keyboard.press("Enter")
    first = column(page, "task")
    assert first == sorted(first)
    page.keyboard.press("Space")
    assert column(page, "task") == sorted(first, reverse=True)
    assert page.evaluate("document.activeElement.textContent") == "task", "the focus stays where it was"


def test_filters_and_search(opened: Opened) -> None:
    page = opened(golden_lab(), choose(published="chen2020"))
    status = page.locator("#count")
    everything = status.inner_text()
    page.select_option("#filter-metric", "F1")
    assert set(column(page, "metric")) == {"F1"}
    page.select_option("#filter-sparsity", "0.5")
    assert sorted(column(page, "method")) == ["heads", "imp", "random-pruning"]
    assert status.inner_text() == "3 of 3 rows"
    page.fill("#search", "RANDOM mrpc")
    assert column(page, "method") == ["random-pruning"]
    page.fill("#search", "nothing of the kind")
    assert status.inner_text() == "0 of 0 rows"
    page.fill("#search", "")
    page.select_option("#filter-metric", "")
    page.select_option("#filter-sparsity", "")
    assert status.inner_text() == everything
    page.select_option("#filter-track", "unstructured, reported")
    assert all(note.startswith("reported: Chen et al. 2020") for note in column(page, "note"))


def test_a_long_table_comes_in_parts(opened: Opened) -> None:
    lab = golden_lab()
    for level in range(1, 200):
        lab.done("rte", "imp", level / 1000, 0, 0.5)
    page = opened(lab)
    assert page.locator("#results tbody tr").count() == 100
    page.get_by_role("button", name="Show more").click()
    assert page.locator("#results tbody tr").count() == 200
    page.fill("#search", "heads")
    assert not page.get_by_role("button", name="Show more").is_visible()


def test_rankings_can_be_ordered(opened: Opened) -> None:
    page = opened(golden_lab())
    table = page.locator("table.ranking").first

    def methods() -> list[str]:
        found: list[str] = table.locator("tr.place th").all_inner_texts()
        return found

    table.get_by_role("button", name="Order by the ranking at sparsity 0.3").click()
    assert methods() == ["imp", "random-pruning"]
    table.get_by_role("button", name="Order by the ranking at sparsity 0.3").click()
    assert methods() == ["random-pruning", "imp"]
    assert table.locator("tbody tr th").all_inner_texts()[:2] == ["dense", "majority class"]


def test_what_is_chosen_is_drawn(opened: Opened) -> None:
    page = opened(golden_lab())
    page.select_option("#task", label="mrpc (dev)")
    page.select_option("#metric", label="F1")
    page.select_option("#sparsity", label="0.5")
    assert (
        page.locator("#scores-caption").inner_text() == "Score against sparsity: mrpc (dev) F1, unstructured methods."
    )
    axis = page.evaluate("document.getElementById('strip').layout.yaxis.ticktext")
    assert axis == ["random-pruning", "imp", "dense"]
    page.get_by_label("random-pruning").uncheck()
    assert page.evaluate("document.getElementById('strip').layout.yaxis.ticktext") == ["imp", "dense"]
    page.get_by_role("button", name="Hide all").click()
    assert page.locator("#strip").inner_text() == "No method has a score here."
    page.get_by_role("button", name="Show all").click()
    page.select_option("#track", label="structured")
    assert page.evaluate("document.getElementById('strip').layout.yaxis.ticktext") == ["heads", "dense"]


def timed() -> Lab:
    """Two methods at two sparsities on RTE; each training of seed s takes 2 + s seconds."""
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6)
        for sparsity in (0.3, 0.5):
            for label in ("imp", "magnitude"):
                lab.done("rte", label, sparsity, seed, 0.55 + seed / 100)
    for key, record in lab.records.items():
        record["seconds"] = {"train": 2.0 + int(key.split()[-3])}
    return lab


SPENT = "(document.getElementById('spent').data || []).filter((trace) => trace.hovertext)"


def test_cost_is_drawn_in_seconds_on_request(opened: Opened) -> None:
    page = opened(timed())
    assert page.evaluate("document.getElementById('spent').layout.xaxis.title.text").startswith("optimiser steps")
    page.select_option("#cost", label="training seconds")
    assert page.evaluate("document.getElementById('spent').layout.xaxis.title.text").startswith("seconds of training")
    # Three seconds a training on average: as many as tenths for IMP and one more; two for magnitude.
    assert page.evaluate(f"{SPENT}.map((trace) => trace.x)") == [[12, 18], [6, 6]]
    assert page.locator("#spent .scatterlayer .point").count() == 4
    texts = page.evaluate(f"{SPENT}.flatMap((trace) => trace.hovertext)")
    assert [text.rpartition(", ")[2] for text in texts] == ["12 s", "18 s", "6 s", "6 s"]
    page.select_option("#cost", label="training steps")
    assert page.evaluate(f"{SPENT}.map((trace) => trace.x)") == [[4 * 234, 6 * 234], [2 * 234, 2 * 234]]


def test_seconds_of_several_kinds_of_hardware_are_not_drawn_and_that_is_said(opened: Opened) -> None:
    lab = timed()
    lab.records[lab.cells[-1]["key"]]["environment"]["hardware"] = "A GPU"
    page = opened(lab)
    assert page.locator("#spent .scatterlayer .point").count() == 4
    page.select_option("#cost", label="training seconds")
    said = "No seconds of one kind of hardware are known here, or nothing can be retained."
    assert page.locator("#spent").inner_text() == said
    assert page.locator("#spent svg").count() == 0


def test_a_critical_difference_is_drawn(opened: Opened) -> None:
    lab = Lab()
    for task in ("rte", "sst2", "qnli", "a", "b", "c"):
        for seed in range(3):
            lab.done(task, "dense", 0.0, seed, 0.9)
            for i, label in enumerate(("imp", "magnitude", "random-pruning")):
                lab.done(task, label, 0.5, seed, 0.8 - i / 10 + seed / 1000)
    page = opened(lab)
    assert "critical difference 1.35" in page.locator("#ranks-caption").inner_text()
    shapes = page.evaluate("document.getElementById('ranks').layout.shapes.length")
    assert shapes == 2  # imp with magnitude, magnitude with random-pruning


def test_names_are_names_and_nothing_else(opened: Opened) -> None:
    page = opened(attacked())
    page.select_option("#task", label="rte (dev)")
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("document.querySelectorAll('#strip .yaxislayer-above text').length >= 9")
    ticks = page.locator("#strip .yaxislayer-above text").all_text_contents()
    for attack in ATTACKS:
        assert attack in column(page, "method")
        shown = attack if len(attack) <= 28 else attack[:27] + "…"
        assert shown in ticks, "a chart shows the name as it is"
        assert attack in page.locator("#legend").inner_text()
        assert attack in page.locator("#ranking").inner_text()
    assert page.locator(".chart a").count() == 0 and page.locator("main img").count() == 0
    page.locator("#strip .scatterlayer .point").first.hover(force=True)
    page.select_option("#task", label=f"{ATTACKS[0]} ({ATTACKS[2]}, dev)")
    assert page.locator("#scores-caption").inner_text().startswith(f"Score against sparsity: {ATTACKS[0]} (")
    assert page.evaluate("document.scripts.length") == 3


def test_no_other_script_runs(browser: Any, tmp_path: Path) -> None:
    """Were a name ever not escaped, the policy would still stop it."""
    text = html(build(golden_lab().rows()))
    (tmp_path / "index.html").write_text(
        text.replace("</h1>", "</h1><script>window.ran = 1</script><img src=x onerror='window.ran = 1'>")
    )
    context = browser.new_context()
    page = context.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    page.wait_for_selector("#results tbody tr")
    assert page.evaluate("window.ran") is None
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_a_phone_and_a_laptop(opened: Opened, width: int, scheme: str) -> None:
    page = opened(attacked(), viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", back)[:3])) < 300) is (scheme == "dark")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_by_the_measure_of_wcag(opened: Opened, scheme: str) -> None:
    page = opened(golden_lab(), color_scheme=scheme)
    read = "(name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"
    for front, back in [
        *((front, back) for front in ("--fg", "--muted", "--accent") for back in ("--bg", "--card")),
        *((front, "--card") for front in ("--yes", "--part", "--no")),
        ("--warn-fg", "--warn-bg"),
    ]:
        light, dark = sorted((luminance(page.evaluate(read, name)) for name in (front, back)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (front, back)


def test_everything_that_can_be_used_has_a_name(opened: Opened) -> None:
    page = opened(golden_lab(), choose(published="all"))
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input, select, button, [role=region], [role=img], table")].filter((element) =>
             !(element.labels && element.labels.length) && !element.textContent.trim() && !element.ariaLabel
             && !(element.caption && element.caption.textContent.trim()) && !element.getAttribute("aria-labelledby")
             && !element.closest(".modebar")).map((element) => element.outerHTML)"""
    )
    assert unnamed == []
    assert page.evaluate("[...document.querySelectorAll('table:not(:has(caption))')].length") == 0
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((each) => Number(each.tagName[1]))")
    assert levels[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert page.evaluate("document.documentElement.lang") == "en"


def test_without_scripts_the_ranking_is_there(opened: Opened) -> None:
    page = opened(golden_lab(), java_script_enabled=False)
    assert "100.23 ± 0.70" in page.locator("#ranking").inner_text()
    assert "need JavaScript" in page.locator("noscript").inner_text()


def one_seed() -> Lab:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    return lab


def dense_alone() -> Lab:
    lab = Lab()
    lab.done("rte", "dense", 0.0, 0, 0.6)
    return lab


def nothing_to_retain() -> Lab:
    lab = named("imp")
    for record in lab.records.values():
        record["evaluations"]["validation"]["metrics"]["accuracy"] = 0.0
    return lab


def without_majority() -> Lab:
    lab = named("imp")
    for record in lab.records.values():
        record["evaluations"]["validation"]["majority"] = {}
    return lab


@pytest.mark.parametrize("make", [one_seed, dense_alone, nothing_to_retain, without_majority])
def test_little_is_drawn_without_complaint(opened: Opened, make: Callable[[], Lab]) -> None:
    page = opened(make())
    assert page.locator("#results tbody tr").count() >= 1
    for name in CHARTS:
        assert page.locator(f"#{name}").inner_text().strip() or page.locator(f"#{name} svg").count()
