"""Text of strangers as JSON, and JSON as models: each fault is refused with its place and its reason.

Imports `archive`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from prunebench.sharing.bundle.archive import BadBundle

M = TypeVar("M", bound=BaseModel)


def parse(data: bytes, where: str) -> Any:
    """JSON in which no name stands twice and every number is finite. Raises BadBundle for all else."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadBundle(f"{where} is not JSON as a bundle holds it: {reason}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    return number if math.isfinite(number := float(text)) else _refuse(text)


def read(model: type[M], value: Any, where: str) -> M:
    """The value as a model. Raises BadBundle that names the first thing that does not fit."""
    try:
        return TypeAdapter(model).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        at = ".".join(map(str, first["loc"])) or "it"
        reason = first["msg"][:1].lower() + first["msg"][1:]
        raise BadBundle(f"{where} does not fit the schema of a bundle: {at}: {reason}") from None


def check_fields(kind: type[Any], value: Mapping[str, Any], where: str) -> None:
    """Raise BadBundle unless `value` has all fields of the dataclass `kind` and no others, each of its type."""
    names = {field.name for field in fields(kind)}
    if names != set(value):
        raise BadBundle(f"{where} has other fields than are known: {', '.join(sorted(names ^ set(value)))}")
    try:
        TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise BadBundle(f"{where} does not fit: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def lines(data: bytes, model: type[M], name: str) -> Iterator[M]:
    """The lines of a JSON lines file as models."""
    if data and not data.endswith(b"\n"):
        raise BadBundle(f"{name} ends within a line")
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        where = f"{name}, line {number}"
        yield read(model, parse(line, where), where)


def dumps(value: Any) -> bytes:
    """JSON in one way only."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"
