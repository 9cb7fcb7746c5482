"""A transfer as files in a folder: the page, a CSV table and the heat map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prunebench.reports.render.files import csv_table, write_files
from prunebench.reports.render.markdown import markdown
from prunebench.reports.render.plots import page_image, render_figure
from prunebench.reports.transfer.grid import Grid
from prunebench.reports.transfer.page import blocks, header_blocks
from prunebench.reports.transfer.plots import heat_map
from prunebench.results.rows import Row

TEXT_FORMATS = ("md", "csv")
# The name of the CSV table and of the heat map.
NAME = "transfer"


def write(grid: Grid, out: Path, formats: Sequence[str], command: str) -> list[Path]:
    """Write the files into the folder `out`, and return their paths."""
    files = render_figure(NAME, lambda: heat_map(grid), formats)
    if "csv" in formats:
        files[f"{NAME}.csv"] = to_csv(grid).encode()
    if "md" in formats:
        files["README.md"] = page(grid, command, page_image(files, NAME)).encode()
    return write_files(out, files)


def page(grid: Grid, command: str, picture: str) -> str:
    """The page as Markdown. `picture` is the file of the heat map, or "" for a page without it."""
    image = f"![Heat map of the differences from dense]({picture})\n" if picture else ""
    return "\n".join(filter(None, [markdown(header_blocks(grid)), image, markdown(blocks(grid, command))]))


def to_csv(grid: Grid) -> str:
    """A line for each mask, target, metric and seed. Scores are fractions, and unknown values are empty."""
    return csv_table(_lines(grid))


def _lines(grid: Grid) -> Iterator[dict[str, Any]]:
    own = {_key(row): row.value for row in grid.rows if row.cell.mask_from == row.cell.task}
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
            "own": own.get(_key(row)),
            "majority": row.majority,
            "degenerate": "true" if row.degenerate else "false",
            "key": row.cell.key,
        }


def _key(row: Row) -> tuple[str, str, str, int]:
    """The fields that describe the score of a mask as well as the score of the target's own mask."""
    return row.cell.task, row.evaluation, row.metric, row.cell.seed
