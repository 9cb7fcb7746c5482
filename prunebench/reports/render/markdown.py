"""Blocks as Markdown that reads the same on GitHub and in a terminal."""

from __future__ import annotations

import html
from collections.abc import Iterable

from tabulate import tabulate

from prunebench.reports.render.blocks import (
    Block,
    Bold,
    Caution,
    Commands,
    Details,
    Heading,
    Links,
    Paragraph,
    Picture,
    Subtitle,
    Table,
    one_line,
)

_ESCAPES = str.maketrans(
    {**{mark: f"\\{mark}" for mark in r"\`*_{}[]|~!#"}, "&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}
)


def escape(text: str) -> str:
    """Escape text for Markdown, its tables, HTML and GitHub's formulas."""
    return one_line(text).translate(_ESCAPES)


def markdown(blocks: Iterable[Block]) -> str:
    """The document, ending with a newline."""
    return "\n\n".join(_block(block) for block in blocks) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.depth} {escape(block.text)}"
        case Paragraph() | Subtitle():
            return escape(block.text)
        case Caution():
            return f"> **Warning:** {escape(block.text)}"
        case Commands():
            # Indented code ends with its line, so no text can break out of it. A fence could be closed by its content.
            return "\n".join(f"    {one_line(line)}" for line in block.lines)
        case Details():
            summary = html.escape(one_line(block.summary), quote=False)
            body = "\n\n".join(_block(each) for each in block.blocks)
            return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"
        case Picture():
            return f"![{escape(block.alt)}]({block.file})"
        case Links():
            return "\n".join(_link(*entry) for entry in block.entries)
        case Table():
            notes = "\n".join(f"- {escape(note)}" for note in block.notes)
            return "\n\n".join(filter(None, [_table(block), notes]))


def _link(text: str, target: str, about: str) -> str:
    return f"- [{escape(text)}]({target}){f': {escape(about)}' if about else ''}"


def _table(table: Table) -> str:
    return tabulate(
        [[_entry(text) for text in row] for row in table.body],
        headers=[escape(text) for text in table.headers],
        tablefmt="pipe",
        colalign=["right" if align == "r" else "left" for align in table.aligns],
        disable_numparse=True,
    )


def _entry(text: str) -> str:
    return f"**{escape(text)}**" if isinstance(text, Bold) else escape(text)
