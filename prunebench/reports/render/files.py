"""Files that are written for a person: whole tables and pages, in the formats that were asked for. Imports `errors`."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, unknown


def chosen_formats(text: str, known: Collection[str]) -> tuple[str, ...]:
    """`md,csv` as names of formats, each once and one of those that are `known`."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in known:
            raise unknown("format", name, known)
    if not names:
        raise PrunebenchError("no format is given", f"expected some of {', '.join(known)}")
    return names


def saved(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """The paths of files, by name, once they are in that folder."""
    return [written(folder / name, data) for name, data in files.items()]


def written(path: Path, data: str | bytes) -> Path:
    """The path, once `data` is in that file; what keeps it from being there is a person's to mend."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise PrunebenchError(f"cannot write {str(path)!r}: {(error.strerror or str(error)).lower()}") from None
    return path


def csv_table(lines: Iterable[Mapping[str, Any]]) -> str:
    """Lines as CSV under the names of all their fields, which an empty field is for where a line lacks one."""
    table = list(lines)
    names = list(dict.fromkeys(name for line in table for name in line))
    with io.StringIO() as out:
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
        return out.getvalue() if table else ""
