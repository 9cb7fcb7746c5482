"""The long table as CSV, and the whole page as JSON. Imports `model` and `results`."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from typing import Any

from prunebench.leaderboard.model import Line, Page, Score, Section
from prunebench.results import Row

FORMAT = 1


def flat(row: Row) -> dict[str, Any]:
    """A row of the long table. Scores are fractions, not × 100; what is not known is None."""
    cell, outcome = row.cell, row.outcome
    return {
        **{name: getattr(cell, name) for name in ("suite", "benchmark", "task")},
        "split": row.split,
        "evaluation": row.evaluation,
        "metric": row.metric,
        **{name: getattr(cell, name) for name in ("track", "unit", "strategy", "label", "control_of", "source")},
        "options": dict(cell.options),
        "sparsity": cell.sparsity,
        "seed": cell.seed,
        "status": row.status,
        "value": row.value,
        "dense": row.dense,
        "majority": row.majority,
        "degenerate": row.degenerate,
        "realised": outcome and outcome.realised,
        "pruned": outcome and outcome.pruned,
        "units": outcome and outcome.units,
        "encoder_sparsity_before": outcome and outcome.encoder_before,
        "encoder_sparsity_after": outcome and outcome.encoder_after,
        "encoder_weights": outcome and outcome.encoder_weights,
        "parameters": outcome and outcome.parameters_total,
        "parameters_left": outcome and outcome.parameters_left,
        "trainings_to_find": outcome and outcome.find.trainings,
        "trainings_to_train": outcome and outcome.train.trainings,
        "steps_to_find": outcome and outcome.find.steps,
        "steps_to_train": outcome and outcome.train.steps,
        "failed_checks": list(outcome.failed_checks) if outcome else [],
        "train_examples": outcome and outcome.train_examples,
        "examples": row.examples,
        "hardware": outcome and outcome.environment.get("hardware"),
        "key": cell.key,
    }


def to_csv(page: Page) -> str:
    """The long table with the setting of every row; options are JSON, what is not known is empty."""
    out = io.StringIO()
    rows = [_csv_row(row) for row in page.rows]
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _csv_row(row: Row) -> dict[str, Any]:
    values = flat(row)
    values["options"] = json.dumps(values["options"], sort_keys=True, ensure_ascii=False)
    values["failed_checks"] = " ".join(values["failed_checks"])
    values["degenerate"] = "true" if row.degenerate else "false"
    return values | vars(row.cell.setting)


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
        "rows": [flat(row) for row in page.rows],
    }
    parts = [f"{json.dumps(name)}: {_json(value)}" for name, value in head.items()]
    # An entry a line: quick to write, and a difference between two pages shows which entries changed.
    for name, entries in lists.items():
        lines = ",\n".join(map(_json, entries))
        parts.append(f"{json.dumps(name)}: [\n{lines}\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


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
