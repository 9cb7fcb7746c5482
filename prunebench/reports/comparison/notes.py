"""The sentences of a comparison about its input: what was left out, and what may make a score wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prunebench.planning.levels import describe_unsupported, unsupported_levels
from prunebench.reports.comparison.report import SeedComparison
from prunebench.reports.examples import Examples
from prunebench.reports.render.formatting import METRICS, level, listing, seeds
from prunebench.results.rows import Row


def omissions(comparisons: Iterable[SeedComparison]) -> Iterator[str]:
    """A sentence for whatever is not compared, or not for all seeds, with the reason."""
    same: dict[tuple[str, str, float], None] = {}
    for entry in comparisons:
        where = f"{entry.condition.task} at {level(entry.condition.sparsity)}"
        if not entry.comparison.n:
            yield f"{entry.a} and {entry.b} share no seed on {where}."
        elif entry.same_trainings:
            same[entry.a, entry.b, entry.condition.sparsity] = None
        elif entry.unpaired_seeds:
            yield f"{entry.a} and {entry.b} on {where}: only one of them has {seeds(entry.unpaired_seeds)}."
    for a, b, sparsity in same:
        yield f"At {level(sparsity)}, {a} and {b} are the same trainings, so there is nothing to compare."


def missing_levels(rows: Iterable[Row]) -> Iterator[str]:
    """A sentence for each method that has no model of some sparsities."""
    for label, reasons in unsupported_levels((row.cell, row.cell.sparsity) for row in rows).items():
        yield f"{describe_unsupported(label, reasons)}."


def unequal_training(comparisons: Iterable[SeedComparison]) -> Iterator[str]:
    """A sentence for each method beside the dense model that has a dense run of equal training with other scores."""
    rows: dict[str, Row] = {}
    for entry in comparisons:
        for pair in entry.pairs:
            if any(row.cell.is_plain_dense for row in pair):
                rows |= {row.cell.label: row for row in pair if row.equal is not None and row.equal_trainings != 1}
    for label, row in rows.items():
        if not row.cell.is_dense:
            yield (
                f"{label} was trained {row.equal_trainings:g} times from θ0 and dense once; "
                f"dense[trainings={row.equal_trainings:g}] is the dense model of equal training."
            )


def without_examples(comparisons: Iterable[SeedComparison], examples: Examples | None) -> Iterator[str]:
    """A sentence on the tasks whose errors are over seeds alone, with the reason where it is known."""
    tasks: dict[str, list[str]] = {}
    for name in dict.fromkeys(entry.condition.task for entry in comparisons if not entry.comparison.crossed):
        tasks.setdefault(examples.reasons.get(name, "") if examples else "", []).append(name)
    for reason, names in tasks.items():
        because = f": {reason}" if reason else ""
        yield (
            f"Errors on {listing(names)} are over seeds alone{because}. With predictions and the labels of the task, "
            "which --glue-dir FOLDER gives for GLUE, they are over seeds and examples."
        )


def doubts(comparisons: Iterable[SeedComparison]) -> Iterator[str]:
    """A sentence for each run that failed a check, and for each metric that is undefined for some run."""
    rows = [row for entry in comparisons for pair in entry.pairs for row in pair]
    for row in {row.cell.key: row for row in rows if row.outcome and row.outcome.failed_checks}.values():
        assert row.outcome is not None
        where = f"{row.cell.task} at {level(row.cell.sparsity)}, seed {row.cell.seed}"
        yield f"{row.cell.label} failed the check {listing(row.outcome.failed_checks)} on {where}."
    undefined: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        if row.degenerate:
            undefined.setdefault((row.cell.task, row.metric), {})[row.cell.label] = None
    for (task, metric), labels in undefined.items():
        yield (
            f"On {task}, {METRICS.get(metric, metric)} is undefined for some runs of {listing(labels)}, for example "
            "because all predictions are the same; it counts as 0 there."
        )
