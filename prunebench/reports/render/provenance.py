"""What a page says of where its numbers come from. Imports `results`, and how leaderboards list things."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prunebench.reports.render.numbers import listing
from prunebench.results.rows import Row
from prunebench.store.schema import Cell

SETTING = ("model", "model_revision", "model_fingerprint", "precision", "device", "prunable", "code")
ENVIRONMENT = ("hardware", "prunebench", "torch", "transformers", "threads")


def setting(cells: Iterable[Cell]) -> Iterator[tuple[str, str]]:
    """Model, protocols and seeds of some cells, a line each."""
    found = list(cells)
    for name in SETTING:
        values = {getattr(cell.setting, name) for cell in found}
        if any(values):
            yield name.replace("_", " "), ", ".join(sorted(values))
    yield "protocol", "; ".join(sorted({cell.setting.protocol for cell in found}))
    yield "seeds", ", ".join(str(seed) for seed in sorted({cell.seed for cell in found}))


def splits(cells: Iterable[Cell]) -> Iterator[tuple[str, str]]:
    """What the scores of some cells were measured on, in a line."""
    yield "split", listing(sorted({cell.split for cell in cells}))


def made_with(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Hardware and the versions that matter most, a line each."""
    found = environment(rows)
    yield from ((name, "; ".join(found[name])) for name in ENVIRONMENT if name in found)


def environment(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Every value of every entry of the records' environments."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for name, value in (row.outcome.environment if row.outcome else {}).items():
            found.setdefault(name, set()).add(value)
    return {name: sorted(values) for name, values in sorted(found.items())}
