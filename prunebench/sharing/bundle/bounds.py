"""Bounds of everything in a bundle that could otherwise be large or absurd.

`reader.load` checks them, so that `verify` and every page read the same values: what `verify` accepts can be drawn.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.schema import Manifest, PlannedLine
from prunebench.sharing.bundle.strict import count_values
from prunebench.store.schema import SECONDS, Cell, Record
from prunebench.tasks.protocol import Protocol

# Phases of one record, and of all: IMP to 0.99 in steps of 0.1 of the remaining weights has 140.
MAX_PHASES, MAX_ALL_PHASES = 500, 300_000
# Characters of a name, and of a text such as a command or a reason.
MAX_NAME, MAX_TEXT = 500, 20_000
# Entries of a mapping in a record, such as its metrics.
MAX_ENTRIES = 50
# Methods, tasks, seeds and sparsities. A page has a table for each task, and compares all pairs of methods.
MAX_METHODS, MAX_TASKS, MAX_SEEDS, MAX_LEVELS, MAX_PLANS = 300, 100, 1000, 200, 1000
# Seconds of a part of a job: clocks do not resolve less, and no job takes three years.
LEAST_SECONDS, MOST_SECONDS = 1e-6, 1e8
MOST_MEMORY_MB = 1e9
# JSON values in all members: this many, and so many for each byte of the file. Results have one in two bytes.
MAX_VALUES, MAX_VALUES_BYTE = 1_000_000, 4
# Scores are fractions from 0 to 1, correlations from -1 to 1. Metrics of plugins may be of another size.
MOST_SCORE = 1e6
# Parts of a job whose seconds every record has. Earlier versions did not measure `predict`.
PARTS = ("load", "train", "prune", "evaluate")


def check_values(members: Mapping[str, bytes], file_size: int) -> None:
    """Raise BadBundle where parsing the JSON of all `members` could take much more memory than the file's size."""
    values = sum(count_values(data) for name, data in members.items() if name.endswith((".json", ".jsonl")))
    if values > (most := MAX_VALUES + MAX_VALUES_BYTE * file_size):
        raise BadBundle(f"its files may hold {values} values", f"expected at most {most}")


def check_manifest(manifest: Manifest) -> None:
    """Raise BadBundle for a manifest with too many plans or strategies, or with texts that are too long."""
    _check_number("plans", manifest.plans, MAX_PLANS)
    _check_number("strategies", manifest.strategies, 2 * MAX_METHODS)
    for plan in manifest.plans:
        _check_texts("a plan", (plan.command,), MAX_TEXT)
        _check_texts("a plan", (plan.kind, plan.suite, plan.written))
    _check_texts("a strategy", manifest.strategies)


def check_planned(lines: Iterable[PlannedLine]) -> None:
    """Raise BadBundle for a text of a plan that is too long."""
    for line in lines:
        _check_texts("a plan", (line.kind, line.suite, line.task, line.label))


def check_cells(cells: Sequence[Cell]) -> None:
    """Raise BadBundle for too many methods, tasks, seeds or sparsities, and for texts that are too long."""
    _check_number("methods", {cell.label for cell in cells}, MAX_METHODS)
    _check_number("tasks", {cell.task for cell in cells}, MAX_TASKS)
    _check_number("seeds", {cell.seed for cell in cells}, MAX_SEEDS)
    _check_number("sparsities", {cell.sparsity for cell in cells}, MAX_LEVELS)
    for cell in cells:
        name = f"the cell {cell.key}"
        for entries in (cell.metrics, cell.evaluations, cell.options, cell.unsupported):
            _check_number(f"entries in {name}", entries, MAX_ENTRIES)
            _check_texts(name, entries)
        _check_number(f"trainings of {name}", cell.trainings, MAX_PHASES)
        _check_texts(name, (cell.strategy, cell.label, cell.unit, cell.control_of or "", cell.source, cell.mask_from))
        _check_texts(name, (cell.task, cell.benchmark, cell.split, *vars(cell.setting).values()))
        _check_texts(name, (cell.doc, *cell.unsupported.values()), MAX_TEXT)


def check_records(records: Iterable[Record]) -> None:
    """Raise BadBundle for the first record with a value out of bounds."""
    phases = 0
    for record in records:
        name = f"the record {record.key}"
        _check_number(f"phases of {name}", record.phases, MAX_PHASES)
        phases += len(record.phases)
        if phases > MAX_ALL_PHASES:
            raise BadBundle(f"the records have more than {MAX_ALL_PHASES} phases")
        for entries in (record.evaluations, record.checks, record.environment, record.seconds, record.experiment.sizes):
            _check_number(f"entries in {name}", entries, MAX_ENTRIES)
            _check_texts(name, entries)
        _check_texts(name, (value for value in record.environment.values() if isinstance(value, str)))
        _check_protocol(name, record)
        _check_scores(name, record)
        _check_seconds(name, record)


def _check_protocol(name: str, record: Record) -> None:
    try:
        # The types of its fields are those of the defaults, or None where that is one.
        protocol = Protocol(**record.experiment.protocol)  # type: ignore[arg-type]
        types = typing.get_type_hints(Protocol)
        wrong = [field for field, kind in types.items() if not _is_a(getattr(protocol, field), kind)]
    except (TypeError, PrunebenchError):
        wrong = ["fields"]
    if wrong:
        raise BadBundle(f"{name} has a protocol that no run has: {', '.join(wrong)}")


def _is_a(value: object, kind: Any) -> bool:
    """Whether a value has a type; whole numbers are numbers too, and True is none."""
    return isinstance(value, kind | int if kind is float else kind) and not isinstance(value, bool)


def _check_scores(name: str, record: Record) -> None:
    for scores in record.evaluations.values():
        for values in (scores.metrics, scores.majority):
            _check_number(f"metrics in {name}", values, MAX_ENTRIES)
            _check_texts(name, values)
            if any(abs(value) > MOST_SCORE for value in values.values()):
                raise BadBundle(f"{name} has a score out of bounds", f"expected at most {MOST_SCORE:g}")


def _check_seconds(name: str, record: Record) -> None:
    known = {*SECONDS, "predict", "method"}
    if (missing := set(PARTS) - record.seconds.keys()) or (unknown := record.seconds.keys() - known):
        raise BadBundle(
            f"{name} lacks the seconds of {min(missing)}" if missing else f"{name} has seconds of {min(unknown)!r}",
            f"expected those of {', '.join(PARTS)}",
        )
    for part, seconds in record.seconds.items():
        if seconds and not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            raise BadBundle(
                f"{name} says that {part} took {seconds:g} s",
                f"expected 0, or from {LEAST_SECONDS:g} to {MOST_SECONDS:g}",
            )
    if record.peak_memory_mb > MOST_MEMORY_MB:
        raise BadBundle(f"{name} says {record.peak_memory_mb:g} MB of memory", f"expected at most {MOST_MEMORY_MB:g}")


def _check_number(entries: str, values: Sized, most: int) -> None:
    if len(values) > most:
        raise BadBundle(f"there are {len(values)} {entries}", f"expected at most {most}")


def _check_texts(name: str, texts: Iterable[str], most: int = MAX_NAME) -> None:
    for text in texts:
        if len(text) > most:
            raise BadBundle(f"{name} has a text of {len(text)} characters", f"expected at most {most}")
