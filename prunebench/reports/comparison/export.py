"""A comparison as one flat CSV table, and as JSON. Both hold fractions, not × 100."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from prunebench.reports.comparison.report import ExampleComparison, Report, SeedComparison, TaskComparison
from prunebench.reports.render.files import csv_table
from prunebench.reports.render.formatting import listing
from prunebench.results.export import dumps
from prunebench.results.statistics.comparison import ALPHA, Comparison

FORMAT = 1


def to_csv(report: Report) -> str:
    """A line for each comparison. The column `over` says what `n` counts: seeds, tasks or examples."""
    return csv_table(_lines(report))


def to_json(report: Report) -> str:
    """One object. Unlike in CSV, a comparison also lists the difference of every seed or task."""
    header = {
        "format": FORMAT,
        "methods": report.methods,
        "reference": report.reference,
        "interval": report.interval,
        "setting": dict(report.setting),
        "verification": report.verification,
        "warnings": report.warnings,
        "notes": report.notes,
        "alpha": ALPHA,
    }
    lists = {
        "comparisons": [_over_seeds(entry) | _differences(entry.comparison) for entry in report.over_seeds],
        "across_tasks": [_over_tasks(entry) | _differences(entry.comparison) for entry in report.over_tasks],
        "ranks": [
            {"split": listing(entry.splits), "sparsity": entry.sparsity} | dataclasses.asdict(entry.ranking)
            for entry in report.rankings
        ],
        "examples": [_over_examples(entry) for entry in report.over_examples],
    }
    parts = [f"{dumps(name)}: {dumps(value)}" for name, value in header.items()]
    for name, entries in lists.items():
        lines = ",\n".join(map(dumps, entries))
        parts.append(f"{dumps(name)}: [\n{lines}\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(report: Report) -> Iterator[dict[str, Any]]:
    yield from map(_over_seeds, report.over_seeds)
    yield from map(_over_tasks, report.over_tasks)
    yield from map(_over_examples, report.over_examples)


def _over_seeds(entry: SeedComparison) -> dict[str, Any]:
    line = {"over": "seeds", "a": entry.a, "b": entry.b, **dataclasses.asdict(entry.condition)}
    line |= {"mean_a": entry.mean_a, "mean_b": entry.mean_b}
    return line | _numbers(entry.comparison, entry.comparison.verdict())


def _over_tasks(entry: TaskComparison) -> dict[str, Any]:
    line = {"over": "tasks", "a": entry.a, "b": entry.b, "split": listing(entry.splits), "sparsity": entry.sparsity}
    return line | _numbers(entry.comparison, entry.comparison.verdict("wilcoxon"))


def _over_examples(entry: ExampleComparison) -> dict[str, Any]:
    line = {"over": "examples", "a": entry.a, "b": entry.b, **dataclasses.asdict(entry.condition), "seed": entry.seed}
    counts = dataclasses.asdict(entry.counts)
    p = counts.pop("p")
    return line | {"n": sum(counts.values())} | counts | {"p_mcnemar": p, "holm_mcnemar": entry.holm}


def _numbers(comparison: Comparison, verdict: str) -> dict[str, Any]:
    summary, interval = comparison.summary, comparison.interval
    return {
        "n": comparison.n,
        "difference": summary and summary.mean,
        "std": summary and summary.std,
        "low": interval and interval.low,
        "high": interval and interval.high,
        "d_z": comparison.effect,
        **{f"p_{name}": p for name, p in dataclasses.asdict(comparison.p).items()},
        **{f"holm_{name}": p for name, p in dataclasses.asdict(comparison.holm).items()},
        "detectable": comparison.detectable,
        "verdict": verdict,
    }


def _differences(comparison: Comparison) -> dict[str, Any]:
    return {"differences": dict(zip(comparison.pairs, comparison.differences, strict=True))}
