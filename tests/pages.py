"""Read a rendered page back: the tables below a heading of its Markdown. Tests import it by this name."""

from __future__ import annotations

import re
from pathlib import Path

from lab import Lab

from prunebench.reports.leaderboard import build
from prunebench.reports.leaderboard.page import blocks
from prunebench.reports.render.markdown import markdown

GOLDEN = Path(__file__).parent / "golden" / "leaderboard"


def page(lab: Lab) -> str:
    """The Markdown page of a lab."""
    return markdown(blocks(build(lab.rows())))


def tables(text: str, heading: str) -> list[list[dict[str, str]]]:
    """The tables between a heading of a Markdown text and the next heading, as a dict for each row."""
    (body,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    parsed = []
    for part in re.findall(r"(?:^\|.*\n?)+", body, re.MULTILINE):
        header, _, *lines = [
            [entry.strip() for entry in re.split(r"(?<!\\)\|", line)[1:-1]] for line in part.strip().splitlines()
        ]
        parsed.append([dict(zip(map(_unescape, header), map(_unescape, line), strict=True)) for line in lines])
    return parsed


def _unescape(text: str) -> str:
    return text.replace(r"\[", "[").replace(r"\]", "]")


def by_method(table: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    return {row["method"]: row for row in table}
