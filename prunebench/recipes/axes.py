"""Three axes of every scoring method: what its scores are compared within, which masks are allowed, what a level means.

**Scopes.** At one sparsity of the whole model, a scope says how many units each part of it loses.

- `global`: the lowest scores of all groups go
- `layer`: each group loses the same fraction. A group is a matrix, or the heads or the neurons of a layer
- `row`: each row of each matrix, the weights of one output, loses the same fraction
- `erk`: each matrix has the density of the Erdős–Rényi kernel (Evci et al. 2020, section 3): large matrices lose more

**Patterns.** A pattern divides each matrix into tiles, and says what a mask of a tile may look like. Examples, 1 stays:

    2:4    1 0 0 1 | 0 1 1 0        two of four consecutive weights of a row stay
    4x1    1 0 1                    the four weights of a block of 4 rows and 1 column stay or go as a whole
           1 0 1
           1 0 1
           1 0 1

**Budgets.** A level of sparsity is a fraction of the `units`, of the `parameters` of all units, or of their `flops` at
128 tokens (see `pruning.budgets`). Under the last two, units go from the lowest score on until what they cost reaches
the level: without the last one it would not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from prunebench.errors import PrunebenchError, unknown_name
from prunebench.recipes.schedules import pruned_count

Scope = Literal["global", "layer", "row", "erk"]
SCOPES: tuple[Scope, ...] = ("global", "layer", "row", "erk")
BudgetName = Literal["units", "parameters", "flops"]
BUDGETS: tuple[BudgetName, ...] = ("units", "parameters", "flops")

_PATTERN = re.compile(r"([0-9]{1,6})([:x])([0-9]{1,6})")


@dataclass(frozen=True)
class NM:
    """`keep` of each `of` consecutive weights of a row, along the inputs, stay (Zhou et al. 2021).

    GPUs multiply matrices of the pattern 2:4 faster than dense ones (Mishra et al. 2021). Raises PrunebenchError
    unless 0 < keep < of.
    """

    keep: int
    of: int

    def __post_init__(self) -> None:
        if not 0 < self.keep < self.of:
            raise PrunebenchError(f"a pattern n:m needs 0 < n < m, got {self}", "2:4 keeps 2 of 4 consecutive weights")

    def __str__(self) -> str:
        return f"{self.keep}:{self.of}"

    @property
    def level(self) -> float:
        """The only sparsity that the pattern allows."""
        return (self.of - self.keep) / self.of

    @property
    def tile(self) -> tuple[int, int]:
        """The rows and columns of a tile."""
        return 1, self.of


@dataclass(frozen=True)
class Blocks:
    """Blocks of `rows` × `columns` weights stay or go as a whole. Raises PrunebenchError for less than two weights."""

    rows: int
    columns: int

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < 1 or self.size < 2:
            raise PrunebenchError(f"a block needs at least two weights, got {self}", "4x1 is 4 rows and 1 column")

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"

    @property
    def size(self) -> int:
        """The number of weights of a block."""
        return self.rows * self.columns

    @property
    def tile(self) -> tuple[int, int]:
        """The rows and columns of a tile."""
        return self.rows, self.columns


Pattern: TypeAlias = NM | Blocks


def parse_pattern(text: str) -> Pattern:
    """The pattern that `text` names, such as "2:4" or "4x1". `str` gives the text back.

    Raises PrunebenchError if the text has another form or names an impossible pattern.
    """
    match = _PATTERN.fullmatch(text.strip())
    if not match:
        raise PrunebenchError(f"cannot read pattern {text!r}", "expected n:m, as in 2:4, or rows x columns, as in 4x1")
    first, second = int(match[1]), int(match[3])
    return NM(first, second) if match[2] == ":" else Blocks(first, second)


@dataclass(frozen=True)
class Selection:
    """How units are selected by their scores: compared within `scope`, under a mask that follows `pattern`.

    `budget` says what a level of sparsity is a fraction of.
    """

    scope: Scope = "global"
    pattern: Pattern | None = None
    budget: BudgetName = "units"

    @classmethod
    def parse(cls, scope: str, pattern: str, budget: str = "units") -> Selection:
        """The selection that texts name; "" is no pattern.

        Raises PrunebenchError for an unknown scope, pattern or budget, for a scope beside n:m, which leaves it no
        choice, and for a scope or a pattern under a budget of parameters or FLOPs.
        """
        if scope not in SCOPES:
            raise unknown_name("scope", scope, SCOPES)
        if budget not in BUDGETS:
            raise unknown_name("budget", budget, BUDGETS)
        if budget != "units" and (scope != "global" or pattern):
            raise PrunebenchError(
                f"a budget of {budget} goes with no {'pattern' if pattern else 'scope'}", "use budget=units"
            )
        result = cls(scope, parse_pattern(pattern) if pattern else None, budget)
        if isinstance(result.pattern, NM) and scope != "global":
            raise PrunebenchError(f"pattern {pattern} leaves no choice to scope {scope!r}", "leave out the scope")
        return result

    def count(self, sparsity: float, units: int) -> int:
        """How many of `units` are pruned at that sparsity, where the pattern divides every matrix.

        Raises PrunebenchError under a budget of parameters or FLOPs, where the number depends on the scores.
        """
        if self.budget != "units":
            raise PrunebenchError(
                f"under a budget of {self.budget} the number of pruned units depends on their scores",
                "ctx.select(scores, sparsity) gives a mask of that level",
            )
        if isinstance(self.pattern, Blocks):
            return pruned_count(sparsity, units // self.pattern.size) * self.pattern.size
        return pruned_count(sparsity, units)


def check_level(pattern: Pattern | None, sparsity: float) -> str:
    """Why a model of this sparsity cannot follow `pattern`, or "" if it can.

    On the way to n:m a mask may have less sparsity, with at least n of each m weights left.
    """
    # The tolerance admits decimals of a level such as 2/3 with ten digits, as ladders round them.
    if isinstance(pattern, NM) and abs(sparsity - pattern.level) > 1e-9:
        return f"pattern {pattern} has sparsity {pattern.level:.10g}"
    return ""


def check_scope(scope: Scope, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise PrunebenchError if `scope` is unknown, or is about rows and columns and a group is no matrix."""
    if scope not in SCOPES:
        raise unknown_name("scope", scope, SCOPES)
    for name, shape in shapes.items():
        if scope in ("row", "erk") and len(shape) != 2:
            raise PrunebenchError(
                f"scope {scope!r} needs matrices, but {name!r} has shape {shape}", "use unit 'weight'"
            )


def required_count(pattern: Pattern | None, sparsity: float, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many units exactly are pruned at `sparsity` in groups of these shapes.

    With blocks, `sparsity` is the fraction of blocks, which can differ from the fraction of weights by rounding.

    Raises PrunebenchError if the pattern allows less sparsity, or does not divide the shape of a group.
    """
    if pattern is not None:
        check_division(pattern, shapes)
    if isinstance(pattern, NM) and sparsity > pattern.level + 1e-9:
        raise PrunebenchError(
            f"pattern {pattern} has at most sparsity {pattern.level:.10g}, not {sparsity:.10g}", "use another pattern"
        )
    return Selection(pattern=pattern).count(sparsity, sum(math.prod(shape) for shape in shapes.values()))


def check_division(pattern: Pattern, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise PrunebenchError unless the tiles of `pattern` cover each shape (outputs, inputs) exactly."""
    rows, columns = pattern.tile
    for name, shape in shapes.items():
        if len(shape) != 2:
            raise PrunebenchError(
                f"pattern {pattern} needs matrices, but {name!r} has shape {shape}", "use unit 'weight'"
            )
        if shape[0] % rows or shape[1] % columns:
            raise PrunebenchError(
                f"pattern {pattern} does not divide {name!r}, whose shape is {shape}",
                f"expected multiples of {rows} and {columns}",
            )
