"""Pages that are generated as a whole: the gallery of methods, and the reference of what a method is given."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prunebench.execution.context import Context
from prunebench.hooks.entries import Entry, flatten
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.recipes.options import parameters
from prunebench.recipes.phase import Phase
from prunebench.recipes.strategy import plural
from prunebench.training.callbacks import TrainingCallback

ROOT = Path(__file__).parents[1]
# Where scores on the suite `quick` come from; the first board with a method counts.
BOARDS = ("quick-methods", "quick")
# The level at which the gallery shows recipes and scores.
LEVEL = 0.5


def gallery() -> str:
    """The gallery: a section for each method and control of this repository."""
    own = {path.name for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").exists()} | {"prunebench"}
    registry = Registry()
    entries = [each for each in flatten(registry.entries("strategies")) if each.plugin.distribution in own]
    lines = [
        "# Methods",
        "",
        "This page is generated from the docstrings of all methods in the repository.",
        "",
        f"*Trainings* is the cost of a model of sparsity {LEVEL:g} from θ0, in trainings by the protocol. *On quick* "
        f"is the score above chance, × 100, that is retained of the dense model trained for as long, at {LEVEL:g}, on "
        "the generated tasks of a committed leaderboard: a small language on which most methods do well.",
    ]
    for track in ("unstructured", "structured", "controls"):
        lines += ["", f"## {track.capitalize()}"]
        for entry in entries:
            method = Method(entry.name, registry)
            if track == ("controls" if method.base is not method else method.info.track):
                lines += ["", *_method(entry, method)]
    return "\n".join(lines) + "\n"


def _method(entry: Entry, method: Method) -> Iterator[str]:
    level = next(iter(getattr(method.base.strategy, "levels", ())), LEVEL)
    steps = [step.phase for step in method.steps(level if method.prunes else 0.0)]
    options = ", ".join(f"`{field.name}={field.default}`" for field in parameters(entry.value))
    where = "built in" if entry.plugin.distribution == "prunebench" else f"`plugins/{entry.plugin.distribution}`"
    yield f"### {entry.name}"
    yield ""
    yield inspect.cleandoc(entry.value.__doc__)
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| recipe | `{' '.join(_runs([_word(phase) for phase in steps]))}` |"
    yield f"| prunes | {plural(method.info.unit)} |"
    yield f"| options | {options or 'none'} |"
    yield f"| trainings | {sum(phase.trainings for phase in steps):g} |"
    yield f"| from | {where} |"
    for board, score in _scores(entry.name):
        yield f"| on quick | {score} (`leaderboards/{board}`) |"
    for check, reason in getattr(entry.value, "known_failures", {}).items():
        yield f"| known failure | {check}: {reason} |"


def _word(phase: Phase) -> str:
    name = type(phase).__name__
    return name if phase.level is None else f"{name}({phase.level:g})"


def _runs(words: list[str]) -> list[str]:
    """The words, without the middle of what has more than nine."""
    return words if len(words) <= 9 else [*words[:4], "…", *words[-4:]]


def _scores(name: str) -> Iterator[tuple[str, str]]:
    """Board and score of the method with its default options, from the first board that has it."""
    for board in BOARDS:
        data = json.loads((ROOT / "leaderboards" / board / "results.json").read_text())
        for ranking in data["ranking"]:
            for standing in ranking["standings"]:
                for place in standing["places"]:
                    if place["label"] == name and standing["sparsity"] == LEVEL and place["summary"]:
                        best = place["of_equal"] or place["summary"]
                        yield board, f"{100 * best['mean']:.1f} ± {100 * best['std']:.1f}"
                        return


def context() -> str:
    """The reference of the context and of callbacks."""
    parts = [
        "# The context and callbacks",
        "",
        "This page is generated from the docstrings of `prunebench.Context`, which `score(ctx)`, `prune(ctx, "
        "sparsity)` and `training(ctx)` are given, and of `prunebench.TrainingCallback`, which `training(ctx)` "
        "returns.",
        "",
        "## ctx",
        "",
        _doc(Context),
    ]
    for name, value in vars(Context).items():
        if not name.startswith("_"):
            parts += ["", f"### ctx.{_signature(name, value)}", "", _doc(getattr(value, "func", value))]
    parts += ["", "## TrainingCallback", "", _doc(TrainingCallback)]
    for name, value in vars(TrainingCallback).items():
        if inspect.isfunction(value):
            parts += ["", f"### {_signature(name, value)}", "", _doc(value)]
    return "\n".join(parts) + "\n"


def _signature(name: str, value: Any) -> str:
    if not inspect.isfunction(value):
        return name
    texts = [
        f"{each.name}={each.default!r}" if each.default is not each.empty else each.name
        for each in list(inspect.signature(value).parameters.values())[1:]
    ]
    return f"{name}({', '.join(texts)})"


def _doc(value: Any) -> str:
    """A docstring as Markdown: its sections of attributes, arguments and errors become lists."""
    lines, is_section = [], False
    for line in (inspect.getdoc(value) or "").splitlines():
        if line in ("Attributes:", "Args:", "Raises:"):
            is_section = True
            lines += [line, ""]
        elif is_section and re.match(r"    \S", line):
            term, _, text = line.strip().partition(": ")
            lines.append(f"- `{term}`: {text}")
        elif is_section and line.startswith("        "):
            lines.append(f"  {line.strip()}")
        else:
            is_section = is_section and not line.strip()
            lines.append(line)
    return "\n".join(lines)
