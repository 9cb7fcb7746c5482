"""Strategies become recipes: checked lists of steps, each with what the key of a result must hold of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.entries import first_line
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import RecipeStep
from prunebench.pruning.structures import look_up
from prunebench.recipes.axes import check_level
from prunebench.recipes.options import label, options_of
from prunebench.recipes.phase import Phase, final_selection, final_sparsity, last_index, shrinks
from prunebench.recipes.reserved import add_options, apply_options, follow_pattern
from prunebench.recipes.schedules import check_sparsity
from prunebench.recipes.strategy import Control, plural, track
from prunebench.store.schema import MethodInfo


class Method:
    """A strategy in a plan. A control takes its recipe from the method that it controls, its `base`."""

    def __init__(self, text: str, registry: Registry) -> None:
        self.strategy, self.reserved = registry.strategy_and_options(text)
        self.label = add_options(label(self.strategy), self.reserved)
        self.registry = registry
        self.base = self
        if isinstance(self.strategy, Control):
            self.base = Method(self.strategy.of, registry)
            reason = "it is a control itself" if isinstance(self.base.strategy, Control) else "it prunes nothing"
            if isinstance(self.base.strategy, Control) or not self.base.prunes:
                raise PrunebenchError(f"{self.label} cannot control {self.strategy.of!r}: {reason}")
        unit = self.base.strategy.unit
        try:
            look_up(unit, registry)
        except PrunebenchError as error:
            raise PrunebenchError(f"strategy {text!r}: {error.message}", error.hint) from error
        self.info = MethodInfo(
            strategy=self.strategy.name,
            label=self.label,
            options={**options_of(self.strategy), **self.reserved},
            unit=unit,
            track=track(unit),
            control_of=None if self.base is self else self.base.label,
            source=registry.provenance("strategies", self.strategy.name),
            doc=first_line(type(self.strategy)),
        )

    @property
    def prunes(self) -> bool:
        """Whether the method has levels of sparsity; the dense model has none."""
        return any(phase.changes_mask for phase in self._recipe(self._level))

    @property
    def _level(self) -> float:
        """Some sparsity that the method has."""
        return next(iter(getattr(self.base.strategy, "levels", ())), 0.5)

    def unsupported(self, sparsity: float) -> str:
        """Why the method has no model of that sparsity, in a few words, or "" if it has one."""
        levels = getattr(self.base.strategy, "levels", ())
        if levels and sparsity not in levels:
            return f"{self.base.strategy.name} has the levels {', '.join(f'{level:g}' for level in levels)}"
        return check_level(final_selection(self._recipe(sparsity)).pattern, sparsity)

    def steps(self, sparsity: float) -> list[RecipeStep]:
        """The recipe at that sparsity. Raises PrunebenchError where it cannot be run."""
        steps = [self.base._step(phase) for phase in self._recipe(sparsity)]
        if self.base is not self:
            end = last_index([step.phase for step in steps], lambda phase: phase.changes_mask) + 1
            rest = [step.phase for step in steps[end:]]
            pattern = final_selection([step.phase for step in steps]).pattern
            tail = follow_pattern(_phases(self.strategy.tail(rest), f"the tail of {self.label!r}"), pattern)
            steps = steps[:end] + [self._step(phase) for phase in tail]
        check(steps, self.info, sparsity)
        if hasattr(self.strategy, "training") and not any("training" in step.phase.asks for step in steps):
            raise PrunebenchError(
                f"strategy {self.strategy.name!r} has a training(ctx), and no Train(callback=True) in its recipe"
            )
        return steps

    def _recipe(self, sparsity: float) -> list[Phase]:
        """The phases of the method that finds the masks, with its reserved options."""
        check_sparsity(sparsity)
        strategy = self.base.strategy
        try:
            phases = _phases(strategy.recipe(sparsity), f"the recipe of {self.base.label!r}")
            return apply_options(phases, self.base.reserved)
        except PrunebenchError as error:
            raise PrunebenchError(f"strategy {strategy.name!r}: {error.message}", error.hint) from error
        except Exception as error:
            raise PrunebenchError(
                f"strategy {strategy.name!r} has no recipe at {sparsity}: {type(error).__name__}: {error}"
            ) from error

    def _step(self, phase: Phase) -> RecipeStep:
        data = self.registry.phase_to_json(phase)
        if not phase.asks_strategy:
            return RecipeStep.plain(phase, data)
        if not any(hasattr(self.strategy, method) for method in phase.asks):
            raise PrunebenchError(
                f"strategy {self.strategy.name!r} has no {phase.asks[0]}(ctx), and its recipe has a {_name(phase)}",
                "see CONTRIBUTING.md",
            )
        code = self.registry.identity(self.strategy)
        token = json.dumps([data, self.strategy.name, options_of(self.strategy), code], sort_keys=True)
        return RecipeStep(phase, data, label(self.strategy), hasattr(self.strategy, "prune"), code["source"], token)


def _phases(answer: Any, who: str) -> list[Phase]:
    phases = list(answer)
    if not phases or not all(isinstance(phase, Phase) for phase in phases):
        raise PrunebenchError(f"{who} is no list of phases: {phases}")
    return phases


def check(steps: Sequence[RecipeStep], method: MethodInfo, sparsity: float) -> None:
    """Raise PrunebenchError where a recipe cannot be run, or ends at another sparsity, naming the method."""
    phases = [step.phase for step in steps]
    who = f"the recipe of {method.label!r}"
    for phase, following in itertools.pairwise(phases):
        if phase.ends_recipe and not following.ends_recipe:
            raise PrunebenchError(f"{who} goes on after {_name(phase)}", f"{_name(phase)} ends a recipe")
    for phase in phases:
        if method.track == "structured" and (phase.selection.pattern or phase.selection.scope in ("row", "erk")):
            units = plural(method.unit)
            raise PrunebenchError(f"{who} selects {units} by rows or patterns of weights", "use scope=layer")
        if method.track == "unstructured" and phase.selection.budget != "units":
            raise PrunebenchError(
                f"{who} has a budget of {phase.selection.budget}, which single weights cannot save", "use budget=units"
            )
    if shrinks(phases) and method.track == "unstructured":
        raise PrunebenchError(f"{who} compacts single weights", "only heads, neurons and layers can leave a model")
    for phase, after in zip(phases, [*phases[1:], None], strict=True):
        if phase.unfinished and not (after and (after.trains or after.sets_weights or after.unfinished)):
            raise PrunebenchError(
                f"{who} goes on with {_name(after)} after {_name(phase)}" if after else f"{who} ends in {_name(phase)}",
                "Train, Rewind or Reinit follows it",
            )
    for position, phase in enumerate(phases):
        if phase.rewinds_to and not any(earlier.trains for earlier in phases[:position]):
            raise PrunebenchError(f"{who} rewinds to {phase.rewinds_to} of a training that it has not had")
    if final_sparsity(phases) != sparsity:
        raise PrunebenchError(f"{who} at sparsity {sparsity:g} prunes to {final_sparsity(phases):g}")


def _name(phase: Phase) -> str:
    return type(phase).__name__
