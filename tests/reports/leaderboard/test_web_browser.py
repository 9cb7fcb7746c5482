"""The HTML page in headless Chromium: charts, sorting, filters, themes and accessibility."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import ATTACKS, Lab, attacked_lab, golden_lab, method_lab

from prunebench.reports.leaderboard import build, parse_options
from prunebench.reports.leaderboard.report import Options
from prunebench.reports.leaderboard.web import html


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


OpenPage = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[OpenPage]:
    """Opens the page of a lab. At the end it checks that nothing was logged or requested, and no dialog opened."""
    contexts, messages, requests = [], [], []

    def open_lab(lab: Lab, options: Options | None = None, **context: Any) -> Any:
        path = tmp_path / "index.html"
        path.write_text(html(build(lab.rows(), options)), encoding="utf-8")
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("dialog", lambda dialog: (messages.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_lab
    for context in contexts:
        context.close()
    assert messages == []
    own = (tmp_path / "index.html").as_uri()
    assert [url for url in requests if url.partition("#")[0] not in (own, "about:blank")] == []


def column(page: Any, title: str) -> list[str]:
    """The entries of a column of the table of all results."""
    titles = [text.strip() for text in page.locator("#results thead th").all_inner_texts()]
    entries = page.locator(f"#results tbody tr > :nth-child({titles.index(title) + 1})").all_inner_texts()
    return [text.strip() for text in entries]


def row_names(page: Any) -> list[str]:
    """The names of the rows of the chart of seeds, from the bottom up."""
    return [str(text) for text in page.locator("#strip text.row").all_text_contents()]


def means_of(chart: str) -> str:
    """A JavaScript expression for the marks of means in a chart."""
    return f"[...document.querySelectorAll('#{chart} .mark:not(.seed)')]"


def points_of(page: Any, chart: str) -> dict[str, list[float]]:
    """The x values of the means in a chart, by colour."""
    marks = page.evaluate(f"{means_of(chart)}.map((each) => [each.classList[1], each.dataset.x])")
    points: dict[str, list[float]] = {}
    for colour, x in marks:
        points.setdefault(colour, []).append(float(x))
    return points


def texts_of(page: Any, chart: str) -> list[str]:
    """What the means of a chart show when they are pointed at."""
    return list(
        page.evaluate(f"[...document.querySelectorAll('#{chart} .mark:not(.seed)')].map((e) => e.dataset.text)")
    )


def numbers(texts: list[str]) -> list[float]:
    return [float(text.split(" ")[0].replace("−", "-")) for text in texts if text != "—"]


CHARTS = ("scores", "strip", "parameters", "spent", "ranks")


def test_the_page_opens_and_draws(open_page: OpenPage) -> None:
    page = open_page(golden_lab(), parse_options(published="all"))
    assert page.title() == "Leaderboard"
    for name in CHARTS:
        drawn = page.locator(f"#{name} svg").count()
        assert drawn or "No critical difference: 2 methods" in page.locator(f"#{name}").inner_text()
    assert page.locator("#parameters .line").count() == 2
    assert page.locator(".first-chart svg").get_attribute("role") == "img"
    assert page.locator("#published").count() == 1


def test_hover_texts_list_every_seed(open_page: OpenPage) -> None:
    page = open_page(golden_lab())
    page.select_option("#task", label="rte (dev)")
    tip = page.locator("#tip")
    assert not tip.is_visible()
    mark = page.locator('#scores .mark:not(.seed)[data-x="0.3"]').first
    mark.hover()
    assert tip.inner_text().splitlines() == [
        *("imp at sparsity 0.3", "63.00 ± 2.65 (n = 3)", "seed 0: 61.00, seed 1: 62.00, seed 2: 66.00")
    ]
    page.locator("h1").hover()
    assert not tip.is_visible()


def test_points_are_where_their_numbers_are(open_page: OpenPage) -> None:
    """The scores 63 and 58 of IMP are as far apart as the axis says: its ticks are the other measure."""
    page = open_page(golden_lab())
    page.select_option("#task", label="rte (dev)")

    def middle(selector: str) -> float:
        box = page.locator(selector).bounding_box()
        return float(box["y"] + box["height"] / 2)

    ticks = page.evaluate("[...document.querySelectorAll('#scores text.tick')].map((each) => each.textContent)")
    assert {"0.3", "0.5", "55", "60", "65"} <= set(ticks)
    of_tick = {text: middle(f"#scores text.tick >> text='{text}'") for text in ("55", "65")}
    high, low = (middle(f'#scores .mark.fill1:not(.seed)[data-x="{x}"]') for x in ("0.3", "0.5"))
    assert (low - high) / (of_tick["55"] - of_tick["65"]) == pytest.approx(0.5, abs=0.02)


def test_every_chart_has_a_chance_line(open_page: OpenPage) -> None:
    page = open_page(six_tasks())
    names = {name: page.locator(f"#{name} .name").all_text_contents() for name in CHARTS}
    assert names == {
        **{name: ["dense", "majority class"] for name in ("scores", "parameters", "spent")},
        **{"strip": ["majority class"], "ranks": ["rank by chance"]},
    }


def test_the_address_holds_the_selection(open_page: OpenPage) -> None:
    page = open_page(golden_lab())
    assert page.evaluate("location.hash") == ""
    page.select_option("#task", label="mrpc (dev)")
    page.select_option("#metric", label="F1")
    page.select_option("#sparsity", label="0.5")
    page.get_by_label("random-pruning").uncheck()
    page.fill("#search", "heads")
    page.check("#columns")
    address = page.evaluate("location.href")
    assert "metric=F1" in address and "method=imp" in address and "method=random-pruning" not in address
    caption, rows = page.locator("#scores-caption").inner_text(), column(page, "method")
    page.goto("about:blank")
    page.goto(address)
    assert page.locator("#scores-caption").inner_text() == caption
    assert row_names(page) == ["imp", "dense"]
    assert column(page, "method") == rows == ["heads"] * len(rows) and page.is_checked("#columns")
    page.evaluate("location.hash = '#task=nonsense&metric=F7&track=x&sparsity=9&method=nobody&only-task=?'")
    assert page.locator("#scores-caption").inner_text().startswith("Score against sparsity: Average")


def test_few_columns_are_shown_until_all_are_asked_for(open_page: OpenPage) -> None:
    page = open_page(golden_lab())
    few = page.locator("#results thead th").all_inner_texts()
    assert [text.strip() for text in few][:4] == ["method", "task", "metric", "sparsity"] and len(few) <= 9
    page.get_by_role("button", name="mean ± std").click()
    first = column(page, "method")
    page.check("#columns")
    every = [text.strip() for text in page.locator("#results thead th").all_inner_texts()]
    assert {"n", "95 %", "steps", "every seed"} <= set(every) and len(every) > len(few)
    assert column(page, "method") == first, "it is still sorted"
    head = page.locator("#results th", has=page.get_by_role("button", name="mean ± std"))
    assert head.get_attribute("aria-sort") == "descending"


def test_a_click_sorts_by_value(open_page: OpenPage) -> None:
    page = open_page(golden_lab())
    head = page.locator("#results th", has=page.get_by_role("button", name="mean ± std"))
    assert head.get_attribute("aria-sort") == "none"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    means = numbers(column(page, "mean ± std"))
    assert means == sorted(means, reverse=True) and len(set(means)) > 10
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert numbers(column(page, "mean ± std")) == sorted(means)
    page.get_by_role("button", name="method", exact=True).click()
    names = column(page, "method")
    assert names == sorted(names)
    assert head.get_attribute("aria-sort") == "none"


def test_unknown_values_come_last_in_both_directions(open_page: OpenPage) -> None:
    page = open_page(golden_lab())
    for _ in range(2):
        page.get_by_role("button", name="Δ dense [95 %]").click()
        known = [text != "—" for text in column(page, "Δ dense [95 %]")]
        assert known == sorted(known, reverse=True)


def test_the_keyboard_sorts(open_page: OpenPage) -> None:
    page = open_page(golden_lab())
    page.locator("#filter-sparsity").focus()
    for _ in range(4):  # the switch, the scrolling region, the first button, the second button
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "task"
    page.keyboard.press("Enter")
    first = column(page, "task")
    assert first == sorted(first)
    page.keyboard.press("Space")
    assert column(page, "task") == sorted(first, reverse=True)
    assert page.evaluate("document.activeElement.textContent") == "task", "the focus stays where it was"


def test_filters_and_search(open_page: OpenPage) -> None:
    page = open_page(golden_lab(), parse_options(published="chen2020"))
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


def test_a_long_table_is_shown_in_parts(open_page: OpenPage) -> None:
    lab = golden_lab()
    for level in range(1, 200):
        lab.done("rte", "imp", level / 1000, 0, 0.5)
    page = open_page(lab)
    assert page.locator("#results tbody tr").count() == 100
    page.get_by_role("button", name="Show more").click()
    assert page.locator("#results tbody tr").count() == 200
    page.fill("#search", "heads")
    assert not page.get_by_role("button", name="Show more").is_visible()


def test_rankings_can_be_sorted(open_page: OpenPage) -> None:
    page = open_page(golden_lab())
    table = page.locator("table.ranking").first

    def methods() -> list[str]:
        labels: list[str] = table.locator("tr.placement th").all_inner_texts()
        return labels

    table.get_by_role("button", name="Order by the ranking at sparsity 0.3").click()
    assert methods() == ["imp", "random-pruning"]
    table.get_by_role("button", name="Order by the ranking at sparsity 0.3").click()
    assert methods() == ["random-pruning", "imp"]
    assert table.locator("tbody tr th").all_inner_texts()[:2] == ["dense", "majority class"]


def test_charts_follow_the_controls(open_page: OpenPage) -> None:
    page = open_page(golden_lab())
    page.select_option("#task", label="mrpc (dev)")
    page.select_option("#metric", label="F1")
    page.select_option("#sparsity", label="0.5")
    assert (
        page.locator("#scores-caption").inner_text() == "Score against sparsity: mrpc (dev) F1, unstructured methods."
    )
    assert row_names(page) == ["random-pruning", "imp", "dense"]
    page.get_by_label("random-pruning").uncheck()
    assert row_names(page) == ["imp", "dense"]
    page.get_by_role("button", name="Hide all").click()
    assert page.locator("#strip").inner_text() == "No method has a score here."
    page.get_by_role("button", name="Show all").click()
    page.select_option("#track", label="structured")
    assert row_names(page) == ["heads", "dense"]


def timed_lab() -> Lab:
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


SPENT = "#spent .x-title"


def test_cost_is_drawn_in_seconds_on_request(open_page: OpenPage) -> None:
    page = open_page(timed_lab())
    assert str(page.locator(SPENT).text_content()).startswith("optimiser steps")
    page.select_option("#cost", label="training seconds")
    assert str(page.locator(SPENT).text_content()).startswith("seconds of training")
    # A training takes three seconds on average. IMP has a training per tenth of sparsity and one more, magnitude two.
    assert points_of(page, "spent") == {"fill0": [12, 18], "fill1": [6, 6]}
    assert [text.rpartition(", ")[2] for text in texts_of(page, "spent")] == ["12 s", "18 s", "6 s", "6 s"]
    page.select_option("#cost", label="training steps")
    assert points_of(page, "spent") == {"fill0": [4 * 234, 6 * 234], "fill1": [2 * 234, 2 * 234]}


def sized_lab() -> Lab:
    """IMP at two sparsities, a pattern at one of them, and a dense run of equal training for magnitude."""
    lab = Lab()
    for seed in range(3):
        lab.done("rte", "dense", 0.0, seed, 0.6, options={"trainings": 1})
        lab.done("rte", "dense[trainings=2]", 0.0, seed, 0.62, options={"trainings": 2})
        for sparsity in (0.3, 0.5):
            lab.done("rte", "imp", sparsity, seed, 0.55 + seed / 100)
        lab.done("rte", "magnitude", 0.5, seed, 0.61)
        reasons = {"0.3": "pattern 2:4 has sparsity 0.5"}
        lab.done("rte", "magnitude[pattern=2:4]", 0.5, seed, 0.58, unsupported=reasons)
    for record in lab.records.values():
        left = 1000 - record["sparsity"]["pruned"] // 2
        record["flops"] = {"length": 128, "dense": 1000, "scored": 1000, "skipping_zeros": left}
    return lab


def test_the_size_is_drawn_in_flops_on_request(open_page: OpenPage) -> None:
    page = open_page(sized_lab())
    title = page.locator("#parameters .x-title")
    assert title.text_content() == "parameters left, % of the model"
    page.select_option("#size", label="FLOPs, zeros skipped")
    assert title.text_content() == "FLOPs left, zeros skipped, % of dense"
    assert points_of(page, "parameters") == {"fill0": [85, 75], "fill1": [75], "fill2": [75]}
    texts = texts_of(page, "parameters")
    assert "FLOPs left: 100.00 %, zeros skipped: 75.00 %" in texts[1]
    # 61 of 60 and of 62, above the majority class: 6 of 5 points, and of 7. IMP lacks a dense run of equal training.
    (magnitude,) = [text for text in texts if text.startswith("magnitude at")]
    assert "120.00 ± 0.00 % retained above chance\n85.71 % of equal training" in magnitude
    page.select_option("#size", label="FLOPs left")
    assert points_of(page, "parameters") == {"fill0": [100, 100], "fill1": [100], "fill2": [100]}
    assert page.locator("#parameters-caption").inner_text().startswith("Score retained against the FLOPs left: rte")


def test_the_table_has_flops_and_equal_training_where_they_are_known(open_page: OpenPage) -> None:
    page = open_page(sized_lab())
    page.check("#columns")
    page.fill("#search", "magnitude")
    assert column(page, "method") == ["magnitude", "magnitude[pattern=2:4]", "magnitude[pattern=2:4]"]
    assert column(page, "Δ equal [95 %]") == ["−1.00 [−1.37, −0.63]", "−4.00 [−4.37, −3.63]", "—"]
    assert column(page, "retained above chance, %") == ["120.00", "60.00", "—"]
    assert column(page, "retained equal, above chance, %") == ["85.71", "42.86", "—"]
    assert column(page, "FLOPs left, %") == ["100.00", "100.00", "—"]
    assert column(page, "FLOPs, zeros skipped, %") == ["75.00", "75.00", "—"]
    golden = open_page(golden_lab())
    golden.check("#columns")
    titles = golden.locator("#results thead th").all_inner_texts()
    assert not {"Δ equal [95 %]", "retained equal, above chance, %", "FLOPs left, %"} & set(titles)
    assert "retained above chance, %" in titles


def test_a_level_that_a_method_lacks_is_shown_with_its_reason(open_page: OpenPage) -> None:
    page = open_page(sized_lab())
    page.fill("#search", "pattern")
    page.select_option("#filter-sparsity", "0.3")
    assert column(page, "mean ± std") == ["n/a"]
    assert column(page, "note") == ["n/a: pattern 2:4 has sparsity 0.5"]
    page.select_option("#sparsity", "0.3")
    assert row_names(page) == [*("magnitude[pattern=2:4]", "imp", "dense")]
    reason = "n/a: pattern 2:4 has sparsity 0.5"
    assert page.locator("#strip .name").all_text_contents() == ["majority class", reason]
    page.select_option("#sparsity", "0.5")
    assert page.locator("#strip .name").all_text_contents() == ["majority class"]


def test_seconds_on_several_kinds_of_hardware_are_not_drawn(open_page: OpenPage) -> None:
    lab = timed_lab()
    lab.records[lab.cells[-1]["key"]]["environment"]["hardware"] = "A GPU"
    page = open_page(lab)
    assert page.locator("#spent .mark").count() == 4
    page.select_option("#cost", label="training seconds")
    sentence = "Seconds on one kind of hardware are unknown here, or no score retained can be computed."
    assert page.locator("#spent").inner_text() == sentence
    assert page.locator("#spent svg").count() == 0


def six_tasks() -> Lab:
    """Three methods in the same order on six tasks."""
    lab = Lab()
    for task in ("rte", "sst2", "qnli", "a", "b", "c"):
        for seed in range(3):
            lab.done(task, "dense", 0.0, seed, 0.9)
            for i, label in enumerate(("imp", "magnitude", "random-pruning")):
                lab.done(task, label, 0.5, seed, 0.8 - i / 10 + seed / 1000)
    return lab


def test_a_critical_difference_is_drawn(open_page: OpenPage) -> None:
    page = open_page(six_tasks())
    assert "critical difference 1.35" in page.locator("#ranks-caption").inner_text()
    assert page.locator("#ranks .group").count() == 2  # imp with magnitude, magnitude with random-pruning


def test_names_are_shown_as_text(open_page: OpenPage) -> None:
    page = open_page(attacked_lab())
    page.select_option("#task", label="rte (dev)")
    page.get_by_role("button", name="Show all").click()
    ticks = page.locator("#strip text.row").all_text_contents()
    assert len(ticks) >= 9
    for attack in ATTACKS:
        assert attack in column(page, "method")
        tick = attack if len(attack) <= 28 else attack[:27] + "…"
        assert tick in ticks
        assert attack in page.locator("#legend").inner_text()
        assert attack in page.locator("#ranking").inner_text()
    assert page.locator(".chart a").count() == 0 and page.locator("main img").count() == 0
    page.locator("#strip .mark").first.hover(force=True)
    page.select_option("#task", label=f"{ATTACKS[0]} ({ATTACKS[2]}, dev)")
    assert page.locator("#scores-caption").inner_text().startswith(f"Score against sparsity: {ATTACKS[0]} (")
    assert page.evaluate("document.scripts.length") == 2


def test_no_other_script_runs(browser: Any, tmp_path: Path) -> None:
    """The content security policy stops a script even if a name were not escaped."""
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
def test_the_page_fits_a_phone_and_a_laptop(open_page: OpenPage, width: int, scheme: str) -> None:
    page = open_page(attacked_lab(), viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", back)[:3])) < 300) is (scheme == "dark")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrast_meets_wcag(open_page: OpenPage, scheme: str) -> None:
    page = open_page(golden_lab(), color_scheme=scheme)
    read = "(name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"
    for front, back in [
        *((front, back) for front in ("--fg", "--muted", "--accent") for back in ("--bg", "--card")),
        *((front, "--card") for front in ("--yes", "--part", "--no")),
        ("--warn-fg", "--warn-bg"),
    ]:
        light, dark = sorted((luminance(page.evaluate(read, name)) for name in (front, back)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (front, back)


def test_all_controls_have_accessible_names(open_page: OpenPage) -> None:
    page = open_page(golden_lab(), parse_options(published="all"))
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input, select, button, [role=region], [role=img], table")].filter((element) =>
             !(element.labels && element.labels.length) && !element.textContent.trim() && !element.ariaLabel
             && !(element.caption && element.caption.textContent.trim()) && !element.getAttribute("aria-labelledby")
             ).map((element) => element.outerHTML)"""
    )
    assert unnamed == []
    assert page.evaluate("[...document.querySelectorAll('table:not(:has(caption))')].length") == 0
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((each) => Number(each.tagName[1]))")
    assert levels[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert page.evaluate("document.documentElement.lang") == "en"


def test_the_ranking_needs_no_javascript(open_page: OpenPage) -> None:
    page = open_page(golden_lab(), java_script_enabled=False)
    assert "104.99 ± 6.49" in page.locator("#ranking").inner_text()
    assert "need JavaScript" in page.locator("noscript").inner_text()


def one_seed_lab() -> Lab:
    lab = Lab()
    lab.done("rte", "imp", 0.5, 0, 0.5)
    return lab


def dense_lab() -> Lab:
    lab = Lab()
    lab.done("rte", "dense", 0.0, 0, 0.6)
    return lab


def zero_lab() -> Lab:
    lab = method_lab("imp")
    for record in lab.records.values():
        record["evaluations"]["validation"]["metrics"]["accuracy"] = 0.0
    return lab


def lab_without_majority() -> Lab:
    lab = method_lab("imp")
    for record in lab.records.values():
        record["evaluations"]["validation"]["majority"] = {}
    return lab


@pytest.mark.parametrize("make", [one_seed_lab, dense_lab, zero_lab, lab_without_majority])
def test_pages_with_few_results_open(open_page: OpenPage, make: Callable[[], Lab]) -> None:
    page = open_page(make())
    assert page.locator("#results tbody tr").count() >= 1
    for name in CHARTS:
        assert page.locator(f"#{name}").inner_text().strip() or page.locator(f"#{name} svg").count()
