"""The blocks of a page: headings, paragraphs and tables of plain text.

Text is not escaped here. Each format escapes all text in its own way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prunebench.runtime.text import one_line as one_line


class Bold(str):
    """A table entry that is printed bold."""

    __slots__ = ()


@dataclass(frozen=True)
class Heading:
    depth: int
    text: str


@dataclass(frozen=True)
class Subtitle:
    """A line above a table, for the terminal."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Caution:
    """A warning that a reader must see."""

    text: str


@dataclass(frozen=True)
class Commands:
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of plain text.

    title: printed above the table in formats that have no headings.
    aligns: a letter for each column: l (left), r (right), or p (prose, wrapped where the page width is limited).
    notes: printed below the table.
    rule: the number of reference rows at the top, which are set off from the rest.
    caption: printed after the title.
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
    """Blocks folded under a line of text, in formats that can fold."""

    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Picture:
    """A picture that is a file beside the page.

    file: its name, or a `data:` address.
    alt: what it shows, in words.
    svg: its content.
    """

    file: str
    alt: str
    svg: str


@dataclass(frozen=True)
class Links:
    """A list of links, each as its text, its target and what follows it."""

    entries: tuple[tuple[str, str, str], ...]


Block = Heading | Subtitle | Paragraph | Caution | Commands | Table | Details | Picture | Links


def without_empty(blocks: Sequence[Block]) -> Iterator[Block]:
    """The blocks without the headings that have nothing below them."""
    for block, following in zip(blocks, [*blocks[1:], Heading(0, "")], strict=True):
        empty = isinstance(following, Heading) and isinstance(block, Heading) and following.depth <= block.depth
        if not empty:
            yield block
