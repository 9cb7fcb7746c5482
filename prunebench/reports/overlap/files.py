"""Masks as files: a page, long tables, and pictures. Imports `page`, `picture` and below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prunebench.reports.overlap.page import blocks
from prunebench.reports.overlap.pairs import Pair, Part
from prunebench.reports.overlap.plots import pictures
from prunebench.reports.overlap.profile import sparsity
from prunebench.reports.overlap.report import Report, Unit
from prunebench.reports.render.files import csv_table, saved
from prunebench.reports.render.markdown import markdown
from prunebench.reports.render.plots import drawn, shown

TEXTS = ("md", "csv")


def write(report: Report, out: Path, formats: Sequence[str], command: str) -> list[Path]:
    """Write the files into the folder `out`, and return their paths."""
    files: dict[str, bytes] = {}
    in_page: dict[str, str] = {}
    for unit in report.units:
        for name, make in pictures(unit).items():
            full = f"{name}-{unit.unit}"
            files |= drawn(full, make, formats)
            in_page[full] = shown(files, full)
    if "csv" in formats:
        files["overlap.csv"] = csv_table(line for unit in report.units for line in _overlaps(unit)).encode()
        files["sparsity.csv"] = csv_table(line for unit in report.units for line in _sparsities(unit)).encode()
        files["heads.csv"] = csv_table(line for unit in report.units for line in _heads(unit)).encode()
    if "md" in formats:
        files["README.md"] = page(report, in_page, command).encode()
    return saved(out, {name: data for name, data in files.items() if data})


def page(report: Report, pictures: dict[str, str], command: str) -> str:
    """The page as Markdown."""
    parts = [block if isinstance(block, str) else markdown([block]).rstrip("\n")
             for block in blocks(report, pictures, command)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _overlaps(unit: Unit) -> Iterator[dict[str, Any]]:
    """Of every pair the whole, each layer, each matrix over all layers, and each place."""
    for pair in unit.pairs:
        for layer in (None, *unit.layers):
            for matrix in (None, *unit.matrices):
                part = pair.part(layer, matrix)
                if part.groups:
                    yield {**_pair(pair), "layer": _all(layer), "matrix": _all(matrix), **_part(part)}


def _all(value: int | str | None) -> str:
    return "all" if value is None else str(value)


def _pair(pair: Pair) -> dict[str, Any]:
    sides = {
        f"{name}_{side}": getattr(mask, name)
        for side, mask in (("a", pair.one), ("b", pair.other))
        for name in ("method", "task", "seed")
    }
    return {"unit": pair.one.unit, "differ_in": pair.kind, **sides}


def _part(part: Part) -> dict[str, Any]:
    whole = part.sum
    return {
        "units": whole.units,
        "kept_a": whole.one,
        "kept_b": whole.other,
        "both": whole.both,
        "jaccard": whole.jaccard,
        "jaccard_by_chance": part.chance,
        "agreement": whole.agreement,
        "agreement_by_chance": part.chance_agreement,
    }


def _sparsities(unit: Unit) -> Iterator[dict[str, Any]]:
    for mask in unit.masks:
        for name, place in mask.places.items():
            yield {
                "unit": mask.unit,
                **{about: getattr(mask, about) for about in ("method", "task", "seed")},
                "layer": place.layer,
                "matrix": place.matrix,
                "units": mask.packed.units(name),
                "kept": mask.packed.kept[name],
                "sparsity": sparsity(mask, name),
            }


def _heads(unit: Unit) -> Iterator[dict[str, Any]]:
    for (method, task, seed), found in unit.heads.items():
        for head in found:
            about = {"unit": unit.unit, "method": method, "task": task, "seed": seed}
            yield {**about, **vars(head), "silent": str(head.silent).lower()}
