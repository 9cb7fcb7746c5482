"""Writing files: the formats of `--format`, CSV tables, and errors that the command line can show."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, unknown_name


def parse_formats(text: str, known: Collection[str]) -> tuple[str, ...]:
    """Parse `md,csv` into names of formats without duplicates.

    Raises `PrunebenchError` if there is none, or one that is not `known`.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in known:
            raise unknown_name("format", name, known)
    if not names:
        raise PrunebenchError("no format is given", f"expected one or more of {', '.join(known)}")
    return names


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """Write files, by name, into a folder and return their paths."""
    return [write_file(folder / name, data) for name, data in files.items()]


def write_file(path: Path, data: str | bytes) -> Path:
    """Write a file and its missing folders, and return its path. Raises `PrunebenchError` if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise PrunebenchError(f"cannot write {str(path)!r}: {(error.strerror or str(error)).lower()}") from None
    return path


def csv_table(lines: Iterable[Mapping[str, Any]]) -> str:
    """Lines as CSV with a header. The columns are all fields of all lines; a field that a line lacks is empty."""
    table = list(lines)
    names = list(dict.fromkeys(name for line in table for name in line))
    with io.StringIO() as out:
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
        return out.getvalue() if table else ""


def file_names(name: str) -> Iterator[str]:
    """The name as a file name: `score-rte-unstructured`, then the same with -2, -3 and so on, if it is taken."""
    # A point is left within a number only.
    plain = re.sub(r"(?:(?!(?<=\d)\.(?=\d))[^A-Za-z0-9])+", "-", name).strip("-") or "unnamed"
    yield plain
    for i in range(2, 1000):
        yield f"{plain}-{i}"
