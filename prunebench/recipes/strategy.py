"""The interface of a pruning method and of a control."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from prunebench.errors import PrunebenchError
from prunebench.recipes.phase import Phase

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.execution.context import Context

# The name of a structure ("weight"), or of several that are pruned together ("head+neuron").
Unit: TypeAlias = str
# The built-in structures, in the order in which compositions name them.
UNITS = ("weight", "head", "neuron", "layer")
NAME = "[a-z][a-z0-9-]*"
PATTERN = rf"{NAME}(\+{NAME})*"


@runtime_checkable
class Strategy(Protocol):
    """A pruning method: a frozen dataclass whose fields are its hyper-parameters.

    `recipe(sparsity)` returns its phases. `score(ctx)` returns a tensor for every name in `ctx.mask`, with the shape of
    that mask; the units with the lowest scores are pruned. A method that also updates the remaining weights defines
    `prune(ctx, sparsity)` instead, which changes `ctx.weights` in place and returns the new mask. A method that acts
    while the model trains defines `training(ctx)`, which returns a `TrainingCallback` for each `Train(callback=True)`
    of its recipe; with a class attribute `regrows = True` its masks may bring pruned units back.
    """

    name: ClassVar[str]
    unit: ClassVar[Unit]

    def recipe(self, sparsity: float) -> Sequence[Phase]: ...

    def score(self, ctx: Context) -> Mapping[str, Tensor]: ...


@runtime_checkable
class Control(Protocol):
    """A control of another method: a frozen dataclass that changes how that method's recipe ends.

    The recipe of a control is the other method's recipe up to the last phase that changes the mask, followed by
    `tail(rest)`. `rest` holds the phases that follow in the other method. `of` is the other method with its options,
    such as `imp[rate=0.2]`. Unit and sparsities are those of the other method.
    """

    name: ClassVar[str]
    of: str

    def tail(self, rest: Sequence[Phase]) -> Sequence[Phase]: ...


def track(unit: Unit) -> Literal["structured", "unstructured"]:
    """The ranking that a unit belongs to. Structured and unstructured methods are never ranked together."""
    return "unstructured" if unit == "weight" else "structured"


def split_unit(unit: Unit) -> list[str]:
    """The names of the structures in a unit. Raises PrunebenchError if the text has another form, or a name twice."""
    names = unit.split("+") if isinstance(unit, str) and re.fullmatch(PATTERN, unit) else []
    if not names or len(names) != len(set(names)):
        raise PrunebenchError(f"cannot read unit {unit!r}", "expected a name such as 'head', or several: 'head+neuron'")
    return names


def denominator(unit: Unit, budget: str) -> str:
    """Whatever a sparsity is a fraction of: "heads", or "FLOPs of heads and neurons"."""
    return plural(unit) if budget == "units" else f"{budget.replace('flops', 'FLOPs')} of {plural(unit)}"


def plural(unit: Unit) -> str:
    """Units in a sentence: "heads", "heads and neurons"."""
    *names, last = (f"{name}s" for name in unit.split("+"))
    return f"{', '.join(names)} and {last}" if names else last
