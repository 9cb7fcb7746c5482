"""GLUE from the official TSV files: one row a line, tabs between columns, no quoting. Imports no torch.

The rules are those of the hub's loader (a byte-order mark is dropped, any line ending counts, QQP's short rows are
left out), and where that loader would go on with a broken row, this one says which it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.tasks.glue.layout import SCORES, Layout
from prunebench.tasks.task import Split


def from_tsv(layout: Layout, folder: Path) -> dict[str, Split]:
    """All splits of a task from its folder of TSV files, by our names of the splits.

    Raises `PrunebenchError` that names the file, and the line where there is one: file missing or unreadable, text
    not UTF-8, a column missing, a row with another number of columns, an unknown label, a bad score, no example.
    """
    return {name: _split(layout, folder / file) for name, (_, file) in layout.splits.items()}


def _split(layout: Layout, path: Path) -> Split:
    lines = _lines(path)
    start = 0 if layout.header else 1
    if len(lines) <= start:
        raise PrunebenchError(f"no examples in {path}")
    header = layout.header or lines[0].split("\t")
    texts_at = [position(column, header, path) for column in layout.tsv_texts]
    label_at = position(layout.tsv_label, header, path)
    rows: list[tuple[int, list[str]]] = []
    for number, line in enumerate(lines[start:], start + 1):
        cells = line.split("\t")
        if len(cells) == len(header):
            rows.append((number, cells))
        elif not (layout.skips_short and len(cells) < len(header)):
            raise PrunebenchError(
                f"{path} line {number} has {len(cells)} columns, expected {len(header)}",
                f"columns are divided by tabs: {', '.join(header)}",
            )
    if not rows:
        raise PrunebenchError(f"no examples in {path}", "every row has too few columns")
    labels = _labels([(number, cells[label_at]) for number, cells in rows], layout.tsv_labels, path)
    return Split(tuple([cells[at] for _, cells in rows] for at in texts_at), labels)


def table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and all rows of a file whose first line names the columns. Raises for a row of another length."""
    lines = _lines(path)
    if len(lines) < 2:
        raise PrunebenchError(f"no examples in {path}")
    header, *rows = (line.split("\t") for line in lines)
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise PrunebenchError(
                f"{path} line {number} has {len(row)} columns, expected {len(header)}",
                f"columns are divided by tabs: {', '.join(header)}",
            )
    return header, rows


def _lines(path: Path) -> list[str]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise PrunebenchError(f"no file {path}", "expected the files of the official GLUE download") from None
    except OSError as error:
        raise PrunebenchError(f"cannot read {path}: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise PrunebenchError(f"{path} line {number} is not UTF-8", "save the file as UTF-8 text") from error
    # Not str.splitlines: the texts hold characters such as U+2028 and U+0085 that end no row.
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    return text.split("\n") if text else []


def position(column: str, header: Sequence[str], path: Path) -> int:
    if column not in header:
        raise PrunebenchError(f"{path} line 1 names no column {column!r}", f"columns there: {', '.join(header)}")
    return header.index(column)


def _labels(cells: list[tuple[int, str]], classes: tuple[str, ...], path: Path) -> list[int] | list[float]:
    if not classes:
        return [_parsed(_score, text, f"{path} line {number}") for number, text in cells]
    index = {label: position for position, label in enumerate(classes)}
    try:
        return [index[text] for _, text in cells]
    except KeyError:
        number, text = next((number, text) for number, text in cells if text not in index)
        raise PrunebenchError(
            f"{path} line {number} has the unknown label {text!r}", f"expected {', '.join(classes)}"
        ) from None


def _parsed(parse: Callable[[str], float], text: str, where: str) -> float:
    try:
        return parse(text)
    except ValueError:
        low, high = SCORES
        raise PrunebenchError(f"{where} has the score {text!r}", f"expected a number from {low} to {high}") from None


def _score(text: str) -> float:
    score = float(text)
    if not (math.isfinite(score) and SCORES[0] <= score <= SCORES[1]):
        raise ValueError(text)
    return score
