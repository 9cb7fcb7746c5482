"""Which masks are trained on which tasks, as a plan like any other: what it shares with other plans is run once.

The mask is found in the tree of its own task, and adopted in a tree of the target; on the task that it was found on
it is rewound there, which for IMP is what IMP does anyway. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import Cell, Node, Plan, Root, adopt, check_rewinds, grow, leaf
from prunebench.planning.methods import Method, Step, check, plain
from prunebench.recipes.options import label
from prunebench.recipes.phases import Compact, Phase, Rewind, Shuffle, Train, asks_strategy, last
from prunebench.recipes.schedules import check_sparsity
from prunebench.recipes.strategy import Control
from prunebench.runtime.memory import without_collection

# How the cells of a transfer are called in a store, whatever method found the masks.
STRATEGY = "transfer"
# The method whose mask θ0 alone gives: one mask for all tasks, unlike what other controls have.
THETA0 = "magnitude-init"


@dataclass(frozen=True)
class Question:
    """Masks that `strategy` finds on each of the tasks `sources` at `sparsity`, trained on each of `targets`.

    Each target is asked for its own mask too, and for `controls`: a control of `strategy` (random-pruning) of the
    target's own mask, any other method as it is.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    strategy: str = "imp"
    sparsity: float = 0.7
    controls: tuple[str, ...] = ()

    @property
    def masks(self) -> tuple[str, ...]:
        """The tasks whose masks are wanted, those for their own task alone last."""
        return tuple(dict.fromkeys((*self.sources, *self.targets)))


def default_controls(strategy: str, registry: Registry) -> tuple[str, ...]:
    """A random mask with as many units, and, where single weights go, the mask that θ0 alone gives."""
    unit = Method(strategy, registry).about["unit"]
    return ("random-pruning", THETA0) if unit == "weight" else ("random-pruning",)


@dataclass(frozen=True)
class Row:
    """A row of the table: the task that its mask is found on, or "", and the steps by which a target has its own."""

    task: str
    about: dict[str, Any]
    own: list[Step]


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
        found = last([step.phase for step in steps], asks_strategy)
        if found < 0:
            raise PrunebenchError(f"{question.strategy!r} finds no mask at sparsity {question.sparsity:g}")
        self.find = steps[: found + 1]
        self.shuffles = [step for step in steps[found + 1 :] if isinstance(step.phase, Shuffle)]
        compact: list[Phase] = [Compact()] if any(isinstance(step.phase, Compact) for step in steps) else []
        self.training: list[Phase] = [Rewind(), Train(), *compact]

    def rows(self) -> Iterator[Row]:
        """A row for each task whose mask is wanted and each control, with the steps of a target's own."""
        own = [*self.find, *self.shuffles, *map(plain, self.training)]
        check(own, self.method.about)
        for source in self.question.masks:
            doc = f"The mask that {self.method.about['label']} finds on {source}, trained from θ0 with a fresh head."
            yield Row(source, self._about(source, doc), own)
        yield from map(self._control, self.question.controls)

    @property
    def words(self) -> str:
        return f"{self.method.about['label']} {self.question.sparsity:g}"

    def transferred(self, source: Node, target: Node) -> Node:
        """The leaf below `target` where the mask that is found below `source` has been trained."""
        found = grow(source, self.find, self.words)
        words = f"{self.words} of {source.root.task}"
        start = adopt(target, found, self.method.about["unit"], words)
        return leaf(start, [*self.shuffles, *map(plain, self.training[1:])], words)

    def _control(self, text: str) -> Row:
        strategy = self.registry.strategy(text)
        if not isinstance(strategy, Control):
            method = Method(text, self.registry)
            if method.about["unit"] != self.method.about["unit"]:
                raise PrunebenchError(
                    f"{text!r} prunes {method.about['unit']}s and {self.question.strategy!r} "
                    f"{self.method.about['unit']}s",
                    "expected controls that prune the same units",
                )
            doc = f"{method.about['label']} on the target itself: {method.about['doc']}"
            steps = method.steps(self.question.sparsity)
            return Row("", self._about(method.about["label"], doc), steps)
        control: Any = strategy
        control = replace(control, of=self.question.strategy)
        steps = [*self.find, *self.shuffles, *map(plain, control.tail(self.training))]
        name = label(replace(control, of=type(control).of)) if hasattr(type(control), "of") else label(control)
        check(steps, {**self.method.about, "label": name})
        doc = f"{name} of the mask that {self.method.about['label']} finds on the target itself."
        return Row("", self._about(name, doc), steps)

    def _about(self, name: str, doc: str) -> dict[str, Any]:
        found = self.method.about["label"]
        return {
            **self.method.about,
            "strategy": STRATEGY,
            "label": f"{STRATEGY}[of={found},mask={name}]",
            "doc": doc,
            "options": {"of": found, "mask": name},
            "mask_from": name,
        }


@without_collection()
def plan(roots: Sequence[Root], question: Question, registry: Registry) -> Plan:
    """The plan that answers `question`: `roots` holds one for each of its tasks and each seed."""
    finder = _Finder(question, registry)
    dense = Method("dense", registry)
    rows = list(finder.rows())
    for row in rows:
        for root in roots:
            check_rewinds(row.own, root, row.about["label"])
    trees = {(root.task, root.seed): Node(root.key(), root) for root in roots}
    adopting = {(root.task, root.seed): Node(root.key(), root) for root in roots if root.task in question.targets}
    made = Plan([*trees.values(), *adopting.values()], [])
    for (target, seed), tree in adopting.items():
        own = trees[target, seed]
        task = registry.get("tasks", target)
        names = (task.benchmark, task.split, task.metrics, task.evaluations)
        made.cells.append(Cell(dense.about, 0.0, leaf(own, dense.steps(0.0), "dense"), *names))
        for row in rows:
            if row.task in ("", target):
                words = finder.words if row.task else f"{row.about['mask_from']} {question.sparsity:g}"
                end = leaf(own, row.own, words)
            elif row.task in question.sources:
                end = finder.transferred(trees[row.task, seed], tree)
            else:
                continue
            made.cells.append(Cell(row.about, question.sparsity, end, *names))
    return made
