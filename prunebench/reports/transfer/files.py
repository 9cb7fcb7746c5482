"""A transfer as files: a page, the long table, and the heat map. Imports `page`, `picture` and below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prunebench.reports.render.files import csv_table, saved
from prunebench.reports.render.markdown import markdown
from prunebench.reports.render.plots import drawn, shown
from prunebench.reports.transfer.grid import Grid
from prunebench.reports.transfer.page import blocks, opening
from prunebench.reports.transfer.plots import heat_map

TEXTS = ("md", "csv")
PICTURE = "transfer"


def write(grid: Grid, out: Path, formats: Sequence[str], command: str) -> list[Path]:
    """Write the files into the folder `out`, and return their paths."""
    files = drawn(PICTURE, lambda: heat_map(grid), formats)
    if "csv" in formats:
        files[f"{PICTURE}.csv"] = to_csv(grid).encode()
    if "md" in formats:
        files["README.md"] = page(grid, command, shown(files, PICTURE)).encode()
    return saved(out, files)


def page(grid: Grid, command: str, picture: str) -> str:
    """The page as Markdown, with the picture in it where there is one."""
    image = f"![Heat map of the differences to dense]({picture})\n" if picture else ""
    return "\n".join(filter(None, [markdown(opening(grid)), image, markdown(blocks(grid, command))]))


def to_csv(grid: Grid) -> str:
    """A line for each mask, target, metric and seed; scores are fractions, what is not known is empty."""
    return csv_table(_lines(grid))


def _lines(grid: Grid) -> Iterator[dict[str, Any]]:
    own = {_place(row): row.value for row in grid.rows if row.cell.mask_from == row.cell.task}
    for row in grid.rows:
        yield {
            "method": grid.method,
            "unit": grid.unit,
            "sparsity": row.cell.sparsity,
            "mask": row.cell.mask_from or "dense",
            "task": row.cell.task,
            "split": row.split,
            "metric": row.metric,
            "seed": row.cell.seed,
            "status": row.status,
            "value": row.value,
            "dense": row.dense,
            "own": own.get(_place(row)),
            "majority": row.majority,
            "degenerate": "true" if row.degenerate else "false",
            "key": row.cell.key,
        }


def _place(row: Any) -> tuple[Any, ...]:
    return row.cell.task, row.evaluation, row.metric, row.cell.seed
