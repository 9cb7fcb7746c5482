"""The built-in phases of a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from prunebench.errors import PrunebenchError
from prunebench.recipes.axes import Selection
from prunebench.recipes.inputs import Input, Teacher
from prunebench.recipes.phase import Phase, UnknownPhase, axis
from prunebench.recipes.schedules import Cubic, check_sparsity
from prunebench.recipes.strategy import Unit

if TYPE_CHECKING:
    from prunebench.execution.phase_context import PhaseContext


@dataclass(frozen=True)
class Train(Phase):
    """Train by the task's protocol, with a new optimiser and learning-rate schedule; pruned units stay at zero.

    Attributes:
        sparsity: the model is also pruned during the training, to this sparsity: along a cubic by the strategy's
            scores, or by its callback.
        callback: the strategy's `training(ctx)` is asked for a callback. Without `sparsity`, as many units are pruned
            after each step as before the training, or units of the same cost, if the phase that pruned them had a
            budget. The pattern and the scope are those of that phase, too.
        scope, pattern, budget: see `Prune`.
        length: the number of steps as a multiple of the protocol's, such as 0.5 or 2.
        teacher: the dense model of the same seed is a teacher.
    """

    trains: ClassVar[bool] = True

    sparsity: Cubic | float | None = None
    callback: bool = axis(False)
    scope: str = axis("global")
    pattern: str = axis("")
    budget: str = axis("units")
    length: float = axis(1.0)
    teacher: Teacher | None = axis(None)

    def __post_init__(self) -> None:
        if isinstance(self.sparsity, int | float):
            check_sparsity(self.sparsity)
            if not self.callback:
                raise PrunebenchError(
                    f"a training prunes to {self.sparsity:g} along no schedule",
                    "expected Train(Cubic(sparsity)), or callback=True for a strategy with training(ctx)",
                )
        Selection.parse(self.scope, self.pattern, self.budget)
        if not 0 < self.length < math.inf:
            raise PrunebenchError(f"a training has {self.length} of its steps", "expected a number above 0")

    @property
    def asks(self) -> tuple[str, ...]:
        if self.callback:
            return ("training",)
        return () if self.sparsity is None else ("score", "prune")

    @property
    def level(self) -> float | None:
        return self.sparsity.final if isinstance(self.sparsity, Cubic) else self.sparsity

    @property
    def selection(self) -> Selection:
        return Selection.parse(self.scope, self.pattern, self.budget)

    @property
    def trainings(self) -> float:
        return self.length

    @property
    def inputs(self) -> tuple[Input, ...]:
        return () if self.teacher is None else (Input("weights", recipe=(Train(),)),)

    @property
    def taught_by(self) -> str:
        return "" if self.teacher is None else "dense"

    def steps(self, protocol: int) -> int:
        """The number of optimiser steps where the protocol has so many; at least one."""
        return max(1, round(self.length * protocol))

    def apply(self, ctx: PhaseContext) -> None:
        ctx.train(self)

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> Self:
        sparsity, teacher = values.get("sparsity"), values.get("teacher")
        return super().from_fields(
            {
                **values,
                "sparsity": Cubic(**sparsity) if isinstance(sparsity, Mapping) else sparsity,
                "teacher": Teacher(**teacher) if isinstance(teacher, Mapping) else teacher,
            }
        )


@dataclass(frozen=True)
class Prune(Phase):
    """Remove the units with the lowest scores until `sparsity` of all prunable units are pruned.

    Pruned units never come back, so the masks of one recipe are nested.

    Attributes:
        scope: what the scores are compared within: "global", "layer", "row" or "erk" (see `recipes.axes`).
        pattern: which masks of weights are allowed: "" for all, "2:4" or "4x1".
        budget: what `sparsity` is a fraction of: the "units", or the "parameters" or "flops" of all of them (see
            `recipes.axes`).
    """

    sparsity: float
    scope: str = axis("global")
    pattern: str = axis("")
    budget: str = axis("units")

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        Selection.parse(self.scope, self.pattern, self.budget)

    @property
    def asks(self) -> tuple[str, ...]:
        return "score", "prune"

    @property
    def selection(self) -> Selection:
        return Selection.parse(self.scope, self.pattern, self.budget)

    @property
    def level(self) -> float | None:
        return self.sparsity

    def apply(self, ctx: PhaseContext) -> None:
        ctx.prune(self.sparsity, self.selection)


@dataclass(frozen=True)
class Rewind(Phase):
    """Reset every weight to an earlier value, the task head included, and keep the mask.

    `to` is 0 for the pre-trained weights θ0, an integer for that optimiser step of the recipe's first training, or a
    float in (0, 1) for that fraction of it (Frankle et al. 2020).
    """

    sets_weights: ClassVar[bool] = True

    to: int | float = 0

    def __post_init__(self) -> None:
        if self.to < 0 or (isinstance(self.to, float) and not self.to < 1):
            raise PrunebenchError(
                f"cannot rewind to {self.to}", "expected 0, a step such as 100, or a fraction below 1"
            )

    @property
    def rewinds_to(self) -> int | float | None:
        return self.to

    def apply(self, ctx: PhaseContext) -> None:
        """Nothing is left to do: a rewind starts a job, and a job starts by loading the weights that it rewinds to."""


@dataclass(frozen=True)
class Reinit(Phase):
    """Draw every weight from the model's own initialiser, embeddings included, and keep the mask (θ0′)."""

    sets_weights: ClassVar[bool] = True
    changes_weights: ClassVar[bool] = True

    def apply(self, ctx: PhaseContext) -> None:
        ctx.reinitialise()


@dataclass(frozen=True)
class PermuteLayers(Phase):
    """Permute the encoder's layers; the weights of a layer stay together, and the mask stays in place (θ0″)."""

    changes_weights: ClassVar[bool] = True
    unfinished: ClassVar[bool] = True

    def apply(self, ctx: PhaseContext) -> None:
        ctx.permute_layers()


@dataclass(frozen=True)
class Shuffle(Phase):
    """Replace the mask by a random one with the same counts: of each matrix ("layer"), or of all ("global").

    The random mask follows `pattern`, which the core sets to the pattern of the mask before it.
    """

    draws_mask: ClassVar[bool] = True
    unfinished: ClassVar[bool] = True

    counts: str = "layer"
    pattern: str = axis("")

    def __post_init__(self) -> None:
        Selection.parse("global", self.pattern)
        if self.counts not in ("layer", "global"):
            raise PrunebenchError(f"cannot shuffle by {self.counts!r}", "expected 'layer' or 'global'")

    def apply(self, ctx: PhaseContext) -> None:
        ctx.shuffle_mask(self.counts, Selection.parse("global", self.pattern).pattern)


@dataclass(frozen=True)
class Adopt(Phase):
    """Take the mask that another recipe found on another task.

    `mask` is the key of the node that found it. The mask prunes the fraction `sparsity` of all units of kind `unit`.
    Only the plan of a transfer creates this phase, as the first one of a recipe, where the weights are θ0.
    """

    mask: str
    unit: Unit
    sparsity: float
    pattern: str = axis("")
    budget: str = axis("units")

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (Input("mask", key=self.mask),)

    @property
    def selection(self) -> Selection:
        return Selection.parse("global", self.pattern, self.budget)

    @property
    def level(self) -> float | None:
        return self.sparsity

    def apply(self, ctx: PhaseContext) -> None:
        ctx.take_mask(self.mask, self.unit)


@dataclass(frozen=True)
class Compact(Phase):
    """Take the pruned heads, neurons or layers out of the model, so that it shrinks. Only at the end of a recipe."""

    ends_recipe: ClassVar[bool] = True
    shrinks_model: ClassVar[bool] = True

    def apply(self, ctx: PhaseContext) -> None:
        ctx.compact()


BUILT_IN: dict[str, type[Phase]] = {
    kind.__name__: kind for kind in (Train, Prune, Rewind, Reinit, PermuteLayers, Shuffle, Adopt, Compact)
}


def from_record(data: Mapping[str, Any]) -> Phase:
    """A built-in phase as a record holds it, or `UnknownPhase` for one of a plugin or with impossible fields."""
    try:
        return BUILT_IN[data["phase"]].from_fields(data)
    except (KeyError, TypeError, PrunebenchError):
        return UnknownPhase()
