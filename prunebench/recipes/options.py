"""Strategies as text: `imp[rate=0.2,of=remaining]` names a strategy and its options.

The fields of a strategy's dataclass are its options. `build` converts the text of each option to the type of its field
and validates it with pydantic; `label` writes a strategy as text again:

>>> parse_spec("imp[rate=0.2]")
('imp', {'rate': '0.2'})
>>> label(build(IMP, {"rate": "0.2"}))
'imp[rate=0.2]'
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from prunebench.errors import PrunebenchError, unknown_name

# The options that every method has (see `reserved`), for the error of an unknown one.
RESERVED = ("scope", "pattern", "budget", "schedule", "rewind", "teacher")

_SPEC = re.compile(r"(?P<name>[^\[\]=,\s]+)(\[(?P<options>.*)\])?")


def split_list(text: str) -> list[str]:
    """The items of a comma-separated list, without empty ones. Commas inside brackets do not separate items."""
    items, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            items.append(text[start:position])
            start = position + 1
    return [item.strip() for item in [*items, text[start:]] if item.strip()]


def parse_spec(text: str) -> tuple[str, dict[str, str]]:
    """Split `name[option=value,…]` into the name and its options, whose values stay text.

    Raises PrunebenchError if the text has another form or sets an option twice.
    """
    match = _SPEC.fullmatch(text.strip())
    if not match:
        raise PrunebenchError(f"cannot read strategy {text!r}", "expected NAME or NAME[option=value,option=value]")
    options: dict[str, str] = {}
    for item in split_list(match["options"] or ""):
        name, equals, value = item.partition("=")
        if not equals:
            raise PrunebenchError(f"cannot read {item!r} in {text!r}", "expected option=value")
        if name.strip() in options:
            raise PrunebenchError(f"option {name.strip()!r} is set twice in {text!r}")
        options[name.strip()] = value.strip()
    return match["name"], options


def parameters(kind: type) -> list[dataclasses.Field[Any]]:
    """The hyper-parameters of a strategy class."""
    return list(dataclasses.fields(kind))


@functools.lru_cache(maxsize=128)
def _adapter(kind: type[Any]) -> Any:
    """The pydantic reader of a strategy class. Cached: it takes a millisecond to create, and workers need many."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def build(kind: type[Any], options: Mapping[str, Any]) -> Any:
    """An instance of a strategy class, with `options` converted to the types of its fields.

    Raises PrunebenchError for an unknown option and for a value that its field cannot take.
    """
    from pydantic import ValidationError

    fields = {field.name: field for field in parameters(kind)}
    for option in options:
        if option not in fields:
            raise unknown_name(f"option of {kind.name}:", option, [*fields, *RESERVED])
    values = {name: _plain(value, str(fields[name].type)) for name, value in options.items()}
    try:
        return _adapter(kind).validate_python(values)  # type: ignore[arg-type]  # mypy: a class is not hashable
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"][:1].lower() + first["msg"][1:]
        field = fields.get(str(first["loc"][0])) if first["loc"] else None
        if field is None:
            raise PrunebenchError(f"bad options for strategy {kind.name!r}: {reason}") from None
        if field.name not in options:
            raise PrunebenchError(f"strategy {kind.name!r} needs the option {field.name!r}") from None
        default = "" if field.default is dataclasses.MISSING else f", by default {field.default!r}"
        raise PrunebenchError(
            f"bad value {options[field.name]!r} for {field.name!r} of strategy {kind.name!r}: {reason}",
            f"{field.name} is {field.type}{default}",
        ) from None


def _plain(value: Any, kind: str) -> Any:
    """Convert the texts that pydantic would read as another type.

    "none" becomes None where the field allows it, and "1.0" becomes a float, because pydantic would read it as the
    integer 1 in a field such as `int | float`: `rewind=1.0` is a fraction, `rewind=1` is a step.
    """
    if not isinstance(value, str) or kind == "str":
        return value
    if value.lower() in ("none", "null") and "None" in kind:
        return None
    return float(value) if re.fullmatch(r"[+-]?\d*\.\d+", value) else value


def options_of(strategy: Any) -> dict[str, Any]:
    """All options of a strategy with their values."""
    return dict(json.loads(json.dumps(dataclasses.asdict(strategy))))


def label(strategy: Any) -> str:
    """The shortest text that names a strategy: `imp`, or `imp[rate=0.2]` where an option is not its default."""
    changes = [
        f"{field.name}={_text(getattr(strategy, field.name))}"
        for field in parameters(type(strategy))
        if getattr(strategy, field.name) != field.default
    ]
    return str(strategy.name) + (f"[{','.join(changes)}]" if changes else "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
