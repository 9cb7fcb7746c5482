"""The reporting checklist: what reviewers ask about a table of results, answered from the rows of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prunebench.recipes.strategy import denominator
from prunebench.reports.leaderboard.report import Check, Line, Section
from prunebench.reports.render.formatting import listing, seeds
from prunebench.results.rows import Row

# Seeds for a trustworthy mean and spread, and the fewest with which anything is tested.
ENOUGH_SEEDS, LEAST_SEEDS = 5, 3
# The standard metrics of the GLUE tasks that have two, and MNLI's two evaluations.
TWO = {
    "mrpc": {"accuracy", "f1"},
    "qqp": {"accuracy", "f1"},
    "stsb": {"pearson", "spearmanr"},
    "mnli": {"matched", "mismatched"},
}
RANDOM_MASK, RANDOM_WEIGHTS = "random-pruning", "random-reinit"

# Whether a point is met (None: in part), and the details.
Answer = tuple[bool | None, str]


def checklist(rows: Sequence[Row], sections: Sequence[Section]) -> tuple[Check, ...]:
    """The entries, in the order of `QUESTIONS`."""
    return tuple(Check(question, *answer(rows, sections)) for question, answer in QUESTIONS.items())


def _controls(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    """Whether every method has controls, and whether random masks and random weights are among them."""
    methods = {row.cell.label for row in rows if not row.cell.is_dense and row.cell.control_of is None}
    controls = {(row.cell.strategy, row.cell.label, row.cell.control_of) for row in rows if row.cell.control_of}
    if not controls:
        return (False, "no controls") if methods else (None, "nothing is pruned")
    kinds = {strategy for strategy, _, _ in controls}
    without = sorted(methods - {of for _, _, of in controls})
    details = "; ".join(f"{label} of {of}" for _, label, of in sorted(controls, key=str))
    if without:
        details += f"; none for {listing(without)}"
    return True if {RANDOM_MASK, RANDOM_WEIGHTS} <= kinds and not without else None, details


def _seeds(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    counts = [score.summary.n if score.summary else 0 for line in _lines(sections) for score in line.scores]
    least, most = min(counts), max(counts)
    details = f"{least} in every row" if least == most else f"{least} to {most} per row"
    return _grade(least >= ENOUGH_SEEDS, least >= LEAST_SEEDS), f"{details}; {ENOUGH_SEEDS} are recommended"


def _cells(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    statuses = {id(row.cell): row.status for row in rows}
    incomplete = [status for status in statuses.values() if status != "done"]
    if not incomplete:
        return True, f"{len(statuses)} of {len(statuses)} cells"
    failed = sum(status != "missing" for status in incomplete)
    done = len(statuses) - len(incomplete)
    return None, f"{done} of {len(statuses)} cells; {failed} failed, {len(incomplete) - failed} missing"


def _metrics(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    names: dict[str, set[str]] = {}
    for row in rows:
        names.setdefault(row.cell.task, set()).update((row.metric, row.evaluation))
    lacking = sorted(task for task, expected in TWO.items() if task in names and not expected <= names[task])
    if lacking:
        return False, f"not on {listing(lacking)}"
    return True, "; ".join(f"{section.name}: {listing(section.columns)}" for section in sections)


def _dense(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    without = {(row.cell.task, row.cell.seed) for row in rows if row.status == "done" and row.dense is None}
    if not without:
        return True, "every row has one"
    by_task = {task: {seed for name, seed in without if name == task} for task, _ in without}
    return False, "not for " + "; ".join(f"{task} {seeds(by_task[task])}" for task in sorted(by_task))


def _above_majority(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    below = [
        section.name
        for section in sections
        for score, majority in list(zip(section.dense.scores, section.majority, strict=True))[:1]
        if score.summary is not None and majority is not None and score.summary.mean <= majority
    ]
    return (False, f"not on {listing(below)}") if below else (True, "on every task")


def _split(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    splits = {row.cell.split for row in rows}
    return all(splits), listing(sorted(filter(None, splits))) or "not stated"


def _denominator(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    units = {denominator(row.cell.unit, row.outcome.budget) for row in rows if row.outcome and row.outcome.units}
    if not units:
        return False, "not stated"
    return True, f"sparsity is a fraction of {listing(sorted(units))}, counted in each section"


def _structured(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    tracks = sorted({row.cell.track for row in rows if not row.cell.is_dense})
    return _grade(len(tracks) > 1, bool(tracks)), listing(tracks) or "nothing is pruned"


def _speed(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    """For how many cells the speed of prediction was measured, and whether on one kind of hardware."""
    outcomes = {id(row.cell): row.outcome for row in rows if row.outcome is not None}.values()
    measured = [outcome for outcome in outcomes if outcome.speed is not None]
    if not measured:
        return False, "not measured"
    kinds = {outcome.environment.get("hardware", "") for outcome in measured}
    complete = len(measured) == len(outcomes) and len(kinds) == 1
    return complete or None, f"for {len(measured)} of {len(outcomes)} cells; kinds of hardware: {len(kinds)}"


def _hardware(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    kinds = {row.outcome.environment.get("hardware", "") for row in rows if row.outcome is not None}
    names = sorted(filter(None, kinds))
    return _grade(len(kinds) == 1 and len(names) == 1, bool(names)), "; ".join(names) or "not stated"


def _versions(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    names = ("model_fingerprint", "data", "protocol")
    lacking = [name.replace("_", " ") for name in names if not all(getattr(row.cell.setting, name) for row in rows)]
    return (False, f"not stated: {listing(lacking)}") if lacking else (True, "fingerprints and protocol are stated")


def _failed_checks(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    failed = {(row.cell.label, name) for row in rows if row.outcome for name in row.outcome.failed_checks}
    if failed:
        return False, "; ".join(f"{label}: {name}" for label, name in sorted(failed))
    return True, "all recorded checks passed"


def _grade(complete: bool, partial: bool) -> bool | None:
    return True if complete else None if partial else False


def _lines(sections: Sequence[Section]) -> list[Line]:
    lines = [line for section in sections for track in section.tracks for level in track.levels for line in level.lines]
    return lines or [section.dense for section in sections]


QUESTIONS: dict[str, Callable[[Sequence[Row], Sequence[Section]], Answer]] = {
    "controls: random masks and random weights": _controls,
    "seeds": _seeds,
    "all planned cells": _cells,
    "all metrics of each task": _metrics,
    "comparison with the dense run of the same seed": _dense,
    "dense runs above the majority class": _above_majority,
    "split stated": _split,
    "denominator of sparsity stated": _denominator,
    "structured and unstructured pruning": _structured,
    "hardware stated, one kind": _hardware,
    "speed measured on that hardware": _speed,
    "model, data and protocol stated": _versions,
    "counts exact, pruned weights zero, compaction exact": _failed_checks,
}
