"""Checks of the class itself: nothing is run."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.recipes.options import label, parameters
from prunebench.recipes.phase import final_sparsity, to_json
from prunebench.testing.check import Check, Fault, Inapplicable, Subject, check

# Where recipes are asked: both ends, a level that is no round fraction, and the usual ones.
GRID = (0.0, 0.001, 0.01, 0.1, 0.3, 1 / 3, 0.5, 0.6180339887, 0.75, 0.9, 0.95, 0.99, 0.999)
SOURCE = re.compile(r"\b(19|20)\d\d\b|https?://|\bdoi\b|\barXiv\b|\bunpublished\b", re.IGNORECASE)


def _prunes_nothing(subject: Subject) -> str:
    return "" if subject.method.prunes else "it prunes nothing"


def _no_options(subject: Subject) -> str:
    return "" if parameters(subject.kind) else "it has no options"


def _no_source_needed(subject: Subject) -> str:
    return "a control is no method of its own" if subject.is_control else _prunes_nothing(subject)


@check("frozen", "a frozen dataclass, whose instances are equal if their options are")
def frozen(subject: Subject) -> str:
    kind = subject.kind
    if not kind.__dataclass_params__.frozen:
        raise Fault(f"{kind.__name__} can be changed: write @dataclass(frozen=True)")
    try:
        hash(subject.strategy)
    except TypeError as error:
        raise Fault(f"an option that can be changed: {error}") from None
    names = ", ".join(field.name for field in parameters(kind))
    return f"frozen, with the options {names}" if names else "frozen, without options"


@check("documented", "a docstring whose first line says what the method does, and ends with a full stop")
def documented(subject: Subject) -> str:
    doc = inspect.cleandoc(subject.kind.__doc__ or "")
    first = doc.partition("\n")[0]
    # A dataclass without a docstring gets its signature as one.
    if not first or first.startswith(f"{subject.kind.__name__}("):
        raise Fault("no docstring")
    if not first.endswith("."):
        raise Fault(f"the first line {first!r}")
    return first


@check("source", "a source in the docstring: a year, a link, or the word unpublished", _no_source_needed)
def source(subject: Subject) -> str:
    docs = [inspect.cleandoc(kind.__doc__ or "") for kind in subject.kind.__mro__ if kind is not object]
    for doc in docs:
        if match := SOURCE.search(doc):
            start = doc.rfind(" (", 0, match.start())
            return " ".join(doc[max(start, match.start() - 60) : match.end() + 1].split())
    raise Fault("no source")


@check("options round-trip", "the label of a strategy with any options reads back as the same strategy", _no_options)
def round_trip(subject: Subject) -> str:
    registry = subject.evidence.registry
    others = list(other_options(subject.strategy))
    for strategy in (subject.strategy, *others):
        for text in (label(strategy), written(strategy)):
            try:
                again = registry.strategy(text)
            except PrunebenchError as error:
                raise Fault(f"{text}: {error}") from None
            if again != strategy:
                raise Fault(f"{text} reads back as {again!r}")
    return f"so do {len(others) + 1} of them, such as {label(others[-1]) if others else subject.text}"


@check("keys", "each option changes the key of a result, and neither their order nor a written default does")
def keys(subject: Subject) -> str:
    registry = subject.evidence.registry
    own = registry.strategy_key(subject.text)
    if own != Registry(registry.files).strategy_key(subject.text):
        raise Fault("two readings of the plugin give two keys")
    for order in (1, -1):
        text = written(subject.strategy, order)
        try:
            key = registry.strategy_key(text)
        except PrunebenchError:
            raise Inapplicable("its options do not read back") from None
        if key != own:
            raise Fault(f"{text} has another key")
    others = list(other_options(subject.strategy))
    for other in others:
        if registry.strategy_key(label(other)) == own:
            raise Fault(f"{label(other)} has the same key")
    return f"{len(others)} other options have other keys" if others else "one key"


@check("recipe level", "at each of 13 levels from 0 to 0.999 the recipe ends at that level", _prunes_nothing)
def recipe_level(subject: Subject) -> str:
    method: Method = subject.method
    levels = [level for level in (*GRID, *getattr(method.base.strategy, "levels", ())) if not method.unsupported(level)]
    for level in levels:
        try:
            # Keys hold the phases as JSON, with all levels rounded to ten digits.
            steps = method.steps(round(level, 10))
        except PrunebenchError as error:
            raise Fault(f"at {level:g}: {error}") from None
        again = method.steps(round(level, 10))
        if [to_json(step.phase) for step in steps] != [to_json(step.phase) for step in again]:
            raise Fault(f"two recipes at {level:g}")
    if not levels:
        raise Fault("no level at all")
    deepest = method.steps(round(levels[-1], 10))
    return f"{len(levels)} levels; {len(deepest)} phases at {final_sparsity([step.phase for step in deepest]):g}"


def written(strategy: Any, order: Literal[1, -1] = 1) -> str:
    """The strategy with every option written out, in the order of its fields or the other way round."""
    values = {field.name: getattr(strategy, field.name) for field in parameters(type(strategy))}
    texts = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]
    return f"{strategy.name}[{','.join(texts[::order])}]" if texts else str(strategy.name)


def other_options(strategy: Any) -> Iterator[Any]:
    """Strategies that differ from this one in one option: other words, the other truth, half of a number, one more."""
    hints = typing.get_type_hints(type(strategy))
    for field in parameters(type(strategy)):
        value = getattr(strategy, field.name)
        for other in _other_values(value, hints.get(field.name)):
            try:
                different = dataclasses.replace(strategy, **{field.name: other})
            except (PrunebenchError, ValueError, TypeError):
                continue
            if different != strategy:
                yield different


def _other_values(value: Any, hint: Any) -> Sequence[Any]:
    words = [each for part in (hint, *typing.get_args(hint)) for each in _literals(part) if each != value]
    if words:
        return words
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1]
    return [value / 2] if isinstance(value, float) else []


def _literals(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


CHECKS: list[Check] = [frozen, documented, source, round_trip, keys, recipe_level]
