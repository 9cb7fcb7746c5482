"""Which rows go on one page: those of the selected plans, tasks and methods, all under one setting.

Two results of a task are comparable only if everything in their `Setting` is equal. `one_setting` refuses a mixture and
says how to choose; `allow_mixed` renames the methods instead, such as `imp {precision=bf16}`, so that a page can show
both side by side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.results.rows import Row
from prunebench.store.schema import Cell, Setting, StoredPlan
from prunebench.tasks.protocol import family

# For each field of a setting, in the order of messages: the plural of its values, and the option that chooses one.
_FIELDS = {
    "model": ("models", "--model"),
    "model_revision": ("revisions of the model", "--model"),
    "model_fingerprint": ("fingerprints of the model", "--model"),
    "data": ("versions of the data", "--data"),
    "protocol": ("protocols", "--protocol"),
    "precision": ("precisions", "--precision"),
    "device": ("devices", "--device"),
    "prunable": ("sets of prunable weights", "--prunable"),
    "code": ("versions of the code", "--code"),
}


def choose_plans(
    plans: Sequence[StoredPlan], suite: str | None, everything: bool = False, *, must_exist: bool = True
) -> list[StoredPlan]:
    """All plans of `suite` (a name or a TOML file); without a suite the last plan, or all if `everything` is set.

    Raises PrunebenchError if the suite has no plans, unless `must_exist` is False.
    """
    if suite is None:
        return list(plans if everything else plans[-1:])
    name = Path(suite).stem if suite.endswith(".toml") else suite
    named = [plan for plan in plans if plan.suite == name]
    if not named and must_exist:
        known = {plan.suite for plan in plans} - {""}
        raise unknown_name("suite", name, known, "only suites with results in the store can be shown")
    return named


@dataclass(frozen=True)
class Selection:
    """What to show; an empty field selects everything. `model` is a name, a revision or a fingerprint."""

    tasks: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    protocol: str = ""
    model: str = ""
    precision: str = ""
    device: str = ""
    data: str = ""
    prunable: str = ""
    code: str = ""


def select(rows: Sequence[Row], selection: Selection) -> list[Row]:
    """The selected rows, and the dense rows that they are compared with.

    Raises PrunebenchError for a name that matches nothing.
    """
    result = _keep(list(rows), "task", selection.tasks, lambda row: {row.cell.task})
    result = _keep(
        result, "strategy", selection.strategies, lambda row: {row.cell.label, row.cell.strategy}, with_dense=True
    )
    result = _keep(result, "model", (selection.model,), lambda row: _model_names(row.cell.setting))
    result = _keep(result, "protocol", (selection.protocol,), _protocol_names)
    for field in ("precision", "device", "data", "prunable", "code"):
        result = _keep(result, field, (getattr(selection, field),), partial(_value, field))
    return result


def _value(field: str, row: Row) -> set[str]:
    return {getattr(row.cell.setting, field)}


def _model_names(setting: Setting) -> set[str]:
    return {setting.model, Path(setting.model).name, setting.model_revision, setting.model_fingerprint}


def _protocol_names(row: Row) -> set[str]:
    return {row.cell.setting.protocol, family(row.cell.setting.protocol)}


def _keep(
    rows: list[Row], kind: str, names: tuple[str, ...], names_of: Callable[[Row], set[str]], with_dense: bool = False
) -> list[Row]:
    selected = {name for name in names if name}
    if not selected or not rows:
        return rows
    known = {name for row in rows for name in names_of(row) if name}
    for name in sorted(selected - known):
        raise unknown_name(kind, name, known, "only names with results in the store can be shown")
    matching = [row for row in rows if selected & names_of(row)]
    numbers = {row.equal_trainings for row in matching}
    if kind in ("model", "protocol"):
        # Other models have protocols of their own, and stand beside any model.
        return [row for row in rows if selected & names_of(row) or row.cell.other_model]
    return [row for row in rows if selected & names_of(row) or (with_dense and _is_reference(row, numbers))]


def _is_reference(row: Row, numbers: set[float | None]) -> bool:
    """Whether it is a dense row: the plain one, or one of these numbers of trainings."""
    return row.cell.is_plain_dense or (row.cell.is_dense and row.equal_trainings in numbers)


def no_results(rows: Sequence[Row]) -> PrunebenchError:
    """The error for rows without a single result."""
    status = {id(row.cell): row.status for row in rows}
    if not status:
        return PrunebenchError("there are no results to show", "`prunebench run` computes some")
    reasons = sorted({each.removeprefix("failed: ") for each in status.values() if each != "missing"})
    hint = f"the first reason: {reasons[0]}" if reasons else "`prunebench run` continues with them"
    return PrunebenchError(f"there are no results to show: {len(status)} cells are planned and none is done", hint)


def one_setting(rows: Sequence[Row]) -> list[Row]:
    """The rows that may share a page. Raises PrunebenchError, with what differs, if their settings do not agree.

    Within a task all settings must be equal. Between tasks, data and plugins may differ, and so may protocols unless
    the tasks belong to one benchmark. If a task has results under some setting, its rows under settings without any
    result are dropped. Dense runs of other models may stand on any page.
    """
    others = [row for row in rows if row.cell.other_model]
    rows = _with_results([row for row in rows if not row.cell.other_model])
    differences = _differences(rows)
    if not differences:
        return [*rows, *others]
    options = ", ".join(dict.fromkeys(_FIELDS[difference.field][1] for difference in differences))
    raise PrunebenchError(
        f"the store holds results under {'; '.join(map(str, differences))}",
        f"one page shows one of them: choose with {options}, or pass --allow-mixed",
    )


def allow_mixed(rows: Sequence[Row]) -> tuple[list[Row], tuple[str, ...]]:
    """The rows, with methods renamed where settings differ, and a sentence for each difference.

    The most frequent setting of a task keeps its names; under any other one, braces name what differs, as in
    `imp {precision=bf16}`. Dense runs under another setting become ordinary rows, and methods under that setting are
    compared with them.
    """
    others = [row for row in rows if row.cell.other_model]
    rows = _with_results([row for row in rows if not row.cell.other_model])
    sentences = tuple(f"Mixed: {difference}." for difference in _differences(rows))
    return [*(_rename(rows) if sentences else rows), *others], sentences


def _with_results(rows: Sequence[Row]) -> list[Row]:
    """The rows that belong on a page: those with results, and the missing ones of the same settings.

    A task without any result stays, and is shown as missing, if another task has results under the same model and
    arithmetic, and under the same protocol where both belong to one benchmark. Otherwise it was only ever planned.
    """
    done = [row for row in rows if row.status == "done"]
    with_results = {(row.cell.task, row.cell.setting) for row in done}
    tasks = {task for task, _ in with_results}
    models = {_model_and_arithmetic(row) for row in done}
    protocols: dict[str, set[str]] = {}
    for row in done:
        protocols.setdefault(row.cell.benchmark, set()).add(family(row.cell.setting.protocol))

    def stays(row: Row) -> bool:
        if row.cell.task in tasks or not done:
            return not done or (row.cell.task, row.cell.setting) in with_results
        own = family(row.cell.setting.protocol)
        return own in protocols.get(row.cell.benchmark, {own}) and _model_and_arithmetic(row) in models

    return list(filter(stays, rows))


def _model_and_arithmetic(row: Row) -> tuple[str, ...]:
    setting = row.cell.setting
    return setting.model_fingerprint, setting.precision, setting.device, setting.prunable


@dataclass(frozen=True)
class _Difference:
    """A field of the setting with its values, and the tasks (or benchmark) within which it differs.

    Without tasks, it differs only between tasks.
    """

    field: str
    values: tuple[str, ...]
    tasks: tuple[str, ...] = ()

    def __str__(self) -> str:
        scope = f" for {', '.join(self.tasks)}" if self.tasks else ""
        return f"{len(self.values)} {_FIELDS[self.field][0]}{scope}: {', '.join(map(repr, self.values))}"


def _differences(rows: Sequence[Row]) -> list[_Difference]:
    """All differences that forbid a common page, in the order of `_FIELDS`."""
    by_task: dict[str, set[Setting]] = defaultdict(set)
    for row in rows:
        by_task[row.cell.task].add(row.cell.setting)
    # The same difference in several tasks is one difference.
    tasks: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for task in sorted(by_task):
        for field, values in _differing_fields(by_task[task]).items():
            tasks[field, values].append(task)
    differences = [_Difference(field, values, tuple(names)) for (field, values), names in tasks.items()]
    between = _differing_fields({setting for settings in by_task.values() for setting in settings})
    allowed = {difference.field for difference in differences} | {"data", "protocol"}
    if _compatible(between.get("code", ())):
        allowed.add("code")
    differences += [_Difference(field, values) for field, values in between.items() if field not in allowed]
    differences += _mixed_benchmarks(rows)
    return sorted(differences, key=lambda difference: list(_FIELDS).index(difference.field))


def _compatible(codes: Sequence[str]) -> bool:
    """Whether these versions of the code contain one version of the engine, and one of each plugin.

    A task or metric of a plugin is part of the code of its own results only, so tasks of several plugins may differ.
    """
    versions: dict[str, set[str]] = defaultdict(set)
    for part in {part for code in codes for part in code.split(", ")}:
        name, _, version = part.partition(" of ") if " of " in part else ("engine", "", part)
        versions[name].add(version)
    return all(len(each) == 1 for each in versions.values())


def _mixed_benchmarks(rows: Sequence[Row]) -> Iterator[_Difference]:
    """The benchmarks whose tasks differ in their protocols: an average over them would mean nothing."""
    protocols: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        if row.cell.benchmark:
            protocols[row.cell.benchmark][row.cell.task].add(family(row.cell.setting.protocol))
    for benchmark, by_task in sorted(protocols.items()):
        names = set().union(*by_task.values())
        # A task with several protocols is a difference of its own.
        if len(names) > 1 and all(len(each) == 1 for each in by_task.values()):
            yield _Difference("protocol", tuple(sorted(names)), (benchmark,))


def _differing_fields(settings: set[Setting]) -> dict[str, tuple[str, ...]]:
    """The fields in which some of the settings differ, with their values."""
    values = {field: tuple(sorted({getattr(setting, field) for setting in settings})) for field in _FIELDS}
    differing = {field: each for field, each in values.items() if len(each) > 1}
    if "model" in differing:
        # Another model always has another fingerprint, which need not be mentioned.
        return {field: each for field, each in differing.items() if not field.startswith("model_")}
    return differing


def _rename(rows: Sequence[Row]) -> list[Row]:
    counts: dict[str, Counter[Setting]] = defaultdict(Counter)
    for row in rows:
        counts[row.cell.task][row.cell.setting] += row.status == "done"
    usual = {task: min(counter, key=lambda setting: (-counter[setting], setting)) for task, counter in counts.items()}
    cells = {id(row.cell): row.cell for row in rows}
    renamed = {
        key: cell if cell.setting == usual[cell.task] else _renamed(cell, usual[cell.task])
        for key, cell in cells.items()
    }
    return [replace(row, cell=renamed[id(row.cell)]) for row in rows]


def _renamed(cell: Cell, usual: Setting) -> Cell:
    changes = ",".join(f"{field}={getattr(cell.setting, field)}" for field in _differing_fields({cell.setting, usual}))
    # Only dense runs of the usual setting are the reference of the page, so others get another strategy name.
    strategy = f"{cell.strategy} {{{changes}}}" if cell.is_dense else cell.strategy
    return cell.model_copy(update={"label": f"{cell.label} {{{changes}}}", "strategy": strategy})
