"""Read GLUE from the official TSV files: one row per line, columns separated by tabs, no quoting.

The rules are the same as in the hub's loader: a byte-order mark is ignored, any line ending is accepted, and short rows
of QQP are skipped. A malformed row, which that loader would accept, is an error with the file and the line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.tasks.glue.layout import SCORES, Layout
from prunebench.tasks.task import Split


def from_tsv(layout: Layout, folder: Path) -> dict[str, Split]:
    """All labelled splits of a task from its folder of TSV files, with prunebench's names of the splits.

    Raises PrunebenchError, with the file and the line, if a file is missing, unreadable, empty or not UTF-8, if a
    column is missing, or if a row has a wrong number of columns, an unknown label or an invalid score.
    """
    return {name: _split(layout, folder / file) for name, (_, file) in layout.splits.items()}


def _split(layout: Layout, path: Path) -> Split:
    lines = _lines(path)
    start = 0 if layout.header else 1
    if len(lines) <= start:
        raise PrunebenchError(f"no examples in {path}")
    header = layout.header or lines[0].split("\t")
    text_columns = [column_index(column, header, path) for column in layout.tsv_texts]
    label_column = column_index(layout.tsv_label, header, path)
    rows: list[tuple[int, list[str]]] = []
    for number, line in enumerate(lines[start:], start + 1):
        cells = line.split("\t")
        if len(cells) == len(header):
            rows.append((number, cells))
        elif not (layout.skips_short and len(cells) < len(header)):
            raise _wrong_length(path, number, cells, header)
    if not rows:
        raise PrunebenchError(f"no examples in {path}", "every row has too few columns")
    labels = _labels([(number, cells[label_column]) for number, cells in rows], layout.tsv_labels, path)
    return Split(tuple([cells[column] for _, cells in rows] for column in text_columns), labels)


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a TSV file. Raises PrunebenchError for a row with a wrong number of columns."""
    lines = _lines(path)
    if len(lines) < 2:
        raise PrunebenchError(f"no examples in {path}")
    header, *rows = (line.split("\t") for line in lines)
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise _wrong_length(path, number, row, header)
    return header, rows


def _wrong_length(path: Path, line: int, cells: Sequence[str], header: Sequence[str]) -> PrunebenchError:
    return PrunebenchError(
        f"{path} line {line} has {len(cells)} columns, expected {len(header)}",
        f"tabs separate the columns {', '.join(header)}",
    )


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
    # str.splitlines would also split at U+2028 and U+0085, which occur within texts.
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    return text.split("\n") if text else []


def column_index(column: str, header: Sequence[str], path: Path) -> int:
    """The position of a column. Raises PrunebenchError if the header lacks it."""
    if column not in header:
        raise PrunebenchError(f"{path} line 1 names no column {column!r}", f"its columns: {', '.join(header)}")
    return header.index(column)


def _labels(cells: list[tuple[int, str]], classes: tuple[str, ...], path: Path) -> list[int] | list[float]:
    if not classes:
        return [_score(text, f"{path} line {number}") for number, text in cells]
    index = {label: position for position, label in enumerate(classes)}
    try:
        return [index[text] for _, text in cells]
    except KeyError:
        number, text = next((number, text) for number, text in cells if text not in index)
        raise PrunebenchError(
            f"{path} line {number} has the unknown label {text!r}", f"expected {', '.join(classes)}"
        ) from None


def _score(text: str, line: str) -> float:
    low, high = SCORES
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not low <= score <= high:
        raise PrunebenchError(f"{line} has the score {text!r}", f"expected a number from {low} to {high}")
    return score
