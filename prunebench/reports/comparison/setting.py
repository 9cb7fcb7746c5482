"""Under which setting the rows of a comparison were made, as it is printed. Imports `results` and `selection`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prunebench.reports.leaderboard.averages import by_task
from prunebench.reports.render.formatting import listing
from prunebench.results.filters import environment
from prunebench.results.rows import Row

# What a setting is called where it is printed.
SETTING = {
    "model": "model",
    "model_revision": "model revision",
    "model_fingerprint": "model fingerprint",
    "protocol": "protocol",
    "precision": "precision",
    "device": "device",
    "prunable": "prunable weights",
}


def setting(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """What is printed of the setting of these rows, by its title."""
    for name, title in SETTING.items():
        values = sorted({value for row in rows if (value := getattr(row.cell.setting, name))})
        if name == "protocol" and len(values) > 1:
            yield title, _protocols(by_task(rows))
        elif values:
            yield title, "; ".join(values)
    yield "split", listing(sorted({row.cell.split for row in rows}))
    yield "seeds", listing(sorted({row.cell.seed for row in rows}))
    if hardware := environment(rows).get("hardware"):
        yield "hardware", "; ".join(hardware)


def _protocols(tasks: Mapping[str, Sequence[Row]]) -> str:
    """Each protocol with its tasks: what stands over tasks is not all of one."""
    found: dict[str, list[str]] = {}
    for task, rows in tasks.items():
        for protocol in sorted({row.cell.setting.protocol for row in rows}):
            found.setdefault(protocol, []).append(task)
    return "; ".join(f"{protocol} for {listing(found[protocol])}" for protocol in sorted(found))
