"""A comparison of attention as files in a folder: the page, CSV tables and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prunebench.reports.attention import plots
from prunebench.reports.attention.page import blocks
from prunebench.reports.attention.result import MEASURES, AttentionComparison
from prunebench.reports.render.files import csv_table, write_files
from prunebench.reports.render.markdown import markdown
from prunebench.reports.render.plots import page_image, render_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT_FORMATS = ("md", "csv")


def write(
    comparison: AttentionComparison, out: Path, formats: Sequence[str], command: str, heads: Sequence[plots.Head] = ()
) -> list[Path]:
    """Write the files into the folder `out`, and return their paths. `heads` restricts the pictures of texts."""
    makers: dict[str, Callable[[], Figure]] = {"summary": partial(plots.summary, comparison)}
    for index in range(len(comparison.texts)):
        makers[f"text-{index + 1}"] = partial(plots.text, comparison, index, heads)
    files: dict[str, bytes] = {}
    for name, make in makers.items():
        files |= render_figure(name, make, formats)
    if "csv" in formats:
        files["summary.csv"] = csv_table(_measure_lines(comparison)).encode()
        files["maps.csv"] = csv_table(_map_lines(comparison)).encode()
    if "md" in formats:
        pictures = {name: file for name in makers if (file := page_image(files, name))}
        parts = [block if isinstance(block, str) else markdown([block]).rstrip("\n")
                 for block in blocks(comparison, pictures, command)]  # fmt: skip
        files["README.md"] = ("\n\n".join(parts) + "\n").encode()
    return write_files(out, files)


def _measure_lines(comparison: AttentionComparison) -> Iterator[dict[str, Any]]:
    """A line for each model and head. The measures of a pruned head are empty."""
    for model in comparison.models:
        for layer, head in np.ndindex(next(iter(model.measures.values())).shape):
            values = {measure: float(model.measures[measure][layer, head]) for measure in MEASURES}
            known = {name: "" if np.isnan(value) else value for name, value in values.items()}
            yield {"model": model.name, "layer": layer, "head": head, **known}


def _map_lines(comparison: AttentionComparison) -> Iterator[dict[str, Any]]:
    """A line for each model, text, head and pair of tokens. Pruned heads are left out."""
    for model in comparison.models:
        for number, map_ in enumerate(model.maps, 1):
            for (layer, head, i, j), value in np.ndenumerate(map_.weights):
                if not np.isnan(value):
                    where = {"model": model.name, "text": number, "layer": layer, "head": head}
                    tokens = {"i": i, "token_i": map_.tokens[i], "j": j, "token_j": map_.tokens[j]}
                    yield {**where, **tokens, "attention": float(value)}
