"""What goes on one page: the rows that were asked for, under one setting. Torch-free. Imports `results`, `errors`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prunebench.errors import PrunebenchError, unknown
from prunebench.results import Row, Setting

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
        raise unknown(kind, name, known, "only what has results in the store can be shown")
    return [row for row in rows if asked & names(row) or (dense and row.cell.is_dense)]


def _model_names(setting: Setting) -> set[str]:
    return {setting.model, Path(setting.model).name, setting.model_revision, setting.model_fingerprint}


def one_setting(rows: Sequence[Row]) -> list[Row]:
    """The rows, if they may stand on one page, or an error that names what differs.

    Within a task everything must be equal; between tasks data and protocol may differ. Where a task has results under
    some setting, what was only ever planned under another is left out.
    """
    done = {(row.cell.task, row.cell.setting) for row in rows if row.status == "done"}
    tasks = {task for task, _ in done}
    left = [row for row in rows if row.cell.task not in tasks or (row.cell.task, row.cell.setting) in done]
    settings: dict[str, set[Setting]] = {}
    for task, setting in {(row.cell.task, row.cell.setting) for row in left}:
        settings.setdefault(task, set()).add(setting)
    for task in sorted(settings):
        _check(settings[task], f" for {task}", list(WORDS))
    shared = [name for name in WORDS if name not in ("data", "protocol")]
    _check({setting for found in settings.values() for setting in found}, "", shared)
    return left


def _check(settings: set[Setting], where: str, names: list[str]) -> None:
    values = {name: sorted({getattr(setting, name) for setting in settings}) for name in names}
    differing = [name for name in names if len(values[name]) > 1]
    if "model" in differing:
        # Another model has another fingerprint: that goes without saying.
        differing = [name for name in differing if not name.startswith("model_")]
    if not differing:
        return
    found = [f"{len(values[name])} {WORDS[name][0]}{where}: {', '.join(map(repr, values[name]))}" for name in differing]
    options = list(dict.fromkeys(WORDS[name][1] for name in differing))
    raise PrunebenchError(
        f"the store holds results under {'; '.join(found)}", f"one page shows one: choose with {', '.join(options)}"
    )
