"""The HTML document: template, style, scripts and data in one file.

Jinja2 fills the template and escapes all text. The first chart is SVG from Python, so that it needs no script; the
scripts of this package draw those that follow a reader's choice. A content security policy names the hash of these
scripts, so that no other script runs and nothing is fetched, whatever the names on the page contain.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING

from prunebench.reports.leaderboard.glance import glance
from prunebench.reports.leaderboard.headline import headline, other_sentence
from prunebench.reports.leaderboard.page import FULL, INTRODUCTION, describe_tables, page_title
from prunebench.reports.leaderboard.ranking_rules import describe_rule
from prunebench.reports.leaderboard.report import Page
from prunebench.reports.leaderboard.tables.baselines import ABOUT as ABOUT_BASELINES
from prunebench.reports.leaderboard.tables.baselines import baseline_table
from prunebench.reports.leaderboard.tables.matching import describe_criteria, matching_table
from prunebench.reports.leaderboard.tables.methods import ANSWERS, method_table
from prunebench.reports.leaderboard.tables.papers import describe_paper, wide_paper_table
from prunebench.reports.leaderboard.tables.scores import is_crossed
from prunebench.reports.leaderboard.tables.sizes import size_table
from prunebench.reports.leaderboard.web.chart_data import chart_data, to_script
from prunebench.reports.leaderboard.web.ranking_table import ranking_table
from prunebench.reports.render.blocks import Table, one_line
from prunebench.reports.render.svg import STYLE
from prunebench.results.statistics import INTERVALS

if TYPE_CHECKING:
    from jinja2 import Environment

PACKAGE = "prunebench.reports.leaderboard.web"
SCRIPTS = ("svg.js", "charts.js", "table.js", "selection.js", "page.js")


def html(page: Page) -> str:
    """The whole document."""
    folder = files(PACKAGE) / "templates"
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in (*SCRIPTS, "page.css")}
    script = _in_own_scope("\n".join(texts[name] for name in SCRIPTS))
    return (
        _environment()
        .get_template("index.html")
        .render(
            title=page_title(tuple(map(one_line, page.suites))),
            headline=headline(page),
            glance=glance(page),
            style=f"{STYLE}\n{texts['page.css']}",
            script=script,
            hash=_hash(script),
            data=to_script(chart_data(page)),
            page=page,
            facts=[(name, value) for name, value in page.setting if name in INTRODUCTION],
            rule=describe_rule(page.options.rank_by, page.has_equal_training),
            rankings=[ranking_table(ranking) for ranking in page.rankings],
            sentences=[other_sentence(page, ranking) for ranking in page.rankings],
            matching=list(_matching(page)),
            baselines=baseline_table(page.baselines),
            about_baselines=ABOUT_BASELINES,
            sizes=list(_sizes(page)),
            criteria=describe_criteria(page.options.delta, page.has_equal_training),
            answers=ANSWERS,
            about=describe_tables(page),
            interval=INTERVALS[page.options.interval],
            crossed=any(map(is_crossed, page.sections)),
            papers=[(paper, describe_paper(paper), wide_paper_table(paper)) for paper in page.options.published],
            methods=method_table(page.methods),
        )
    )


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["line"] = one_line
    return environment


def _in_own_scope(script: str) -> str:
    return f'(() => {{\n"use strict";\n{script}}})();'


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _sizes(page: Page) -> Iterator[tuple[str, list[Table]]]:
    """The sizes and costs of each task, unless there are too many rows."""
    for section in page.sections if len(page.rows) <= FULL else ():
        tables = [size_table(section, track) for track in section.tracks]
        if tables:
            yield section.title, tables


def _matching(page: Page) -> Iterator[tuple[str, list[Table]]]:
    for section in (*page.averages, *page.sections):
        tables = [matching_table(section, track) for track in section.tracks if track.matching]
        if tables:
            yield section.title, tables
