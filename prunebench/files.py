"""Files that are written for a person: whole tables and pages. Imports `errors` alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError


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
