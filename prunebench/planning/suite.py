"""The description of a run: a suite in a TOML file, options, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.hooks.registry import Registry
from prunebench.planning import protocol_file
from prunebench.planning.methods import Method
from prunebench.planning.toml_file import read_toml
from prunebench.recipes.options import split_list
from prunebench.recipes.schedules import check_sparsity
from prunebench.tasks.protocol import Protocol

# As the name of a protocol file: each task's own protocol, although the suite names a file.
TASKS_OWN = "none"
# What runs if neither a suite, tasks nor a model are named: it needs no download and takes less than two minutes.
DEFAULT_SUITE = "quick"
DEFAULT_STRATEGIES = ("imp", "magnitude", "random-pruning", "random-reinit", "heads")
PROTOCOL_OPTIONS = ("epochs", "lr", "batch_size", "max_length", "train_limit", "eval_limit")
CHOICES = {
    "precision": ("auto", "fp32", "bf16"),
    "device": ("auto", "cpu", "cuda"),
    "compile": ("off", "on"),
    "prunable": ("encoder", "encoder+pooler"),
}


@dataclass(frozen=True)
class Suite:
    """Tasks × strategies × sparsities × seeds × model × protocol. `sparsities` may differ by task.

    `protocol` is the path of a protocol file, whose values differ by task; None stands for each task's own protocol.
    `also_model` are further models, which are trained and not pruned.
    """

    name: str = ""
    doc: str = ""
    tasks: tuple[str, ...] = ()
    strategies: tuple[str, ...] = DEFAULT_STRATEGIES
    sparsities: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: {"": (0.3, 0.5, 0.7)})
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    model: str = "google-bert/bert-base-uncased"
    also_model: tuple[str, ...] = ()
    glue_dir: str | None = None
    precision: str = "auto"
    device: str = "auto"
    compile: str = "off"
    prunable: str = "encoder"
    epochs: int | None = None
    lr: float | None = None
    batch_size: int | None = None
    max_length: int | None = None
    train_limit: int | None = None
    eval_limit: int | None = None
    protocol: str | None = None

    def levels(self, task: str) -> tuple[float, ...]:
        return self.sparsities[task] if task in self.sparsities else self.sparsities[""]

    def with_changes(self, standard: Protocol) -> Protocol:
        """The protocol of a task with this suite's changes."""
        return standard.override(**{name: getattr(self, name) for name in PROTOCOL_OPTIONS})


def load(name: str, registry: Registry) -> Suite:
    """The suite of that name, or of that TOML file."""
    path = Path(name)
    if path.suffix != ".toml":
        path = registry.get("suites", name)
    data = read_toml(path, "suite", "no suite file", "expected the path of a TOML file")
    if isinstance(data.get("protocol"), str) and data["protocol"] != TASKS_OWN:
        data["protocol"] = str(path.parent / data["protocol"])
    try:
        return merge(Suite(name=path.stem), data)
    except PrunebenchError as error:
        raise PrunebenchError(f"suite {path.name}: {error.message}", error.hint) from None


def merge(suite: Suite, options: Mapping[str, Any]) -> Suite:
    """`suite` with those `options` that are not None, read and checked."""
    known = [entry.name for entry in fields(Suite) if entry.name != "name"]
    values: dict[str, Any] = {}
    for key, value in options.items():
        name = key.replace("-", "_")
        if name not in known:
            raise unknown_name("option", key, [entry.replace("_", "-") for entry in known])
        if name in values:
            raise PrunebenchError(f"option {key!r} stands twice", "once with a dash and once with an underscore")
        if value is not None:
            values[name] = None if name == "protocol" and value == TASKS_OWN else _read(name, value)
    return replace(suite, **values)


def _read(name: str, value: Any) -> Any:
    if name in ("tasks", "strategies", "also_model"):
        return _names(name, value)
    if name == "sparsities":
        if isinstance(value, Mapping):
            return {task: _levels(levels) for task, levels in value.items()}
        return {"": _levels(value)}
    if name == "seeds":
        return _seeds(value)
    if name in CHOICES and value not in CHOICES[name]:
        raise PrunebenchError(f"unknown {name} {value!r}", f"expected {', '.join(CHOICES[name])}")
    if name in PROTOCOL_OPTIONS:
        number = float if name == "lr" else int
        return _number(value, number, name.replace("_", "-"))
    if not isinstance(value, str):
        raise PrunebenchError(f"bad {name.replace('_', '-')} {value!r}", "expected a text")
    return value


def _names(name: str, value: Any) -> tuple[str, ...]:
    entries = split_list(value) if isinstance(value, str) else value
    if not isinstance(entries, list | tuple) or not all(isinstance(entry, str) for entry in entries):
        raise PrunebenchError(f"bad {name} {value!r}", "expected a list of names")
    return tuple(dict.fromkeys(entries))


def _levels(value: Any) -> tuple[float, ...]:
    entries = split_list(value) if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    levels = tuple(sorted({round(_number(entry, float, "sparsity"), 10) for entry in entries}))
    for level in levels:
        check_sparsity(level)
    if not levels:
        raise PrunebenchError("no sparsities are given", "expected some, such as 0.3,0.5,0.7")
    return levels


def _seeds(value: Any) -> tuple[int, ...]:
    """`5` means 0..4; `3,17` means those two, and `3,` that one."""
    if isinstance(value, list | tuple) or (isinstance(value, str) and "," in value):
        entries = split_list(value) if isinstance(value, str) else value
        seeds = tuple(dict.fromkeys(_number(entry, int, "seed") for entry in entries))
    else:
        seeds = tuple(range(_number(value, int, "seeds")))
    if not seeds or min(seeds) < 0:
        raise PrunebenchError(f"bad seeds {value!r}", "expected how many, such as 5, or a list such as 3,17")
    return seeds


def _number(value: Any, kind: type[Any], what: str) -> Any:
    try:
        if isinstance(value, bool) or (kind is int and int(value) != float(value)):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        raise PrunebenchError(
            f"bad {what} {value!r}", f"expected {'a whole number' if kind is int else 'a number'}"
        ) from None


def resolve(name: str | None, options: Mapping[str, Any], registry: Registry) -> Suite:
    """The suite of that name or file, with `options` above it. All its names are looked up before any download."""
    if name is None and options.get("tasks") is None and options.get("model") is None:
        name = DEFAULT_SUITE
    suite = merge(load(name, registry) if name else Suite(), options)
    if not suite.tasks:
        suites = ", ".join(sorted(registry.entries("suites")))
        raise PrunebenchError("nothing to run: no tasks are given", f"--tasks rte,mrpc or a suite: {suites}")
    for task in (*suite.tasks, *filter(None, suite.sparsities)):
        registry.get("tasks", task)
    _check_protocol(suite)
    for text in suite.strategies:
        Method(text, registry)
    for task in suite.tasks:
        if task not in suite.sparsities and "" not in suite.sparsities:
            raise PrunebenchError(
                f"suite {suite.name!r} has no sparsities for task {task!r}", "--sparsities names some"
            )
    return suite


def _check_protocol(suite: Suite) -> None:
    """Raise PrunebenchError where a protocol file and an option say two things of the protocol, or the file is bad."""
    if suite.protocol is None:
        return
    changes = [name.replace("_", "-") for name in PROTOCOL_OPTIONS if getattr(suite, name) is not None]
    if changes:
        raise PrunebenchError(
            f"{changes[0]} cannot change a protocol file, {suite.protocol!r}",
            "leave one of them out; protocol = none takes the tasks' own protocols",
        )
    file = protocol_file.read(suite.protocol)
    for task in suite.tasks:
        file.check_task(task)
