"""A comparison as one flat table, and as JSON with all that it consists of. Imports `model` and below."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from prunebench.reports.comparison.report import Across, Examples, Measured, Report
from prunebench.reports.render.files import csv_table
from prunebench.reports.render.numbers import listing
from prunebench.results.export import dumps
from prunebench.results.statistics.comparison import ALPHA, Comparison

FORMAT = 1


def _numbers(made: Comparison, verdict: str) -> dict[str, Any]:
    found = made.summary
    return {
        "n": made.n,
        "difference": found and found.mean,
        "std": found and found.std,
        "low": made.interval and made.interval.low,
        "high": made.interval and made.interval.high,
        "d_z": made.effect,
        **{f"p_{name}": p for name, p in dataclasses.asdict(made.p).items()},
        **{f"holm_{name}": p for name, p in dataclasses.asdict(made.holm).items()},
        "detectable": made.detectable,
        "verdict": verdict,
    }


def _measured(found: Measured) -> dict[str, Any]:
    means = {"mean_a": found.mean_a, "mean_b": found.mean_b}
    head = {"over": "seeds", "a": found.a, "b": found.b, **dataclasses.asdict(found.place)}
    return head | means | _numbers(found.comparison, found.comparison.verdict())


def _across(found: Across) -> dict[str, Any]:
    head = {"over": "tasks", "a": found.a, "b": found.b, "split": listing(found.splits), "sparsity": found.sparsity}
    return head | _numbers(found.comparison, found.comparison.verdict("wilcoxon"))


def _examples(found: Examples) -> dict[str, Any]:
    head = {"over": "examples", "a": found.a, "b": found.b, **dataclasses.asdict(found.place), "seed": found.seed}
    counts = dataclasses.asdict(found.counts)
    p = counts.pop("p")
    return head | {"n": sum(counts.values())} | counts | {"p_mcnemar": p, "holm_mcnemar": found.holm}


def _lines(report: Report) -> Iterator[dict[str, Any]]:
    yield from map(_measured, report.measured)
    yield from map(_across, report.across)
    yield from map(_examples, report.examples)


def to_csv(report: Report) -> str:
    """A line for each comparison; `over` says of what its n are: seeds, tasks, or examples. Scores are fractions."""
    return csv_table(_lines(report))


def to_json(report: Report) -> str:
    """One object; a comparison also has the difference of every seed or task. Scores are fractions, not × 100."""
    head = {
        "format": FORMAT,
        "methods": report.methods,
        "reference": report.reference,
        "interval": report.interval,
        "setting": dict(report.setting),
        "warnings": report.warnings,
        "notes": report.notes,
        "alpha": ALPHA,
    }
    lists = {
        "comparisons": [_measured(found) | _differences(found.comparison) for found in report.measured],
        "across_tasks": [_across(found) | _differences(found.comparison) for found in report.across],
        "ranks": [
            {"split": listing(found.splits), "sparsity": found.sparsity} | dataclasses.asdict(found.ranking)
            for found in report.ranked
        ],
        "examples": [_examples(found) for found in report.examples],
    }
    parts = [f"{dumps(name)}: {dumps(value)}" for name, value in head.items()]
    for name, entries in lists.items():
        lines = ",\n".join(map(dumps, entries))
        parts.append(f"{dumps(name)}: [\n{lines}\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _differences(made: Comparison) -> dict[str, Any]:
    return {"differences": dict(zip(made.pairs, made.differences, strict=True))}
