"""Which masks are trained on which tasks, as a plan like any other: what it shares with other plans runs once.

A mask is found in the tree of its own task, and adopted in a second tree of the target. On its own task, the recipe
that found the mask goes on with a rewind and a training; for IMP that is its own recipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.compile import check_rewinds
from prunebench.planning.graph import Node, Plan, PlannedCell, RecipeStep, add_leaf, add_steps, adopt
from prunebench.planning.methods import Method, check
from prunebench.recipes.options import label
from prunebench.recipes.phase import Phase, final_selection, last_index
from prunebench.recipes.phases import Rewind, Train
from prunebench.recipes.reserved import follow_pattern
from prunebench.recipes.schedules import check_sparsity
from prunebench.recipes.strategy import Control, plural
from prunebench.runtime.memory import without_collection
from prunebench.store.schema import Experiment, Location, MethodInfo

# The strategy of all cells of a transfer, whatever method found the masks.
STRATEGY = "transfer"
# The method that finds its mask on θ0 alone: one mask for all tasks, unlike the other controls.
THETA0 = "magnitude-init"


@dataclass(frozen=True)
class Question:
    """Masks that `strategy` finds on each task of `sources` at `sparsity`, trained on each task of `targets`.

    Each target's own mask is trained too, and `controls`: a control (random-pruning) of the target's own mask, any
    other method as it is.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    strategy: str = "imp"
    sparsity: float = 0.7
    controls: tuple[str, ...] = ()

    @property
    def masks(self) -> tuple[str, ...]:
        """All tasks; those whose masks are wanted for themselves alone come last."""
        return tuple(dict.fromkeys((*self.sources, *self.targets)))


def default_controls(strategy: str, registry: Registry) -> tuple[str, ...]:
    """A random mask with as many units and, where single weights are pruned, the mask that θ0 alone gives."""
    unit = Method(strategy, registry).info.unit
    return ("random-pruning", THETA0) if unit == "weight" else ("random-pruning",)


@dataclass(frozen=True)
class Row:
    """A row of the table: the task that its mask comes from, or "", and the steps that train it on that very task."""

    task: str
    method: MethodInfo
    mask_from: str
    own_steps: list[RecipeStep]


class _Finder:
    """The method that finds the masks: the steps until its mask stands, and those that train it from θ0."""

    def __init__(self, question: Question, registry: Registry) -> None:
        self.question = question
        self.registry = registry
        self.method = Method(question.strategy, registry)
        check_sparsity(question.sparsity)
        if self.method.base is not self.method:
            raise PrunebenchError(
                f"{question.strategy!r} is a control and finds no mask", "name it with --controls instead"
            )
        if not self.method.prunes or not question.sparsity:
            raise PrunebenchError(f"{question.strategy!r} finds no mask at sparsity {question.sparsity:g}")
        steps = self.method.steps(question.sparsity)
        end = last_index([step.phase for step in steps], lambda phase: phase.asks_strategy)
        if end < 0:
            raise PrunebenchError(f"{question.strategy!r} finds no mask at sparsity {question.sparsity:g}")
        self.find = steps[: end + 1]
        self.shuffles = [step for step in steps[end + 1 :] if step.phase.draws_mask]
        self.training: list[Phase] = [Rewind(), Train(), *(step.phase for step in steps if step.phase.ends_recipe)]

    def rows(self) -> Iterator[Row]:
        """A row for each task's mask and for each control."""
        own_steps = [*self.find, *self.shuffles, *self._plain(self.training)]
        check(own_steps, self.method.info, self.question.sparsity)
        for source in self.question.masks:
            doc = f"The mask that {self.method.info.label} finds on {source}, trained from θ0 with a fresh head."
            yield Row(source, self._info(source, doc), source, own_steps)
        yield from map(self._control, self.question.controls)

    @property
    def purpose(self) -> str:
        return f"{self.method.info.label} {self.question.sparsity:g}"

    def transferred(self, source: Node, target: Node) -> Node:
        """The leaf below `target` where the mask that is found below `source` has been trained."""
        mask = add_steps(source, self.find, self.purpose)
        purpose = f"{self.purpose} of {source.experiment.task}"
        start = adopt(target, mask, self.method.info.unit, purpose)
        return add_leaf(start, [*self.shuffles, *self._plain(self.training[1:])], purpose)

    def _plain(self, phases: Sequence[Phase]) -> list[RecipeStep]:
        return [RecipeStep.plain(phase, self.registry.phase_to_json(phase)) for phase in phases]

    def _control(self, text: str) -> Row:
        strategy = self.registry.strategy(text)
        if not isinstance(strategy, Control):
            return self._other_method(Method(text, self.registry), text)
        control: Any = strategy
        control = replace(control, of=self.question.strategy)
        pattern = final_selection([step.phase for step in self.find]).pattern
        steps = [*self.find, *self.shuffles, *self._plain(follow_pattern(control.tail(self.training), pattern))]
        name = label(replace(control, of=type(control).of)) if hasattr(type(control), "of") else label(control)
        check(steps, self.method.info.model_copy(update={"label": name}), self.question.sparsity)
        doc = f"{name} of the mask that {self.method.info.label} finds on the target itself."
        return Row("", self._info(name, doc), name, steps)

    def _other_method(self, method: Method, text: str) -> Row:
        if method.info.unit != self.method.info.unit:
            theirs, ours = plural(method.info.unit), plural(self.method.info.unit)
            raise PrunebenchError(
                f"{text!r} prunes {theirs} and {self.question.strategy!r} {ours}",
                "expected controls that prune the same units",
            )
        doc = f"{method.info.label} on the target itself: {method.info.doc}"
        return Row("", self._info(method.info.label, doc), method.info.label, method.steps(self.question.sparsity))

    def _info(self, mask_from: str, doc: str) -> MethodInfo:
        finder = self.method.info.label
        changes = {
            "strategy": STRATEGY,
            "label": f"{STRATEGY}[of={finder},mask={mask_from}]",
            "doc": doc,
            "options": {"of": finder, "mask": mask_from},
        }
        return self.method.info.model_copy(update=changes)


@without_collection()
def plan_transfer(experiments: Sequence[Experiment], question: Question, registry: Registry, where: Location) -> Plan:
    """The plan that answers `question`. `experiments` holds one for each of its tasks and each seed."""
    finder = _Finder(question, registry)
    dense = Method("dense", registry)
    rows = list(finder.rows())
    for row in rows:
        for experiment in experiments:
            check_rewinds(row.own_steps, experiment, row.method.label)
    trees = {(each.task, each.seed): Node(each.key, each) for each in experiments}
    adopting = {(each.task, each.seed): Node(each.key, each) for each in experiments if each.task in question.targets}
    plan = Plan([*trees.values(), *adopting.values()], [], where)
    for (target, seed), tree in adopting.items():
        own = trees[target, seed]
        task = registry.get("tasks", target)
        splits = (task.benchmark, task.split, task.metrics, task.evaluations)
        plan.cells.append(PlannedCell(dense.info, 0.0, add_leaf(own, dense.steps(0.0), "dense"), *splits))
        for row in rows:
            if row.task in ("", target):
                purpose = finder.purpose if row.task else f"{row.mask_from} {question.sparsity:g}"
                leaf = add_leaf(own, row.own_steps, purpose)
            elif row.task in question.sources:
                leaf = finder.transferred(trees[row.task, seed], tree)
            else:
                continue
            plan.cells.append(PlannedCell(row.method, question.sparsity, leaf, *splits, row.mask_from))
    return plan
