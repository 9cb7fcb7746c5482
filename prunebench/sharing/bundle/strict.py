"""JSON of strangers, parsed into typed objects; every fault is refused with its place and the reason.

A text is measured before it is parsed, because a few bytes of `[],` become many times as much memory.
"""

from __future__ import annotations

import functools
import json
import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields
from typing import Any, NoReturn, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from prunebench.recipes.phase import AXIS
from prunebench.sharing.bundle.archive import BadBundle

Model = TypeVar("Model", bound=BaseModel)

# The limits of one JSON text, which is the manifest or one line. A record of 500 phases has 50 KB and 5000 values.
MAX_BYTES, MAX_VALUES = 2**20, 20_000
MAX_LINES = 200_000
# The absolute values of numbers other than 0. Squares of their quotients are finite, so that no page overflows.
SMALLEST, LARGEST = 1e-60, 1e60


def parse(data: bytes, name: str) -> Any:
    """The value of a JSON text called `name`.

    Raises BadBundle for a text that is too long, for duplicate names, for numbers that are not finite or out of bounds,
    and for text that is not Unicode.
    """
    if len(data) > MAX_BYTES:
        raise BadBundle(f"{name} has {len(data)} bytes", f"expected at most {MAX_BYTES}")
    if (values := count_values(data)) > MAX_VALUES:
        raise BadBundle(f"{name} may have {values} values", f"expected at most {MAX_VALUES}")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse,
            parse_float=_float,
            parse_int=_integer,
        )
        if rb"\u" in data:
            # An escaped half of a surrogate pair is valid JSON, and cannot be written to any file.
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except (ValueError, RecursionError) as error:
        reason = str(error)
        if isinstance(error, RecursionError):
            reason = "it is nested too deeply"
        elif isinstance(error, UnicodeEncodeError):
            reason = "it has half of a surrogate pair"
        raise BadBundle(f"{name} is not valid JSON: {reason}") from None


def count_values(data: bytes) -> int:
    """At least as many values as a JSON text has, without its outermost one."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the name {name!r} appears twice")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a finite number")


def _float(text: str) -> float:
    number = float(text)
    if number and not SMALLEST <= abs(number) <= LARGEST:
        _out_of_bounds(text) if math.isfinite(number) else _refuse(text)
    return number


def _integer(text: str) -> int:
    if len(text) > 19:
        _out_of_bounds(text)
    return int(text)


def _out_of_bounds(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:40]} is out of bounds")


def validate(model: type[Model], value: Any, name: str) -> Model:
    """The value as a model. Raises BadBundle, which names the first field that does not fit."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise BadBundle(f"{name} does not fit the schema of a bundle: {_first_error(error)}") from None


def check_fields(kind: type[Any], value: Mapping[str, Any], name: str) -> None:
    """Raise BadBundle unless `value` has exactly the fields of the dataclass `kind`, each of its type.

    An axis of a phase is there if, and only if, it is used.
    """
    axes = {field.name: field.default for field in fields(kind) if AXIS in field.metadata}
    if unused := sorted(axis for axis, default in axes.items() if axis in value and value[axis] == default):
        raise BadBundle(f"{name} has axes that it does not use: {', '.join(unused)}")
    names = {field.name for field in fields(kind)} - (axes.keys() - value.keys())
    if unexpected := sorted(set(value) - names):
        raise BadBundle(f"{name} has unknown fields: {', '.join(unexpected)}")
    if missing := sorted(names - set(value)):
        raise BadBundle(f"{name} lacks fields: {', '.join(missing)}")
    try:
        _adapter(cast("Hashable", kind)).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise BadBundle(f"{name} does not fit: {_first_error(error)}") from None


@functools.cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    """Cached, because it takes a hundred times as long to make as to use."""
    adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", kind))
    return adapter


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(map(str, first["loc"]))
    reason = first["msg"][:1].lower() + first["msg"][1:]
    return f"{field}: {reason}" if field else reason


def read_lines(data: bytes, model: type[Model], name: str) -> Iterator[Model]:
    """The lines of the JSON Lines file `name` as models. Raises BadBundle for the first line that does not fit."""
    if data and not data.endswith(b"\n"):
        raise BadBundle(f"{name} ends within a line")
    if (lines := data.count(b"\n")) > MAX_LINES:
        raise BadBundle(f"{name} has {lines} lines", f"expected at most {MAX_LINES}")
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        line_name = f"{name}, line {number}"
        yield validate(model, parse(line, line_name), line_name)


def dumps(value: Any) -> bytes:
    """Canonical JSON in one line: equal values give equal bytes."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"
