"""The page of a set of rows: its sections, and around them all that a reader must know to trust a number.

Torch-free. Imports `results` and its own room.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prunebench.errors import PrunebenchError
from prunebench.leaderboard.average import averages, task_order
from prunebench.leaderboard.model import Method, Page, Section
from prunebench.leaderboard.numbers import listing
from prunebench.leaderboard.section import section
from prunebench.leaderboard.selection import one_setting
from prunebench.results import Cell, Row, order

SETTING = {
    "model": "model",
    "model_revision": "model revision",
    "model_fingerprint": "model fingerprint",
    "precision": "precision",
    "device": "device",
    "prunable": "prunable weights",
}


def build(rows: Sequence[Row]) -> Page:
    """The page of these rows; an error where there is nothing to show, or where settings do not mix."""
    if not any(row.status == "done" for row in rows):
        raise nothing(rows)
    kept = sorted(one_setting(rows), key=order)
    by_task: dict[str, list[Row]] = {}
    for row in kept:
        by_task.setdefault(row.cell.task, []).append(row)
    tasks = sorted(by_task, key=task_order)
    sections = tuple(section(task, by_task[task]) for task in tasks)
    cells = list({id(row.cell): row.cell for row in kept}.values())
    methods = _methods(cells)
    return Page(
        suites=tuple(sorted({cell.suite for cell in cells if cell.suite})),
        setting=tuple(_setting(kept, sections)),
        warnings=(*_mixtures(by_task), *_sources(methods)),
        sections=sections,
        averages=averages(sections),
        methods=methods,
        commands=tuple(
            dict.fromkeys(command for _, command in sorted({(cell.written, cell.command) for cell in cells}))
        ),
        rows=tuple(row for task in tasks for row in by_task[task]),
    )


def nothing(rows: Sequence[Row]) -> PrunebenchError:
    """What to say of rows of which none is done."""
    cells = {id(row.cell): row.status for row in rows}
    if not cells:
        return PrunebenchError("there are no results to show", "`prunebench run` makes some")
    failed = sorted({status for status in cells.values() if status != "missing"})
    hint = f"the first reason: {failed[0].removeprefix('failed: ')}" if failed else "`prunebench run` goes on with them"
    return PrunebenchError(f"there are no results to show: {len(cells)} cells are planned and none is done", hint)


def _setting(rows: Sequence[Row], sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    setting = rows[0].cell.setting
    yield from ((title, value) for name, title in SETTING.items() if (value := getattr(setting, name)))
    protocols = {row.cell.task: row.cell.setting.protocol for row in rows}
    if len(set(protocols.values())) == 1:
        yield "protocol", setting.protocol
    else:
        yield "protocols", "; ".join(f"{entry.name}: {protocols[entry.name]}" for entry in sections)
    yield "split", listing(sorted({row.cell.split for row in rows}))
    yield "seeds", listing(sorted({row.cell.seed for row in rows}))
    environment = _environment(rows)
    for name in sorted(environment, key=lambda name: (name != "hardware", name != "prunebench", name)):
        yield name, "; ".join(environment[name])


def _environment(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Every value of every entry of the records' environments."""
    found: dict[str, set[str]] = {}
    for outcome in {id(row.outcome): row.outcome for row in rows}.values():
        for name, value in (outcome.environment if outcome else {}).items():
            found.setdefault(name, set()).add(value)
    return {name: sorted(values) for name, values in found.items()}


def _mixtures(by_task: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """A sentence for each task whose records were not all made alike."""
    for task in sorted(by_task, key=task_order):
        for name, values in sorted(_environment(by_task[task]).items()):
            if len(values) > 1:
                yield f"The results of {task} were made with {len(values)} kinds of {name}: {'; '.join(values)}."


def _sources(methods: Sequence[Method]) -> Iterator[str]:
    for method in methods:
        if len(method.sources) > 1:
            yield f"The results of {method.label} come from {len(method.sources)} versions: {listing(method.sources)}."


def _methods(cells: Sequence[Cell]) -> tuple[Method, ...]:
    by_label: dict[str, list[Cell]] = {}
    for cell in cells:
        by_label.setdefault(cell.label, []).append(cell)
    methods = []
    for label in sorted(by_label, key=lambda label: (not by_label[label][0].is_dense, label)):
        first = by_label[label][0]
        sources = tuple(sorted({cell.source for cell in by_label[label]}))
        methods.append(Method(label, first.unit, first.control_of, first.doc, first.options, sources))
    return tuple(methods)
