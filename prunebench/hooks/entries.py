"""The objects that plugins provide, by kind and name."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.plugins import Plugin
from prunebench.recipes.phase import Phase

KINDS = (
    *("strategies", "phases", "structures", "tasks", "models", "checkpoints", "metrics", "executors", "suites"),
    "commands",
)
SINGULAR = {"strategies": "strategy"} | {kind: kind[:-1] for kind in KINDS if kind != "strategies"}


@dataclass(frozen=True)
class Entry:
    """An object that a plugin provides."""

    name: str
    value: Any
    plugin: Plugin


def entry_name(kind: str, value: Any) -> str:
    """The name of an object: its attribute `name`, for a suite the stem of its path, for a phase that of its class.

    Raises PrunebenchError for an object without a name, for a strategy that is not a dataclass with the attributes of
    a strategy or a control, and for a phase whose declarations contradict each other.
    """
    if kind == "suites":
        return Path(value).stem
    if kind == "phases":
        return _phase_name(value)
    name = getattr(value, "name", None)
    if not isinstance(name, str):
        raise PrunebenchError(f"prunebench_{kind} gave {value!r}, which has no name", "expected objects with a name")
    if kind == "strategies":
        required = ("of", "tail") if hasattr(value, "tail") else ("unit", "recipe")
        if not set(required) <= _dataclass_attributes(value):
            raise PrunebenchError(
                f"strategy {name!r} is not a dataclass with {' and '.join(required)}", "see docs/pages/own-method.md"
            )
    return name


def _phase_name(value: Any) -> str:
    if not (isinstance(value, type) and issubclass(value, Phase) and dataclasses.is_dataclass(value)):
        raise PrunebenchError(f"prunebench_phases gave {value!r}", "expected dataclasses below prunebench.Phase")
    if value.apply is Phase.apply:
        raise PrunebenchError(f"phase {value.__name__!r} has no apply(ctx)")
    if value.draws_mask and (value.changes_weights or value.trains):
        # A mask is drawn again in places where the weights after the phase are already loaded.
        raise PrunebenchError(
            f"phase {value.__name__!r} draws a mask and changes weights", "split it into one phase for each"
        )
    return value.__name__


def _dataclass_attributes(value: Any) -> set[str]:
    if not (isinstance(value, type) and dataclasses.is_dataclass(value)):
        return set()
    # A field without a default is not an attribute of the class.
    return {*dir(value), *(field.name for field in dataclasses.fields(value))}


def first_line(value: Any) -> str:
    """The first line of an object's attribute `doc` or of its docstring."""
    doc = getattr(value, "doc", None) or inspect.getdoc(value) or ""
    return str(doc).strip().partition("\n")[0]


def flatten(entries: dict[str, list[Entry]]) -> Iterable[Entry]:
    """All entries, in the order of their names."""
    return (entry for name in sorted(entries) for entry in entries[name])
