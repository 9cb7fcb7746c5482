"""Splitting a wide table into parts that fit a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# Characters in a line of a terminal.
WIDTH = 115


def split_columns(names: Sequence[str], columns: Sequence[list[str]]) -> Iterator[list[list[str]]]:
    """Split columns into as few parts as fit a line, each beside the column of names."""
    part: list[list[str]] = []
    width = longest = max(map(len, names))
    for column in columns:
        size = len(" | ") + max(map(len, column))
        if part and width + size > WIDTH:
            yield part
            part, width = [], longest
        part.append(column)
        width += size
    yield part
