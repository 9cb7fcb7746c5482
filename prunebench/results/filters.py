"""What goes on one page or into one comparison: the rows that were asked for, under one setting.

Torch-free. Imports `results` and `errors`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.results.rows import Row
from prunebench.store.schema import Cell, Setting, StoredPlan

# A field of the setting: what several of its values are called, and the option that chooses one.
WORDS = {
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
    """The plans that a page shows: all runs of `suite` (a name or a TOML file), everything, or the last run."""
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
    """What a page is restricted to; empty means everything. A model is named by name, revision or fingerprint."""

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
    """The rows that `selection` asks for, with the dense rows beside them. A name that fits nothing is an error."""
    left = _keep(list(rows), "task", selection.tasks, lambda row: {row.cell.task})
    left = _keep(left, "strategy", selection.strategies, lambda row: {row.cell.label, row.cell.strategy}, dense=True)
    left = _keep(left, "model", (selection.model,), lambda row: _model_names(row.cell.setting))
    for name in ("protocol", "precision", "device", "data", "prunable", "code"):
        left = _keep(left, name, (getattr(selection, name),), partial(_values, name))
    return left


def _values(name: str, row: Row) -> set[str]:
    return {getattr(row.cell.setting, name)}


def _keep(
    rows: list[Row], kind: str, wanted: tuple[str, ...], names: Callable[[Row], set[str]], dense: bool = False
) -> list[Row]:
    asked = {name for name in wanted if name}
    if not asked or not rows:
        return rows
    known = {name for row in rows for name in names(row) if name}
    for name in sorted(asked - known):
        raise unknown_name(kind, name, known, "only what has results in the store can be shown")
    return [row for row in rows if asked & names(row) or (dense and row.cell.is_dense)]


def _model_names(setting: Setting) -> set[str]:
    return {setting.model, Path(setting.model).name, setting.model_revision, setting.model_fingerprint}


def nothing(rows: Sequence[Row]) -> PrunebenchError:
    """What to say of rows of which none is done."""
    cells = {id(row.cell): row.status for row in rows}
    if not cells:
        return PrunebenchError("there are no results to show", "`prunebench run` makes some")
    failed = sorted({status for status in cells.values() if status != "missing"})
    hint = f"the first reason: {failed[0].removeprefix('failed: ')}" if failed else "`prunebench run` goes on with them"
    return PrunebenchError(f"there are no results to show: {len(cells)} cells are planned and none is done", hint)


def one_setting(rows: Sequence[Row]) -> list[Row]:
    """The rows, if they may stand on one page, or an error that names what differs.

    Within a task everything must be equal; between tasks data may differ, the plugins that they come from, and the
    protocol where they belong to no common benchmark. Where a task has results under some setting, what was only ever
    planned under another is left out.
    """
    left = _with_results(rows)
    found = _differing(left)
    if not found:
        return left
    options = ", ".join(dict.fromkeys(WORDS[difference.field][1] for difference in found))
    raise PrunebenchError(
        f"the store holds results under {'; '.join(map(str, found))}",
        f"one page shows one: choose with {options}, or say --allow-mixed",
    )


def allow_mixed(rows: Sequence[Row]) -> tuple[list[Row], tuple[str, ...]]:
    """The rows with what does not belong together told apart by name, and a sentence for each thing that differs.

    In each task the setting with most results keeps its names; elsewhere braces say what is different, as in
    `imp {precision=bf16}`. Dense runs of such a setting are a row among others, and its methods are compared with them.
    """
    left = _with_results(rows)
    said = tuple(f"Mixed: {difference}." for difference in _differing(left))
    return (_told_apart(left) if said else left), said


def _with_results(rows: Sequence[Row]) -> list[Row]:
    done = {(row.cell.task, row.cell.setting) for row in rows if row.status == "done"}
    tasks = {task for task, _ in done}
    return [row for row in rows if row.cell.task not in tasks or (row.cell.task, row.cell.setting) in done]


@dataclass(frozen=True)
class _Difference:
    """A field of the setting, its values, and the tasks within which they differ; none where only tasks differ."""

    field: str
    values: tuple[str, ...]
    tasks: tuple[str, ...]

    def __str__(self) -> str:
        where = f" for {', '.join(self.tasks)}" if self.tasks else ""
        return f"{len(self.values)} {WORDS[self.field][0]}{where}: {', '.join(map(repr, self.values))}"


def _differing(rows: Sequence[Row]) -> list[_Difference]:
    by_task: dict[str, set[Setting]] = {}
    for task, setting in {(row.cell.task, row.cell.setting) for row in rows}:
        by_task.setdefault(task, set()).add(setting)
    tasks: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for task in sorted(by_task):
        for field, values in _fields(by_task[task]).items():
            tasks.setdefault((field, values), []).append(task)
    within = [_Difference(*found, tuple(where)) for found, where in tasks.items()]
    everywhere = _fields({setting for found in by_task.values() for setting in found})
    told = {difference.field for difference in within} | {"data", "protocol"}
    if _agree(everywhere.get("code", ())):
        told.add("code")
    within += [_Difference(field, values, ()) for field, values in everywhere.items() if field not in told]
    within += _protocols(rows)
    return sorted(within, key=lambda difference: list(WORDS).index(difference.field))


def _agree(codes: Sequence[str]) -> bool:
    """Whether these versions of the code are of one engine and of one version of each plugin.

    A task or a metric of a plugin stands in the code of its own results alone.
    """
    versions: dict[str, set[str]] = {}
    for part in {part for code in codes for part in code.split(", ")}:
        name, _, version = part.partition(" of ") if " of " in part else ("engine", "", part)
        versions.setdefault(name, set()).add(version)
    return all(len(found) == 1 for found in versions.values())


def _protocols(rows: Sequence[Row]) -> Iterator[_Difference]:
    """Of each benchmark the protocols of its tasks where they are several: an average over them would mean nothing."""
    by_benchmark: dict[str, dict[str, set[str]]] = {}
    for benchmark, task, setting in {(row.cell.benchmark, row.cell.task, row.cell.setting) for row in rows}:
        if benchmark:
            by_benchmark.setdefault(benchmark, {}).setdefault(task, set()).add(setting.protocol)
    for benchmark, tasks in sorted(by_benchmark.items()):
        # What differs within a task is told of that task.
        if all(len(names) == 1 for names in tasks.values()) and len(found := set().union(*tasks.values())) > 1:
            yield _Difference("protocol", tuple(sorted(found)), (benchmark,))


def _fields(settings: set[Setting]) -> dict[str, tuple[str, ...]]:
    """The fields in which some of the settings differ, with their values."""
    values = {name: tuple(sorted({getattr(setting, name) for setting in settings})) for name in WORDS}
    differing = {name: found for name, found in values.items() if len(found) > 1}
    if "model" in differing:
        # Another model has another fingerprint: that goes without saying.
        return {name: found for name, found in differing.items() if not name.startswith("model_")}
    return differing


def _told_apart(rows: Sequence[Row]) -> list[Row]:
    counts: dict[str, Counter[Setting]] = {}
    for row in rows:
        counts.setdefault(row.cell.task, Counter())[row.cell.setting] += row.status == "done"
    usual = {task: min(found, key=lambda setting: (-found[setting], setting)) for task, found in counts.items()}
    cells = {id(row.cell): row.cell for row in rows}
    named = {
        key: cell if cell.setting == usual[cell.task] else _named(cell, usual[cell.task]) for key, cell in cells.items()
    }
    return [replace(row, cell=named[id(row.cell)]) for row in rows]


def _named(cell: Cell, usual: Setting) -> Cell:
    said = ",".join(f"{field}={getattr(cell.setting, field)}" for field in _fields({cell.setting, usual}))
    # A dense run of another setting is no reference for the usual one: it loses the name by which it would be.
    strategy = f"{cell.strategy} {{{said}}}" if cell.is_dense else cell.strategy
    return cell.model_copy(update={"label": f"{cell.label} {{{said}}}", "strategy": strategy})


def environment(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Every value of every entry of the records' environments: hardware, versions."""
    found: dict[str, set[str]] = {}
    for outcome in {id(row.outcome): row.outcome for row in rows}.values():
        for name, value in (outcome.environment if outcome else {}).items():
            found.setdefault(name, set()).add(value)
    return {name: sorted(values) for name, values in found.items()}


def warnings(by_task: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """A sentence for whatever was not made alike within a task, and for each method that comes from several versions.

    Scores from two machines may stand in one ranking, with this warning: hardware moves them less than a seed does.
    Their seconds may not be held against each other; see `leaderboard.retained`.
    """
    for task, rows in by_task.items():
        for name, values in sorted(environment(rows).items()):
            if len(values) > 1:
                yield f"The results of {task} were made with {len(values)} kinds of {name}: {'; '.join(values)}."
    sources: dict[tuple[bool, str], set[str]] = {}
    for cell in {id(row.cell): row.cell for rows in by_task.values() for row in rows}.values():
        sources.setdefault((not cell.is_dense, cell.label), set()).add(cell.source)
    for (_, label), found in sorted(sources.items()):
        if len(found) > 1:
            yield f"The results of {label} come from {len(found)} versions: {', '.join(sorted(found))}."
