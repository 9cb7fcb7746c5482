"""What a reviewer asks of a table of results, and what these results say to it. Imports `model` and `results`.

Nothing is asserted here: every answer is computed from the rows of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prunebench.reports.leaderboard.model import Check, Line, Section
from prunebench.reports.render.formatting import listing, seeds
from prunebench.results.rows import Row

# Seeds that a mean and its spread want, and those without which nothing is tested.
ENOUGH_SEEDS, LEAST_SEEDS = 5, 3
# The standard metrics of GLUE's tasks that have two, and MNLI's two evaluations.
TWO = {
    "mrpc": {"accuracy", "f1"},
    "qqp": {"accuracy", "f1"},
    "stsb": {"pearson", "spearmanr"},
    "mnli": {"validation_matched", "validation_mismatched"},
}
RANDOM_MASK, RANDOM_WEIGHTS = "random-pruning", "random-reinit"

Answer = tuple[bool | None, str]


def checklist(rows: Sequence[Row], sections: Sequence[Section]) -> tuple[Check, ...]:
    """The entries in the order in which a reader would ask."""
    return tuple(Check(what, *answer(rows, sections)) for what, answer in QUESTIONS.items())


def _controls(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    """Random masks and random weights, of as many of the methods as there are."""
    methods = {row.cell.label for row in rows if not row.cell.is_dense and row.cell.control_of is None}
    controls = {(row.cell.strategy, row.cell.label, row.cell.control_of) for row in rows if row.cell.control_of}
    if not controls:
        return (False, "no control") if methods else (None, "nothing is pruned")
    kinds = {strategy for strategy, _, _ in controls}
    controlled = {of for _, _, of in controls} & methods
    found = "; ".join(f"{label} of {of}" for _, label, of in sorted(controls, key=str))
    lacking = sorted(methods - controlled)
    said = f"{found}; none for {listing(lacking)}" if lacking else found
    return True if {RANDOM_MASK, RANDOM_WEIGHTS} <= kinds and not lacking else None, said


def _seeds(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    counts = [score.summary.n if score.summary else 0 for line in _lines(sections) for score in line.scores]
    least, most = min(counts), max(counts)
    found = f"{least} in every row" if least == most else f"{least} to {most} in a row"
    return _grade(least >= ENOUGH_SEEDS, least >= LEAST_SEEDS), f"{found}; {ENOUGH_SEEDS} are asked for"


def _every_cell(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    cells = {id(row.cell): row.status for row in rows}
    lost = [status for status in cells.values() if status != "done"]
    if not lost:
        return True, f"{len(cells)} of {len(cells)} cells"
    failed = sum(status != "missing" for status in lost)
    return None, f"{len(cells) - len(lost)} of {len(cells)} cells; {failed} failed, {len(lost) - failed} are missing"


def _metrics(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.cell.task, set()).update((row.metric, row.evaluation))
    lacking = sorted(task for task, wanted in TWO.items() if task in found and not wanted <= found[task])
    if lacking:
        return False, f"not on {listing(lacking)}"
    return True, "; ".join(f"{section.name}: {listing(section.columns)}" for section in sections)


def _dense(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    without = {(row.cell.task, row.cell.seed) for row in rows if row.status == "done" and row.dense is None}
    if not without:
        return True, "every row has it"
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
    return all(splits), listing(sorted(filter(None, splits))) or "not named"


def _denominator(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    found = {row.cell.unit + "s" for row in rows if row.outcome is not None and row.outcome.units}
    return bool(found), f"sparsity is of {listing(sorted(found))}, counted at each table" if found else "not named"


def _structured(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    tracks = sorted({row.cell.track for row in rows if not row.cell.is_dense})
    return _grade(len(tracks) > 1, bool(tracks)), listing(tracks) or "nothing is pruned"


def _speed(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    """Of how many cells the speed is known that their models predict with, all on one kind of hardware."""
    outcomes = {id(row.cell): row.outcome for row in rows if row.outcome is not None}.values()
    measured = [outcome for outcome in outcomes if outcome.speed is not None]
    if not measured:
        return False, "not measured"
    kinds = {outcome.environment.get("hardware", "") for outcome in measured}
    whole = len(measured) == len(outcomes) and len(kinds) == 1
    return whole or None, f"of {len(measured)} of {len(outcomes)} cells; kinds of hardware: {len(kinds)}"


def _hardware(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    found = {row.outcome.environment.get("hardware", "") for row in rows if row.outcome is not None}
    names = sorted(filter(None, found))
    return _grade(len(found) == 1 and len(names) == 1, bool(names)), "; ".join(names) or "not named"


def _versions(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    wanted = ("model_fingerprint", "data", "protocol")
    lacking = [name.replace("_", " ") for name in wanted if not all(getattr(row.cell.setting, name) for row in rows)]
    return (False, f"not named: {listing(lacking)}") if lacking else (True, "fingerprints and protocol are named")


def _held(rows: Sequence[Row], sections: Sequence[Section]) -> Answer:
    broken = {(row.cell.label, name) for row in rows if row.outcome for name in row.outcome.failed_checks}
    if broken:
        return False, "; ".join(f"{label}: {name}" for label, name in sorted(broken))
    return True, "every recorded check held"


def _grade(whole: bool, part: bool) -> bool | None:
    return True if whole else None if part else False


def _lines(sections: Sequence[Section]) -> list[Line]:
    lines = [line for section in sections for track in section.tracks for level in track.levels for line in level.lines]
    return lines or [section.dense for section in sections]


QUESTIONS: dict[str, Callable[[Sequence[Row], Sequence[Section]], Answer]] = {
    "controls: random masks and random weights": _controls,
    "seeds": _seeds,
    "every planned cell": _every_cell,
    "every metric of each task": _metrics,
    "compared with the dense run of the same seed": _dense,
    "dense runs above the majority class": _above_majority,
    "split named": _split,
    "denominator of sparsity named": _denominator,
    "structured beside unstructured pruning": _structured,
    "hardware named, one kind": _hardware,
    "speed measured on it": _speed,
    "model, data and protocol named": _versions,
    "counts exact, pruned weights zero, compaction exact": _held,
}
