"""Attention as files: a page, long tables, and pictures. Imports `page`, `picture` and below."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prunebench.reports.attention import plots
from prunebench.reports.attention.page import blocks
from prunebench.reports.attention.result import MEASURES, Comparison
from prunebench.reports.render.files import csv_table, saved
from prunebench.reports.render.markdown import markdown
from prunebench.reports.render.plots import drawn, shown

TEXTS = ("md", "csv")


def write(
    found: Comparison, out: Path, formats: Sequence[str], command: str, heads: Sequence[plots.Head] = ()
) -> list[Path]:
    """Write the files into the folder `out`, and return their paths."""
    makes: dict[str, Any] = {"summary": functools.partial(plots.summary, found)}
    for number in range(len(found.texts)):
        makes[f"text-{number + 1}"] = functools.partial(plots.text, found, number, heads)
    files: dict[str, bytes] = {}
    for name, make in makes.items():
        files |= drawn(name, make, formats)
    if "csv" in formats:
        files["summary.csv"] = csv_table(_measures(found)).encode()
        files["maps.csv"] = csv_table(_maps(found)).encode()
    if "md" in formats:
        pictures = {name: file for name in makes if (file := shown(files, name))}
        parts = [block if isinstance(block, str) else markdown([block]).rstrip("\n")
                 for block in blocks(found, pictures, command)]  # fmt: skip
        files["README.md"] = ("\n\n".join(parts) + "\n").encode()
    return saved(out, files)


def _measures(found: Comparison) -> Iterator[dict[str, Any]]:
    """A line for each model and head; what a head that is gone does not have is empty."""
    for model in found.models:
        for layer, head in np.ndindex(next(iter(model.measures.values())).shape):
            values = {measure: float(model.measures[measure][layer, head]) for measure in MEASURES}
            known = {name: "" if np.isnan(value) else value for name, value in values.items()}
            yield {"model": model.name, "layer": layer, "head": head, **known}


def _maps(found: Comparison) -> Iterator[dict[str, Any]]:
    """A line for each model, text, head and pair of tokens."""
    for model in found.models:
        for number, shown_map in enumerate(model.maps, 1):
            for (layer, head, i, j), value in np.ndenumerate(shown_map.weights):
                if not np.isnan(value):
                    place = {"model": model.name, "text": number, "layer": layer, "head": head}
                    tokens = {"i": i, "token_i": shown_map.tokens[i], "j": j, "token_j": shown_map.tokens[j]}
                    yield {**place, **tokens, "attention": float(value)}
