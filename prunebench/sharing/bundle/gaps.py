"""What a bundle lacks: seeds, sparsities and tasks of some methods, cells of its suite, and failures.

None of it makes a bundle wrong, because anyone may select results. But results may have been left out for their values.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning import suite as suites
from prunebench.planning.methods import Method
from prunebench.sharing.bundle.checks import cell_name
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.schema import CellLine
from prunebench.store.schema import RUN


def find_gaps(bundle: Bundle, registry: Registry) -> Iterator[str]:
    """Sentences about failures, and about everything that is missing beside what is there."""
    if bundle.reasons:
        yield f"{len(bundle.reasons)} failures are part of it; the first: {min(bundle.reasons.values())}"
    yield from _missing_in_plans(bundle)
    for kind in sorted({plan.kind for plan in bundle.manifest.plans}):
        cells = [cell for cell in bundle.cells if bundle.manifest.plans[cell.plan].kind == kind]
        yield from _missing_seeds(cells)
        if kind == RUN:
            yield from _missing_levels(cells)
    for name in sorted({plan.suite for plan in bundle.manifest.plans if plan.kind == RUN}):
        yield from _missing_in_suite(name, bundle.cells, registry)


def count_planned(bundle: Bundle) -> tuple[int, int]:
    """How many cells the plans have that the records name, and how many of them the bundle lacks."""
    planned = {(line.kind, line.task, line.label, line.key) for lines in bundle.planned.values() for line in lines}
    return len(planned), len(planned - _cells(bundle))


def _cells(bundle: Bundle) -> set[tuple[str, ...]]:
    """What tells the cells of the bundle apart: the keys of controls that prune nothing are those of dense runs."""
    return {(bundle.manifest.plans[cell.plan].kind, cell.task, cell.label, cell.key) for cell in bundle.cells}


def _missing_in_plans(bundle: Bundle) -> Iterator[str]:
    """Compare with the plans that were fixed before the first training of the records that name them."""
    unnamed = sum(record.plan is None for record in bundle.records.values())
    if unnamed:
        yield f"{unnamed} of {len(bundle.records)} records name no plan, so that nothing shows what was left out"
    cells = _cells(bundle)
    for lines in bundle.planned.values():
        missing = [line for line in lines if (line.kind, line.task, line.label, line.key) not in cells]
        if missing:
            first = missing[0]
            yield (
                f"the bundle lacks {len(missing)} of {len(lines)} cells that were planned before the first training"
                f" ({lines[0].suite or 'no suite'}), such as {cell_name(first)}"
            )
    for name in sorted({record.plan or "" for record in bundle.records.values()} - bundle.planned.keys() - {""}):
        number = sum(record.plan == name for record in bundle.records.values())
        yield f"the bundle lacks the plan {name} that {number} of its records were made for"


def _missing_seeds(cells: Collection[CellLine]) -> Iterator[str]:
    of_method: dict[tuple[str, str, float], set[int]] = defaultdict(set)
    of_task: dict[str, set[int]] = defaultdict(set)
    for cell in cells:
        of_method[cell.task, cell.label, cell.sparsity].add(cell.seed)
        of_task[cell.task].add(cell.seed)
    for (task, label, sparsity), seeds in sorted(of_method.items()):
        if missing := of_task[task] - seeds:
            yield f"{label} at {sparsity:g} on {task} lacks the seeds {_listing(missing)}"
    for task, seeds in sorted(of_task.items()):
        first = set(range(len(seeds)))
        if seeds != first:
            yield f"the seeds of {task} are {_listing(seeds)}, and not the first {len(seeds)}"


def _missing_levels(cells: Collection[CellLine]) -> Iterator[str]:
    """Tasks that a method lacks, and sparsities that others have on the task, unless the method has no such model."""
    tasks = {cell.task for cell in cells}
    levels: dict[tuple[str, str], set[float]] = defaultdict(set)
    unsupported: dict[str, set[float]] = defaultdict(set)
    for cell in cells:
        if not cell.is_dense:
            levels[cell.label, cell.task].add(cell.sparsity)
            unsupported[cell.label].update(map(float, cell.unsupported))
    for label in sorted({label for label, _ in levels}):
        if missing := tasks - {task for each, task in levels if each == label}:
            yield f"{label} lacks the tasks {_listing(missing)}"
    for (label, task), own in sorted(levels.items()):
        others = {level for (_, each), values in levels.items() if each == task for level in values}
        if missing_levels := others - own - unsupported[label]:
            yield f"{label} on {task} lacks the sparsities {_listing(missing_levels)}"


def _missing_in_suite(name: str, cells: Collection[CellLine], registry: Registry) -> Iterator[str]:
    """Compare with an installed suite of that name."""
    if name not in registry.entries("suites"):
        return
    try:
        suite = suites.load(name, registry)
        labels = {Method(text, registry).label for text in suite.strategies}
    except PrunebenchError:
        return
    planned = {level for task in suite.tasks for level in suite.levels(task)}
    lacking: dict[str, Collection[Any]] = {
        "tasks": set(suite.tasks) - {cell.task for cell in cells},
        "methods": labels - {cell.label for cell in cells},
        "seeds": set(suite.seeds) - {cell.seed for cell in cells},
        "sparsities": planned - {cell.sparsity for cell in cells},
    }
    for what, missing in lacking.items():
        if missing:
            yield f"the suite {name} has {what} that the bundle lacks: {_listing(missing)}"


def _listing(values: Iterable[Any]) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in sorted(values))
