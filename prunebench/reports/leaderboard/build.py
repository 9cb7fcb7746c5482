"""Building a page from rows: its sections, and everything that a reader needs to trust a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunebench.models.cards import Card, card_of
from prunebench.planning.levels import unsupported_levels
from prunebench.reports.leaderboard.averages import average_sections, rows_by_task
from prunebench.reports.leaderboard.checklist import checklist
from prunebench.reports.leaderboard.intervals import with_bootstrap
from prunebench.reports.leaderboard.marks import with_marks
from prunebench.reports.leaderboard.matching import with_matching
from prunebench.reports.leaderboard.ranking import rankings, with_order
from prunebench.reports.leaderboard.ranking_rules import check_rule
from prunebench.reports.leaderboard.report import Method, Options, Page, Section
from prunebench.reports.leaderboard.task_section import task_section
from prunebench.reports.render.formatting import level, listing
from prunebench.reports.render.provenance import TITLES
from prunebench.results.filters import allow_mixed, no_results, one_setting
from prunebench.results.rows import Row, sort_key
from prunebench.results.statistics import BOOTSTRAP
from prunebench.results.warnings import environment, warnings
from prunebench.store.schema import Cell

# The fields of a `Setting` that are printed as they are; the protocols are listed by task.
FIELDS = ("model", "model_revision", "model_fingerprint", "precision", "device", "prunable")


def build(rows: Sequence[Row], options: Options | None = None, *, mixed: bool = False, verification: str = "") -> Page:
    """Build the page of these rows, which says the `verification` of the bundle that they come from.

    Raises `PrunebenchError` if no cell is done, or if the rows have several settings. With `mixed` several settings are
    allowed, and the page says what is mixed.
    """
    options = options or Options()
    rule = check_rule(options.rank_by)
    if not any(row.status == "done" for row in rows):
        raise no_results(rows)
    allowed, mixtures = allow_mixed(rows) if mixed else (one_setting(rows), ())
    ordered = sorted(allowed, key=sort_key)
    tasks = rows_by_task(ordered)
    plain = [task_section(task, group) for task, group in tasks.items()]
    sections, averages = (
        tuple(with_matching(with_marks(each, options.delta), options.delta) for each in group)
        for group in (plain, average_sections(plain))
    )
    if options.interval == BOOTSTRAP:
        # An average's interval is that of independent tasks, whose seeds cannot be drawn together.
        sections = tuple(map(with_bootstrap, sections))
    ranked = rankings(sections, averages, rule)
    sections, averages = (tuple(with_order(each, ranked) for each in group) for group in (sections, averages))
    # A label stands for the newest version of its method. One without a cell of that is described by an older version.
    own = [row for row in ordered if not row.cell.other_model]
    newest = {row.cell.label for row in ordered if not row.older_version}
    described = (row.cell for row in ordered if not row.older_version or row.cell.label not in newest)
    cells = list({id(cell): cell for cell in described}.values())
    return Page(
        suites=tuple(sorted({row.command.suite for row in ordered if row.command.suite})),
        setting=tuple(_setting(own, sections)),
        warnings=(*mixtures, *filter(None, (card.warning(tasks) for card in _cards(own))), *warnings(tasks)),
        sections=sections,
        averages=averages,
        methods=_methods(cells, ordered),
        commands=_commands(ordered),
        rows=tuple(row for group in tasks.values() for row in group),
        rankings=ranked,
        checklist=checklist(own, sections),
        options=options,
        verification=verification,
    )


def _setting(rows: Sequence[Row], sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    settings = {(row.cell.task, row.cell.setting) for row in rows}
    for name in FIELDS:
        # There is a single value unless the page is mixed.
        values = sorted({value for _, setting in settings if (value := getattr(setting, name))})
        if values:
            yield TITLES[name], "; ".join(values)
    yield from (("training of the model", card.describe()) for card in _cards(rows))
    protocols = {(task, setting.protocol) for task, setting in settings}
    if len({protocol for _, protocol in protocols}) == 1:
        yield "protocol", rows[0].cell.setting.protocol
    else:
        by_task = {entry.name: sorted(name for task, name in protocols if task == entry.name) for entry in sections}
        yield "protocols", "; ".join(f"{task}: {' and '.join(names)}" for task, names in by_task.items())
    yield "split", listing(sorted({row.cell.split for row in rows}))
    yield "seeds", listing(sorted({row.cell.seed for row in rows}))
    values_by_name = environment(rows)
    for name in sorted(values_by_name, key=lambda name: (name != "hardware", name != "prunebench", name)):
        yield name, "; ".join(values_by_name[name])


def _cards(rows: Sequence[Row]) -> list[Card]:
    """The cards of the models of these rows that have one."""
    models = {(row.cell.setting.model, row.cell.setting.model_fingerprint) for row in rows}
    return list({card.name: card for model in sorted(models) if (card := card_of(*model))}.values())


def _methods(cells: Sequence[Cell], rows: Sequence[Row]) -> tuple[Method, ...]:
    """The methods of these cells, with the teachers that the rows name."""
    teachers = {row.cell.label: row.outcome.teacher for row in rows if row.outcome and row.outcome.teacher}
    by_label: dict[str, list[Cell]] = {}
    for cell in cells:
        by_label.setdefault(cell.label, []).append(cell)
    unsupported = unsupported_levels((cell, cell.sparsity) for cell in cells)
    methods = []
    for label in sorted(by_label, key=lambda label: (not by_label[label][0].is_dense, label)):
        first = by_label[label][0]
        sources = tuple(sorted({cell.source for cell in by_label[label]}))
        options = dict(sorted(first.options.items()))
        reasons = {level(sparsity): reason for sparsity, reason in unsupported.get(label, {}).items()}
        about = (label, first.unit, first.control_of, first.doc, options, sources, reasons)
        methods.append(Method(*about, reference=first.is_dense, teacher=teachers.get(label, "")))
    return tuple(methods)


def _commands(rows: Sequence[Row]) -> tuple[str, ...]:
    """The commands that planned these rows, the oldest first."""
    commands = {(row.command.written, row.command.command) for row in rows}
    return tuple(dict.fromkeys(text for _, text in sorted(commands)))
