"""Blocks as text for a terminal: headings stand out, tables are aligned, paragraphs are wrapped."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator

from tabulate import tabulate

from prunebench.reports.render.blocks import (
    Block,
    Bold,
    Caution,
    Commands,
    Details,
    Heading,
    Paragraph,
    Subtitle,
    Table,
    one_line,
)

WIDTH = 110
BOLD, YELLOW, CYAN, PLAIN = "\x1b[1m", "\x1b[33m", "\x1b[1;36m", "\x1b[0m"


def render(blocks: Iterable[Block], *, colour: bool = False) -> str:
    """The blocks as text without a newline at its end. What a page folds away is left out.

    `colour` is for a terminal: headings and the best entries stand out by escape sequences, and text is wrapped at its
    width. Elsewhere warnings stay one line, so that programs can search them.
    """
    width = min(shutil.get_terminal_size().columns, WIDTH) if colour else WIDTH
    return "\n\n".join(part for block in blocks for part in _parts(block, colour, width))


def _parts(block: Block, colour: bool, width: int) -> Iterator[str]:
    match block:
        case Heading():
            text = one_line(block.text)
            yield _styled(text, CYAN, colour) if colour else f"{text}\n{('=' if block.depth == 1 else '-') * len(text)}"
        case Subtitle():
            yield _styled(_fill(one_line(block.text), width), CYAN, colour)
        case Paragraph():
            yield _fill(one_line(block.text), width)
        case Caution():
            warning = f"warning: {one_line(block.text)}"
            yield _styled(_fill(warning, width), YELLOW, colour) if colour else warning
        case Commands():
            yield "\n".join(f"    {one_line(line)}" for line in block.lines)
        case Table():
            yield "\n".join([terminal_table(block, colour), *(_note(note, width) for note in block.notes)])
        case Details():
            pass


def terminal_table(table: Table, colour: bool = False) -> str:
    """A table without its title and notes; entries that a page prints bold are bold where there is colour."""
    return tabulate(
        [[_entry(text, colour) for text in row] for row in table.body],
        headers=[one_line(text) for text in table.headers],
        tablefmt="simple",
        colalign=["right" if align == "r" else "left" for align in table.aligns],
        disable_numparse=True,
    )


def _entry(text: str, colour: bool) -> str:
    line = one_line(text)
    return _styled(line, BOLD, colour) if isinstance(text, Bold) else line


def _note(text: str, width: int) -> str:
    return _fill(f"- {one_line(text)}", width, indent="  ")


def _fill(text: str, width: int, indent: str = "") -> str:
    return textwrap.fill(text, width, subsequent_indent=indent)


def _styled(text: str, style: str, colour: bool) -> str:
    return f"{style}{text}{PLAIN}" if colour else text
