"""Where the numbers of a page come from: model, seeds, split, hardware and versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prunebench.reports.render.formatting import listing
from prunebench.results.rows import Row
from prunebench.store.schema import Cell

# The fields of a `Setting` in the order in which pages print them, and their titles.
TITLES = {
    "model": "model",
    "model_revision": "model revision",
    "model_fingerprint": "model fingerprint",
    "protocol": "protocol",
    "precision": "precision",
    "device": "device",
    "prunable": "prunable weights",
    "code": "code",
}
ENVIRONMENT = ("hardware", "prunebench", "torch", "transformers", "threads")


def setting(cells: Iterable[Cell]) -> Iterator[tuple[str, str]]:
    """Names and values of the setting, the protocols and the seeds."""
    every = list(cells)
    for name in TITLES:
        values = {getattr(cell.setting, name) for cell in every}
        if name != "protocol" and any(values):
            # Not the title: the pages of transfers and masks say "prunable" for short.
            yield name.replace("_", " "), ", ".join(sorted(values))
    yield "protocol", "; ".join(sorted({cell.setting.protocol for cell in every}))
    yield "seeds", ", ".join(str(seed) for seed in sorted({cell.seed for cell in every}))


def splits(cells: Iterable[Cell]) -> Iterator[tuple[str, str]]:
    """The splits that the scores were measured on."""
    yield "split", listing(sorted({cell.split for cell in cells}))


def environment_entries(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """The hardware and the versions that matter most."""
    values = environment(rows)
    yield from ((name, "; ".join(values[name])) for name in ENVIRONMENT if name in values)


def environment(rows: Iterable[Row]) -> dict[str, list[str]]:
    """All values of each entry of the records' environments."""
    by_name: dict[str, set[str]] = {}
    for row in rows:
        for name, value in (row.outcome.environment if row.outcome else {}).items():
            by_name.setdefault(name, set()).add(value)
    return {name: sorted(values) for name, values in sorted(by_name.items())}
