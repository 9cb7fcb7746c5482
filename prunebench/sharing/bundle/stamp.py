"""The result of `prunebench verify --stamp` as a small file beside a bundle, which pages quote.

The digest in it ties it to the bundle. It is a note of whoever verified, not a proof: run `prunebench verify` yourself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from prunebench.reports.render.files import write_file
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.schema import Sha256
from prunebench.sharing.bundle.strict import MAX_BYTES, parse, validate
from prunebench.store.schema import Count, Strict, text

SUFFIX = ".verified.json"
UNVERIFIED = "Unverified: nobody has stamped this bundle with `prunebench verify --stamp`."


class Stamp(Strict):
    """When and by which version a bundle was verified, and how much of it.

    `cells` are those with a result, and `retrained` of them were trained again. The metrics of the tasks `without_data`
    were not recomputed. `missing` of the `planned` cells are not in the bundle; 0 planned ones stand for no plan.
    """

    kind: Literal["prunebench verify"]
    sha256: Sha256
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    prunebench: Annotated[str, Field(pattern=r"^[\w.+-]{1,40}$")]
    cells: Count
    retrained: Count
    without_data: list[str]
    planned: Count
    missing: Count

    def __str__(self) -> str:
        words = [f"{self.retrained} of {self.cells} cells were trained again"]
        if self.without_data:
            words.append(f"the metrics of {', '.join(self.without_data)} were not recomputed")
        missing = f"{self.missing} of {self.planned} planned cells are missing"
        words.append(missing if self.planned else "the bundle holds no plan")
        return f"Verified on {self.date} by prunebench {self.prunebench}: {'; '.join(words)}."


def stamp_path(bundle_path: Path) -> Path:
    """The file of the stamp: `bundle.verified.json` beside `bundle.zip`."""
    return bundle_path.with_suffix(SUFFIX)


def write(bundle_path: Path, stamp: Stamp) -> Path:
    """Write the stamp beside its bundle, and return its path."""
    return write_file(stamp_path(bundle_path), text(stamp.model_dump()))


def describe(bundle_path: Path, sha256: str) -> str:
    """The sentence on a page: the one of the stamp beside the bundle, or UNVERIFIED if it is not for this digest."""
    path = stamp_path(bundle_path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        stamp = validate(Stamp, parse(data, path.name), path.name)
    except (OSError, BadBundle):
        return UNVERIFIED
    return str(stamp) if stamp.sha256 == sha256 else UNVERIFIED
