"""The options that every method has: `magnitude[scope=row]`, `snip[schedule=ladder]`, `heads[budget=flops]`.

The core writes them into the phases of the recipe; a strategy need not know of them.

- `scope`: what scores are compared within (see `axes`)
- `pattern`: which masks are allowed (see `axes`)
- `budget`: what a level of sparsity is a fraction of (see `axes`)
- `schedule`: how the sparsity grows where a recipe prunes: in one step ("one-shot"), in steps of a tenth with new
  scores before each ("ladder"), or during the training that follows ("cubic", Zhu & Gupta 2017)
- `rewind`: a pruned model is reset before the training that follows: to θ0 ("init"), or to a step (100) or a fraction
  (0.1) of the first training, as `imp` does; by default ("none") it is trained on
- `teacher`: every training of a pruned model learns the outputs of the "dense" model of the same seed as well, with
  `teacher_temperature`, `teacher_weight` and `teacher_hidden` (see `inputs.Teacher`)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, fields, replace
from typing import Any

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.recipes.axes import Pattern, Selection
from prunebench.recipes.inputs import Teacher
from prunebench.recipes.options import parameters, parse_spec
from prunebench.recipes.phase import AXIS, Phase
from prunebench.recipes.phases import Prune, Rewind, Train
from prunebench.recipes.schedules import Cubic, ladder

# The options that are axes of phases of the same name.
SELECTION = ("scope", "pattern", "budget")
ONE_SHOT, LADDER, CUBIC = "one-shot", "ladder", "cubic"
SCHEDULES = (ONE_SHOT, LADDER, CUBIC)
# The part of the units that a step of a ladder prunes.
RATE = 0.1
TEACHERS = ("none", "dense")
DEFAULTS = {
    "scope": "global",
    "pattern": "",
    "budget": "units",
    "schedule": ONE_SHOT,
    "rewind": "none",
    "teacher": "none",
    **{f"teacher_{field.name}": f"{field.default:g}" for field in fields(Teacher)},
}


def taken_by(kind: type) -> tuple[str, ...]:
    """The reserved options that a strategy of this class takes.

    Controls take none, all others a rewind and a teacher. A strategy that only scores takes everything else too; one
    that makes masks itself, or acts while the model trains, has to follow `ctx.selection`, and lists in its attribute
    `axes` which of `scope`, `pattern`, `budget` and `schedule` it takes.
    """
    if hasattr(kind, "tail"):
        return ()
    always = [name for name in DEFAULTS if name.startswith(("rewind", "teacher"))]
    selection = [name for name in DEFAULTS if name not in always]
    scores = hasattr(kind, "score") and not hasattr(kind, "prune") and not hasattr(kind, "training")
    return (*getattr(kind, "axes", selection if scores else ()), *always)


def split_options(kind: type, options: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The options of a strategy of that class itself, and the reserved ones that are not at their default.

    A field of the class hides the reserved option of its name. Raises PrunebenchError for a bad value of a reserved
    option, and for one that the strategy does not take.
    """
    own = {field.name for field in parameters(kind)}
    reserved = {name: value for name, value in options.items() if name in DEFAULTS and name not in own}
    name = str(getattr(kind, "name", kind.__name__))
    for option in reserved:
        if option not in taken_by(kind):
            hint = f"set it in of={name}[{option}=…]" if hasattr(kind, "tail") else "see docs/pages/own-method.md"
            raise PrunebenchError(f"strategy {name!r} takes no option {option!r}", hint)
    values = {**DEFAULTS, **reserved}
    Selection.parse(*(values[name] for name in SELECTION))
    for option, known in (("schedule", SCHEDULES), ("teacher", TEACHERS)):
        if values[option] not in known:
            raise unknown_name(option, values[option], known)
    _rewind(values)
    _teacher(values)
    rest = {name: value for name, value in options.items() if name not in reserved}
    return rest, {name: reserved[name] for name in DEFAULTS if reserved.get(name, DEFAULTS[name]) != DEFAULTS[name]}


def _rewind(values: Mapping[str, str]) -> Rewind | None:
    """The rewind that this option names. Raises PrunebenchError for a bad one."""
    text = values.get("rewind", DEFAULTS["rewind"])
    if text in ("init", "none"):
        return Rewind() if text == "init" else None
    try:
        return Rewind(int(text) if text.isdecimal() else float(text))
    except ValueError:
        hint = "expected none, init, a step such as 100, or a fraction such as 0.1"
        raise PrunebenchError(f"bad rewind {text!r}", hint) from None


def _teacher(values: Mapping[str, str]) -> Teacher | None:
    """The teacher that these options name. Raises PrunebenchError for a bad one."""
    numbers: dict[str, float] = {}
    for field in fields(Teacher):
        text = values.get(name := f"teacher_{field.name}", DEFAULTS[name])
        try:
            numbers[field.name] = float(text)
        except ValueError:
            raise PrunebenchError(f"bad {name} {text!r}", "expected a number") from None
        if text != DEFAULTS[name] and values.get("teacher") != "dense":
            raise PrunebenchError(f"{name}={text} needs a teacher", "add teacher=dense")
    return Teacher(**numbers) if values.get("teacher") == "dense" else None


def add_options(label: str, options: Mapping[str, str]) -> str:
    """The label of a method with these reserved options: `imp[rate=0.2,scope=row]`."""
    if not options:
        return label
    text = ",".join(f"{name}={value}" for name, value in options.items())
    return f"{label[:-1]},{text}]" if label.endswith("]") else f"{label}[{text}]"


def strategy_labels(label: str) -> list[str]:
    """The labels that the strategy of a method may have: `label`, and without its last options while they are reserved.

    A reserved option stands behind those of the strategy, but the strategy may have one of the same name.
    """
    labels = [label]
    name, options = parse_spec(label)
    for option in reversed(list(options)):
        if option not in DEFAULTS:
            break
        del options[option]
        labels.append(add_options(name, options))
    return labels


def apply_options(phases: Sequence[Phase], options: Mapping[str, str]) -> list[Phase]:
    """The recipe with reserved options in its phases.

    Raises PrunebenchError if no phase of the recipe takes an option, or one has another value for it already.
    """
    result = list(phases)
    if "schedule" in options:
        result = list(_SCHEDULES[options["schedule"]](result))
    for name in SELECTION:
        if name in options:
            result = [_with_axis(phase, name, options[name]) for phase in result]
            if not any(getattr(phase, name, None) == options[name] for phase in result):
                raise PrunebenchError(f"no phase of the recipe takes {name}={options[name]}", "it prunes by no scores")
    if (rewind := _rewind(options)) is not None:
        before, result = result, list(_rewind_pruned(result, rewind))
        if result == before:
            raise PrunebenchError("no training of the recipe follows a pruning of a trained model", "leave out rewind")
    if (teacher := _teacher(options)) is not None:
        before, result = result, list(_teach(result, teacher))
        if result == before:
            raise PrunebenchError("teacher=dense teaches pruned models, and no training of the recipe has one")
    return result


def follow_pattern(phases: Sequence[Phase], pattern: Pattern | None) -> list[Phase]:
    """The phases after a mask of that pattern: random masks that they draw follow it too."""
    if pattern is None:
        return list(phases)
    changes: dict[str, Any] = {"pattern": str(pattern)}
    return [replace(each, **changes) if each.draws_mask and _axis(each, "pattern") else each for each in phases]


def _rewind_pruned(phases: Sequence[Phase], rewind: Rewind) -> Iterator[Phase]:
    """A rewind before every training that is the first one after a pruning, unless weights are θ0 or set there."""
    trained = pruned = False
    for phase in phases:
        if phase.trains and trained and pruned:
            yield rewind
        yield phase
        if phase.trains or phase.sets_weights:
            trained, pruned = phase.trains, False
        pruned = pruned or phase.changes_mask


def _teach(phases: Sequence[Phase], teacher: Teacher) -> Iterator[Phase]:
    """Every training of a pruned model learns from the teacher; one before all pruning stays the dense training."""
    level = 0.0
    for phase in phases:
        level = phase.level or level
        if level and isinstance(phase, Train) and phase.teacher is None:
            yield replace(phase, teacher=teacher)
        else:
            yield phase


def _axis(phase: Phase, name: str) -> Field[Any] | None:
    return next((field for field in fields(phase) if field.name == name and AXIS in field.metadata), None)


def _with_axis(phase: Phase, name: str, value: str) -> Phase:
    """The phase with that axis set, if it prunes by scores and has the axis."""
    axis = _axis(phase, name)
    if axis is None or not phase.asks_strategy:
        return phase
    if getattr(phase, name) not in (axis.default, value):
        raise PrunebenchError(f"the recipe has {name} {getattr(phase, name)!r} already", f"leave out {name}={value}")
    return replace(phase, **{name: value})


def _prune_in_steps(phases: Sequence[Phase]) -> Iterator[Phase]:
    """Every `Prune` becomes a ladder from the level before it, with new scores at each step."""
    level = 0.0
    for phase in phases:
        if isinstance(phase, Prune):
            for step in ladder(phase.sparsity, RATE):
                if step > level:
                    yield replace(phase, sparsity=step)
        else:
            yield phase
        level = phase.level or level


def _prune_in_training(phases: Sequence[Phase]) -> Iterator[Phase]:
    """Every `Prune` moves into the training that follows it, whose sparsity grows along a cubic."""
    level = 0.0
    waiting: Prune | None = None
    for phase in phases:
        if waiting is not None:
            if not isinstance(phase, Train) or phase.asks_strategy:
                raise PrunebenchError(
                    f"schedule={CUBIC} prunes during the training after a Prune, and {type(phase).__name__} follows it",
                    f"leave out schedule={CUBIC}",
                )
            cubic = Cubic(waiting.sparsity, initial=level)
            yield replace(phase, sparsity=cubic, **{name: getattr(waiting, name) for name in SELECTION})
            level, waiting = waiting.sparsity, None
        elif isinstance(phase, Prune):
            waiting = phase
        else:
            yield phase
            level = phase.level or level
    if waiting is not None:
        raise PrunebenchError(f"schedule={CUBIC} prunes during a training, and none follows the last Prune")


_SCHEDULES: dict[str, Callable[[Sequence[Phase]], Iterator[Phase]]] = {
    ONE_SHOT: iter,
    LADDER: _prune_in_steps,
    CUBIC: _prune_in_training,
}
