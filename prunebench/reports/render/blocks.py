"""What pages are laid out in: headings, paragraphs and tables of plain text. Imports nothing of the project.

Nothing here is escaped: each format does that, for all text alike.
"""

from __future__ import annotations

from dataclasses import dataclass


class Bold(str):
    """Text of a table that is printed bold."""

    __slots__ = ()


@dataclass(frozen=True)
class Heading:
    depth: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Caution:
    """Something that a reader must see."""

    text: str


@dataclass(frozen=True)
class Commands:
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """`aligns` has a letter for each column: l, r, or p for prose, which is broken into lines where a page has an end;
    the first `rule` rows are for reference.

    `title` stands above it in formats without headings, and `caption` behind the title; `notes` stand below it in all.
    """

    title: str
    headers: tuple[str, ...]
    aligns: str
    body: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    rule: int = 0
    caption: str = ""


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away under a line of text, where a format can fold."""

    summary: str
    blocks: tuple[Block, ...]


def one_line(text: str) -> str:
    """The text without line breaks, tabs and characters that cannot be printed."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())


Block = Heading | Paragraph | Caution | Commands | Table | Details
