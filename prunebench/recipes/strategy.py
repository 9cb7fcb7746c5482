"""What a strategy is, and how `imp[rate=0.2,of=remaining]` becomes one. Imports no torch."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from prunebench.errors import PrunebenchError, unknown
from prunebench.recipes.phases import Phase

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.execution.context import Context

Unit = Literal["weight", "head", "neuron"]
UNITS: tuple[Unit, ...] = ("weight", "head", "neuron")


@runtime_checkable
class Strategy(Protocol):
    """A pruning method: a frozen dataclass whose fields are its hyper-parameters.

    `recipe(sparsity)` lists its phases. `score(ctx)` gives, for every name of `ctx.mask`, a tensor of the same shape:
    the units of lowest score go first. A method that also moves the weights that stay defines
    `prune(ctx, sparsity)`, which changes `ctx.weights` in place and returns the new mask.
    """

    name: ClassVar[str]
    unit: ClassVar[Unit]

    def recipe(self, sparsity: float) -> Sequence[Phase]: ...

    def score(self, ctx: Context) -> Mapping[str, Tensor]: ...


@runtime_checkable
class Control(Protocol):
    """A control of another method: that method's recipe up to its last mask, and then `tail(rest)`.

    `rest` is what the controlled method goes on with there. `of` names it, options and all (`imp[rate=0.2]`); unit
    and levels are that method's.
    """

    name: ClassVar[str]
    of: str

    def tail(self, rest: Sequence[Phase]) -> Sequence[Phase]: ...


def track(unit: Unit) -> Literal["structured", "unstructured"]:
    """Structured and unstructured methods are never ranked together."""
    return "unstructured" if unit == "weight" else "structured"


_SPEC = re.compile(r"(?P<name>[^\[\]=,\s]+)(\[(?P<options>.*)\])?")


def split_list(text: str) -> list[str]:
    """The entries of a comma-separated list; commas inside brackets do not separate."""
    entries, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            entries.append(text[start:position])
            start = position + 1
    return [entry.strip() for entry in [*entries, text[start:]] if entry.strip()]


def parse_spec(text: str) -> tuple[str, dict[str, str]]:
    """Take `name[option=value,…]` apart; values stay text."""
    match = _SPEC.fullmatch(text.strip())
    if not match:
        raise PrunebenchError(f"cannot read strategy {text!r}", "expected NAME or NAME[option=value,option=value]")
    options: dict[str, str] = {}
    for part in split_list(match["options"] or ""):
        name, equals, value = part.partition("=")
        if not equals:
            raise PrunebenchError(f"cannot read {part!r} in {text!r}", "expected option=value")
        if name.strip() in options:
            raise PrunebenchError(f"option {name.strip()!r} stands twice in {text!r}")
        options[name.strip()] = value.strip()
    return match["name"], options


def parameters(kind: type) -> list[dataclasses.Field[Any]]:
    """The hyper-parameters of a strategy class."""
    return list(dataclasses.fields(kind))


@functools.lru_cache(maxsize=128)
def _adapter(kind: type[Any]) -> Any:
    """How pydantic reads the fields of a strategy: a millisecond to make, and workers build many strategies."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def build(kind: type[Any], options: Mapping[str, Any]) -> Any:
    """An instance of the strategy with `options`, each converted to its field's type and validated."""
    from pydantic import ValidationError

    known = [field.name for field in parameters(kind)]
    for option in options:
        if option not in known:
            raise unknown(f"option of strategy {kind.name!r}", option, known)
    fields = {field.name: str(field.type) for field in parameters(kind)}
    try:
        read = _adapter(kind)  # type: ignore[arg-type]  # mypy takes no class for hashable
        return read.validate_python({name: _plain(value, fields[name]) for name, value in options.items()})
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]) if first["loc"] else ""
        field = next((field for field in parameters(kind) if field.name == option), None)
        reason = first["msg"][:1].lower() + first["msg"][1:]
        if field is None:
            raise PrunebenchError(f"bad options for strategy {kind.name!r}: {reason}") from None
        raise PrunebenchError(
            f"bad value {options[option]!r} for {option!r} of strategy {kind.name!r}: {reason}",
            f"{option} is {field.type}, by default {field.default!r}",
        ) from None


def _plain(value: Any, kind: str) -> Any:
    """Text that no type would tell: nothing, for what may be nothing, and 1.0, which is a fraction and no step."""
    if not isinstance(value, str) or kind == "str":
        return value
    if value.lower() in ("none", "null") and "None" in kind:
        return None
    return float(value) if re.fullmatch(r"[+-]?\d*\.\d+", value) else value


def options_of(strategy: Any) -> dict[str, Any]:
    """All fields of a strategy with their values, as they come back from JSON: a tuple is a list."""
    return dict(json.loads(json.dumps(dataclasses.asdict(strategy))))


def label(strategy: Any) -> str:
    """`imp`, or `imp[rate=0.2]` where an option departs from its default."""
    changed = [
        f"{field.name}={_text(getattr(strategy, field.name))}"
        for field in parameters(type(strategy))
        if getattr(strategy, field.name) != field.default
    ]
    return str(strategy.name) + (f"[{','.join(changed)}]" if changed else "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
