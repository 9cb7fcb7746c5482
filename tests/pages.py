"""Read a rendered page back: the tables below a heading of its Markdown. Tests import it by this name."""

from __future__ import annotations

import re
from pathlib import Path

from lab import Lab

from prunebench.reports.leaderboard import build, page_files
from prunebench.reports.leaderboard.report import Page

GOLDEN = Path(__file__).parent / "golden" / "leaderboard"


def page(lab: Lab) -> str:
    """The Markdown of a lab: README.md, then the page of every task."""
    return page_text(build(lab.rows()))


def page_text(built: Page) -> str:
    """The Markdown of a page: README.md, then the page of every task."""
    return "\n".join(text for name, text in page_files(built, ["md"]).items() if name.endswith(".md"))


def paper_text(built: Page) -> str:
    """The LaTeX of a page: table.tex, then its appendix."""
    return "\n".join(page_files(built, ["tex"]).values())


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
