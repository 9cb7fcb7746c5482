"""The long table as CSV, and the whole page as JSON. Imports `model` and `table`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from prunebench import table
from prunebench.leaderboard.model import Line, Page, Score, Section
from prunebench.table import dumps

FORMAT = 1


def to_csv(page: Page) -> str:
    """The long table, with the setting of every row."""
    return table.to_csv(page.rows)


def to_json(page: Page) -> str:
    """One object: the page's setting and each task's, warnings, commands, methods, summary (an entry for each method,
    sparsity and column) and rows (the long table)."""
    head = {
        "format": FORMAT,
        "suites": page.suites,
        "setting": dict(page.setting),
        "tasks": {row.cell.task: vars(row.cell.setting) for row in page.rows},
        "warnings": page.warnings,
        "commands": page.commands,
        "methods": [dataclasses.asdict(method) for method in page.methods],
    }
    lists = {
        "summary": [entry for section in (*page.averages, *page.sections) for entry in _summary(section)],
        "rows": [table.flat(row) for row in page.rows],
    }
    parts = [f"{json.dumps(name)}: {dumps(value)}" for name, value in head.items()]
    # An entry a line: quick to write, and a difference between two pages shows which entries changed.
    for name, entries in lists.items():
        lines = ",\n".join(map(dumps, entries))
        parts.append(f"{json.dumps(name)}: [\n{lines}\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _summary(section: Section) -> Iterator[dict[str, Any]]:
    yield from _entries(section, None, 0.0, section.dense)
    for track in section.tracks:
        for level in track.levels:
            for line in level.lines:
                yield from _entries(section, track.name, level.sparsity, line)


def _entries(section: Section, track: str | None, sparsity: float, line: Line) -> Iterator[dict[str, Any]]:
    for column, majority, score in zip(section.columns, section.majority, line.scores, strict=True):
        yield {
            "section": section.title,
            "task": section.name,
            "column": column,
            "track": track,
            "sparsity": sparsity,
            "label": line.label,
            **_numbers(score),
            "majority": majority,
            "gaps": line.gaps,
            "reasons": line.reasons,
        }


def _numbers(score: Score) -> dict[str, Any]:
    empty = {"n": 0, "mean": None, "std": None, "minimum": None, "maximum": None, "median": None}
    return {
        **(dataclasses.asdict(score.summary) if score.summary else empty),
        "values": score.values,
        "degenerate_seeds": sorted(score.degenerate),
        "best": score.best,
        "difference": dataclasses.asdict(score.difference) if score.difference else None,
    }
