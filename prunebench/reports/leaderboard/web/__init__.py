"""The page for a browser: one HTML file that needs no network. Imports `content`, `standings`, `tables` and below.

Jinja2 fills the template and escapes what it fills in; plotly.js, which is in the file, draws. A content security
policy lets no other script run and nothing be fetched, whatever a name on the page may say.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from prunebench.reports.leaderboard import ranking, standings, tables
from prunebench.reports.leaderboard.layout import INTRODUCTION, about
from prunebench.reports.leaderboard.model import RANK, RETAINED, Page, Place, Ranking
from prunebench.reports.leaderboard.web.content import content, to_script
from prunebench.reports.render.blocks import Table, one_line
from prunebench.reports.render.formatting import level, points
from prunebench.results.statistics import INTERVALS

if TYPE_CHECKING:
    from jinja2 import Environment

SCRIPTS = ("charts.js", "table.js", "page.js")


def html(page: Page) -> str:
    """The whole document."""
    from plotly.offline import get_plotlyjs

    folder = files(__name__) / "templates"
    read = {name: (folder / name).read_text(encoding="utf-8") for name in (*SCRIPTS, "page.css")}
    plotly, script = get_plotlyjs(), _closed("\n".join(read[name] for name in SCRIPTS))
    return (
        _environment()
        .get_template("index.html")
        .render(
            title=": ".join(["Leaderboard", ", ".join(map(one_line, page.suites))]) if page.suites else "Leaderboard",
            style=read["page.css"],
            plotly=plotly,
            script=script,
            hashes=[_hash(plotly), _hash(script)],
            data=to_script(content(page)),
            page=page,
            facts=[(name, value) for name, value in page.setting if name in INTRODUCTION],
            rule=ranking.about(page.options.rank_by),
            rankings=[_standings(found) for found in page.rankings],
            matching=list(_matching(page)),
            criteria=standings.criteria(page.options.delta),
            held=standings.HELD,
            about=about(page.options)[:2],
            interval=INTERVALS[page.options.interval],
            papers=[(paper, standings.setting(paper), standings.whole(paper)) for paper in page.options.published],
            methods=tables.methods(page.methods),
        )
    )


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__name__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["line"] = one_line
    return environment


def _closed(script: str) -> str:
    """The page's scripts in a scope of their own."""
    return f'(() => {{\n"use strict";\n{script}}})();'


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@dataclass(frozen=True)
class Cell:
    """An entry of a ranking: its rank, its text, how far it fills its cell in percent, and its place in the column."""

    rank: str
    text: str
    fill: float = 0.0
    first: bool = False
    place: int = 0


@dataclass(frozen=True)
class Standings:
    """A ranking as a table: a row for each method, a column for each sparsity."""

    title: str
    track: str
    levels: tuple[str, ...]
    references: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    notes: tuple[str, ...]


def _standings(found: Ranking) -> Standings:
    by_level = [{place.label: (i, place) for i, place in enumerate(standing.places)} for standing in found.standings]
    references = {RANK: [], RETAINED: [(tables.DENSE, points(1.0))]}.get(found.rule, [])
    if found.majority is not None:
        references = [*references, (tables.MAJORITY, points(found.majority))]
    return Standings(
        title=found.title,
        track=found.track,
        levels=tuple(level(standing.sparsity) for standing in found.standings),
        references=tuple(references),
        rows=tuple(
            (label, tuple(_cell(places, label, found.rule) for places in by_level))
            for label in standings.in_order(found)
        ),
        notes=(*found.notes, *standings.gaps(found.standings)),
    )


def _cell(places: dict[str, tuple[int, Place]], label: str, rule: str) -> Cell:
    if label not in places:
        return Cell("", "—", place=len(places))
    number, place = places[label]
    text = standings.amount(place.summary, rule)
    fill = 0.0 if rule == RANK or place.summary is None else min(100.0, max(0.0, 100 * place.summary.mean))
    alone = sum(other.rank is not None for _, other in places.values()) < 2
    rank = "not ranked" if place.rank is None else "" if alone else standings.position(place)
    return Cell(rank, text, round(fill, 1), place.rank == 1 and not alone, number)


def _matching(page: Page) -> Iterator[tuple[str, list[Table]]]:
    for section in (*page.averages, *page.sections):
        found = [standings.matching(section, track) for track in section.tracks if track.matching]
        if found:
            yield section.title, found
