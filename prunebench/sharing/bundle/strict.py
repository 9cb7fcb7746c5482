"""JSON of strangers, parsed into typed objects; every fault is refused with its place and the reason."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from prunebench.recipes.phase import AXIS
from prunebench.sharing.bundle.archive import BadBundle

Model = TypeVar("Model", bound=BaseModel)


def parse(data: bytes, name: str) -> Any:
    """The value of a JSON text called `name`. Raises BadBundle for duplicate names and numbers that are not finite."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadBundle(f"{name} is not valid JSON: {reason}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} appears twice")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a finite number")


def _finite(text: str) -> float:
    return number if math.isfinite(number := float(text)) else _refuse(text)


def validate(model: type[Model], value: Any, name: str) -> Model:
    """The value as a model. Raises BadBundle, which names the first field that does not fit."""
    try:
        return TypeAdapter(model).validate_python(value)
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
        TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise BadBundle(f"{name} does not fit: {_first_error(error)}") from None


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(map(str, first["loc"]))
    reason = first["msg"][:1].lower() + first["msg"][1:]
    return f"{field}: {reason}" if field else reason


def read_lines(data: bytes, model: type[Model], name: str) -> Iterator[Model]:
    """The lines of the JSON Lines file `name` as models. Raises BadBundle for the first line that does not fit."""
    if data and not data.endswith(b"\n"):
        raise BadBundle(f"{name} ends within a line")
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        line_name = f"{name}, line {number}"
        yield validate(model, parse(line, line_name), line_name)


def dumps(value: Any) -> bytes:
    """Canonical JSON in one line: equal values give equal bytes."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"
