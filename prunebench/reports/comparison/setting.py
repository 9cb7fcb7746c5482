"""The setting of a comparison, as its page prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prunebench.reports.leaderboard.averages import rows_by_task
from prunebench.reports.render.formatting import listing
from prunebench.reports.render.provenance import TITLES
from prunebench.results.rows import Row
from prunebench.results.warnings import environment

# The fields of a `Setting` that are printed.
FIELDS = ("model", "model_revision", "model_fingerprint", "protocol", "precision", "device", "prunable")


def setting(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """The setting of these rows as pairs of title and value."""
    for name in FIELDS:
        values = sorted({value for row in rows if (value := getattr(row.cell.setting, name))})
        if name == "protocol" and len(values) > 1:
            yield TITLES[name], _protocols(rows_by_task(rows))
        elif values:
            yield TITLES[name], "; ".join(values)
    yield "split", listing(sorted({row.cell.split for row in rows}))
    yield "seeds", listing(sorted({row.cell.seed for row in rows}))
    if hardware := environment(rows).get("hardware"):
        yield "hardware", "; ".join(hardware)


def _protocols(groups: Mapping[str, Sequence[Row]]) -> str:
    """Each protocol with its tasks: `glue-1 for rte; glue-2 for cola`. A table over tasks may mix several."""
    tasks: dict[str, list[str]] = {}
    for task, rows in groups.items():
        for protocol in sorted({row.cell.setting.protocol for row in rows}):
            tasks.setdefault(protocol, []).append(task)
    return "; ".join(f"{protocol} for {listing(tasks[protocol])}" for protocol in sorted(tasks))
