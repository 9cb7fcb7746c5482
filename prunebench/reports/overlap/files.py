"""A report on masks as files in a folder: the page, CSV tables and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prunebench.reports.overlap.page import blocks
from prunebench.reports.overlap.pairs import Pair, Part
from prunebench.reports.overlap.plots import pictures
from prunebench.reports.overlap.profile import sparsity
from prunebench.reports.overlap.report import Report, UnitMasks
from prunebench.reports.render.files import csv_table, write_files
from prunebench.reports.render.markdown import markdown
from prunebench.reports.render.plots import page_image, render_figure

TEXT_FORMATS = ("md", "csv")


def write(report: Report, out: Path, formats: Sequence[str], command: str) -> list[Path]:
    """Write the files into the folder `out`, and return their paths."""
    files: dict[str, bytes] = {}
    in_page: dict[str, str] = {}
    for unit in report.units:
        for kind, draw in pictures(unit).items():
            name = f"{kind}-{unit.unit}"
            files |= render_figure(name, draw, formats)
            in_page[name] = page_image(files, name)
    if "csv" in formats:
        files["overlap.csv"] = csv_table(line for unit in report.units for line in _overlap_lines(unit)).encode()
        files["sparsity.csv"] = csv_table(line for unit in report.units for line in _sparsity_lines(unit)).encode()
        files["heads.csv"] = csv_table(line for unit in report.units for line in _head_lines(unit)).encode()
    if "md" in formats:
        parts = [block if isinstance(block, str) else markdown([block]).rstrip("\n")
                 for block in blocks(report, in_page, command)]  # fmt: skip
        files["README.md"] = ("\n\n".join(parts) + "\n").encode()
    # A table without lines is no file.
    return write_files(out, {name: data for name, data in files.items() if data})


def _overlap_lines(unit: UnitMasks) -> Iterator[dict[str, Any]]:
    """For each pair a line for all, for each layer, for each matrix over all layers, and for each matrix of a layer."""
    for pair in unit.pairs:
        for layer in (None, *unit.layers):
            for matrix in (None, *unit.matrices):
                part = pair.part(layer, matrix)
                if part.groups:
                    yield {**_masks(pair), "layer": _or_all(layer), "matrix": _or_all(matrix), **_numbers(part)}


def _or_all(value: int | str | None) -> str:
    return "all" if value is None else str(value)


def _masks(pair: Pair) -> dict[str, Any]:
    sides = {
        f"{name}_{side}": getattr(mask, name)
        for side, mask in (("a", pair.one), ("b", pair.other))
        for name in ("method", "task", "seed")
    }
    return {"unit": pair.one.unit, "differ_in": pair.kind, **sides}


def _numbers(part: Part) -> dict[str, Any]:
    whole = part.sum
    return {
        "units": whole.units,
        "kept_a": whole.one,
        "kept_b": whole.other,
        "both": whole.both,
        "jaccard": whole.jaccard,
        "jaccard_by_chance": part.chance,
        "jaccard_given_magnitudes": "" if part.given_magnitudes is None else part.given_magnitudes,
        "agreement": whole.agreement,
        "agreement_by_chance": part.chance_agreement,
    }


def _sparsity_lines(unit: UnitMasks) -> Iterator[dict[str, Any]]:
    """A line for each mask and group of units."""
    for mask in unit.masks:
        for name, location in mask.locations.items():
            yield {
                "unit": mask.unit,
                "method": mask.method,
                "task": mask.task,
                "seed": mask.seed,
                "layer": location.layer,
                "matrix": location.matrix,
                "units": mask.packed.units(name),
                "kept": mask.packed.kept_units[name],
                "sparsity": sparsity(mask, name),
            }


def _head_lines(unit: UnitMasks) -> Iterator[dict[str, Any]]:
    """A line for each mask and head."""
    for (method, task, seed), heads in unit.heads.items():
        for head in heads:
            yield {
                "unit": unit.unit,
                "method": method,
                "task": task,
                "seed": seed,
                "layer": head.layer,
                "head": head.head,
                "units": head.units,
                "kept": head.remaining,
                "silent": "true" if head.silent else "false",
            }
