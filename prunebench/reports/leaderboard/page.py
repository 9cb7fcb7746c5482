"""The page of a set of rows: its sections, and around them all that a reader must know to trust a number.

Torch-free. Imports `results` and its own room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunebench.reports.leaderboard.average import averages, by_task
from prunebench.reports.leaderboard.checklist import checklist
from prunebench.reports.leaderboard.intervals import bootstrapped
from prunebench.reports.leaderboard.matching import matched
from prunebench.reports.leaderboard.model import Method, Options, Page, Section
from prunebench.reports.leaderboard.ranking import check_rule, rankings
from prunebench.reports.leaderboard.section import section
from prunebench.reports.render.numbers import listing
from prunebench.results.filters import allow_mixed, environment, nothing, one_setting, warnings
from prunebench.results.rows import Row, order
from prunebench.results.statistics import BOOTSTRAP
from prunebench.store.schema import Cell

SETTING = {
    "model": "model",
    "model_revision": "model revision",
    "model_fingerprint": "model fingerprint",
    "precision": "precision",
    "device": "device",
    "prunable": "prunable weights",
}


def build(rows: Sequence[Row], options: Options | None = None, *, mixed: bool = False) -> Page:
    """The page of these rows; an error where there is nothing to show, or where settings do not mix.

    With `mixed` they do, and the page says what is mixed.
    """
    options = options or Options()
    rule = check_rule(options.rank_by)
    if not any(row.status == "done" for row in rows):
        raise nothing(rows)
    left, said = allow_mixed(rows) if mixed else (one_setting(rows), ())
    kept = sorted(left, key=order)
    tasks = by_task(kept)
    sections = tuple(matched(section(task, found), options.delta) for task, found in tasks.items())
    means = tuple(matched(average, options.delta) for average in averages(sections))
    if options.interval == BOOTSTRAP:
        sections, means = tuple(map(bootstrapped, sections)), tuple(map(bootstrapped, means))
    cells = list({id(row.cell): row.cell for row in kept}.values())
    methods = _methods(cells)
    return Page(
        suites=tuple(sorted({row.command.suite for row in kept if row.command.suite})),
        setting=tuple(_setting(kept, sections)),
        warnings=(*said, *warnings(tasks)),
        sections=sections,
        averages=means,
        methods=methods,
        commands=tuple(
            dict.fromkeys(
                command for _, command in sorted({(row.command.written, row.command.command) for row in kept})
            )
        ),
        rows=tuple(row for found in tasks.values() for row in found),
        rankings=rankings(sections, means, rule),
        checklist=checklist(kept, sections),
        options=options,
    )


def _setting(rows: Sequence[Row], sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    settings = {(row.cell.task, row.cell.setting) for row in rows}
    for name, title in SETTING.items():
        # Of a page that is not mixed this is one value.
        values = sorted({value for _, setting in settings if (value := getattr(setting, name))})
        if values:
            yield title, "; ".join(values)
    protocols = {(task, setting.protocol) for task, setting in settings}
    if len({protocol for _, protocol in protocols}) == 1:
        yield "protocol", rows[0].cell.setting.protocol
    else:
        by_task = {entry.name: sorted(name for task, name in protocols if task == entry.name) for entry in sections}
        yield "protocols", "; ".join(f"{task}: {' and '.join(names)}" for task, names in by_task.items())
    yield "split", listing(sorted({row.cell.split for row in rows}))
    yield "seeds", listing(sorted({row.cell.seed for row in rows}))
    made_with = environment(rows)
    for name in sorted(made_with, key=lambda name: (name != "hardware", name != "prunebench", name)):
        yield name, "; ".join(made_with[name])


def _methods(cells: Sequence[Cell]) -> tuple[Method, ...]:
    by_label: dict[str, list[Cell]] = {}
    for cell in cells:
        by_label.setdefault(cell.label, []).append(cell)
    methods = []
    for label in sorted(by_label, key=lambda label: (not by_label[label][0].is_dense, label)):
        first = by_label[label][0]
        sources = tuple(sorted({cell.source for cell in by_label[label]}))
        methods.append(
            Method(label, first.unit, first.control_of, first.doc, dict(sorted(first.options.items())), sources)
        )
    return tuple(methods)
