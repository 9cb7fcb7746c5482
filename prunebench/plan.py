"""A suite becomes a forest of recipes: one tree for each task and seed, in which equal prefixes are one branch.

The key of a phase is a digest of everything that its outcome depends on. Same key, same work. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.phases import Compact, Phase, Prune, Rewind, Train, changes_mask, check_sparsity, to_json
from prunebench.registry import Registry, first_line
from prunebench.strategy import UNITS, Control, label, options_of, track

# Raised whenever the same plan would give other numbers: every key changes with it.
ENGINE = 1


@dataclass(frozen=True)
class Root:
    """Where a tree starts: everything but the method. `where` says how to get at it and is no part of the key."""

    task: str
    task_source: str
    data: str
    sizes: dict[str, int]
    model: dict[str, str]
    protocol: dict[str, Any]
    protocol_label: str
    seed: int
    precision: str
    device: str
    prunable: str
    where: dict[str, Any]

    def key(self) -> str:
        return _digest(
            [
                *(ENGINE, self.task, self.task_source, self.data, self.model["fingerprint"], self.protocol),
                *(self.seed, self.precision, self.device, self.prunable),
            ]
        )

    def setting(self) -> dict[str, str]:
        """What must be equal for two results to stand in one ranking."""
        return {
            "model": self.model["name"],
            "model_fingerprint": self.model["fingerprint"],
            "model_revision": self.model["revision"],
            "data": self.data,
            "protocol": self.protocol_label,
            "precision": self.precision,
            "device": self.device,
            "prunable": self.prunable,
        }


@dataclass(eq=False, slots=True)
class Node:
    """A phase in its place. `strategy` is the text that names the strategy which the phase calls, or ""."""

    key: str
    root: Root
    phase: Phase | None = None
    strategy: str = ""
    moves: bool = False
    parent: Node | None = None
    children: dict[str, Node] = field(default_factory=dict)
    scored: bool = False
    made_for: str = ""

    def path(self) -> list[Node]:
        """The nodes from the first phase to this one."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None and node.phase is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children.values()))

    def to_json(self) -> dict[str, Any]:
        assert self.phase is not None
        return {"key": self.key, "phase": to_json(self.phase), "strategy": self.strategy}


@dataclass(frozen=True)
class Step:
    """A phase of a recipe and whom it calls. `token` is what the key holds of it."""

    phase: Phase
    strategy: str
    moves: bool
    token: str


@dataclass(frozen=True)
class Cell:
    """One method at one sparsity on one task with one seed, and the leaf that its score is read from."""

    method: dict[str, Any]
    sparsity: float
    leaf: Node
    benchmark: str
    split: str
    metrics: tuple[str, ...]
    evaluations: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        root = self.leaf.root
        return {
            **self.method,
            "task": root.task,
            "benchmark": self.benchmark,
            "split": self.split,
            "metrics": list(self.metrics),
            "evaluations": list(self.evaluations),
            "sparsity": self.sparsity,
            "seed": root.seed,
            "key": self.leaf.key,
            "trainings": [node.key for node in self.leaf.path() if isinstance(node.phase, Train)],
            "setting": root.setting(),
        }


@dataclass(frozen=True)
class Plan:
    """All trees and the cells that hang on them."""

    roots: list[Node]
    cells: list[Cell]

    def nodes(self) -> Iterator[Node]:
        return (node for root in self.roots for node in root.walk() if node.phase is not None)


def build(
    roots: Iterable[Root], strategies: Sequence[str], levels: dict[str, tuple[float, ...]], registry: Registry
) -> Plan:
    """The plan of `strategies` at the `levels` of each task, for every root; dense is always in it."""
    methods = [Method(text, registry) for text in dict.fromkeys(["dense", *strategies])]
    recipes = {
        task: [
            (method.about, level, method.steps(level))
            for method in methods
            for level in (task_levels if method.prunes else (0.0,))
        ]
        for task, task_levels in levels.items()
    }
    plan = Plan([], [])
    for root in roots:
        tree = Node(root.key(), root)
        plan.roots.append(tree)
        task = registry.get("tasks", root.task)
        names = (task.benchmark, task.split, task.metrics, task.evaluations)
        for about, level, steps in recipes[root.task]:
            plan.cells.append(Cell(about, level, _grow(tree, steps, f"{about['label']} {level:g}"), *names))
    return plan


def _grow(tree: Node, steps: Sequence[Step], made_for: str) -> Node:
    node = tree
    for step in steps:
        child = node.children.get(step.token)
        if child is None:
            key = _digest([node.key, step.token])
            child = Node(key, tree.root, step.phase, step.strategy, step.moves, node, made_for=made_for)
            node.children[step.token] = child
        node = child
    node.scored = True
    return node


class Method:
    """A strategy in a plan: its recipes, with a control's taken from the method that it controls."""

    def __init__(self, text: str, registry: Registry) -> None:
        self.strategy = registry.strategy(text)
        self.registry = registry
        self.base = self
        if isinstance(self.strategy, Control):
            self.base = Method(self.strategy.of, registry)
            if isinstance(self.base.strategy, Control) or not self.base.prunes:
                raise PrunebenchError(
                    f"{label(self.strategy)} cannot control {self.strategy.of!r}, which prunes nothing"
                )
        unit = self.base.strategy.unit
        if unit not in UNITS:
            raise PrunebenchError(f"strategy {text!r} prunes unknown unit {unit!r}", f"expected {', '.join(UNITS)}")
        self.about = {
            "strategy": self.strategy.name,
            "label": label(self.strategy),
            "doc": first_line(type(self.strategy)),
            "options": options_of(self.strategy),
            "unit": unit,
            "track": track(unit),
            "control_of": None if self.base is self else label(self.base.strategy),
            "source": registry.entry("strategies", self.strategy.name).plugin.source,
        }

    @property
    def prunes(self) -> bool:
        """Whether the method has levels; the dense model has none."""
        return any(map(changes_mask, self._recipe(self.base.strategy, 0.5)))

    def steps(self, sparsity: float) -> list[Step]:
        steps = [self.base._step(phase) for phase in self._recipe(self.base.strategy, sparsity)]
        if self.base is not self:
            last = max((i for i, step in enumerate(steps) if changes_mask(step.phase)), default=-1)
            tail = list(self.strategy.tail())
            steps = steps[: last + 1] + [self._step(phase) for phase in tail]
        _check(steps, self.about)
        return steps

    def _recipe(self, strategy: Any, sparsity: float) -> list[Phase]:
        check_sparsity(sparsity)
        try:
            return list(strategy.recipe(sparsity))
        except PrunebenchError:
            raise
        except Exception as error:
            raise PrunebenchError(
                f"strategy {strategy.name!r} has no recipe at {sparsity}: {type(error).__name__}: {error}"
            ) from error

    def _step(self, phase: Phase) -> Step:
        calls = isinstance(phase, Prune) or (isinstance(phase, Train) and phase.sparsity is not None)
        if not calls:
            return Step(phase, "", False, json.dumps(to_json(phase), sort_keys=True))
        caller = [self.strategy.name, options_of(self.strategy), self.registry.identity(self.strategy)]
        token = json.dumps([to_json(phase), caller], sort_keys=True)
        return Step(phase, label(self.strategy), hasattr(self.strategy, "prune"), token)


def _check(steps: Sequence[Step], about: dict[str, Any]) -> None:
    """Raise where a recipe cannot be run, naming the strategy whose it is."""
    phases = [step.phase for step in steps]
    who = f"the recipe of {about['label']!r}"
    if not phases or not all(isinstance(phase, Phase) for phase in phases):
        raise PrunebenchError(f"{who} is no list of phases: {phases}")
    if any(isinstance(phase, Compact) for phase in phases[:-1]):
        raise PrunebenchError(f"{who} goes on after Compact", "Compact ends a recipe")
    if isinstance(phases[-1], Compact) and about["track"] == "unstructured":
        raise PrunebenchError(f"{who} compacts single weights", "only heads and neurons can leave a model")
    for position, phase in enumerate(phases):
        if isinstance(phase, Rewind) and phase.to and not any(isinstance(p, Train) for p in phases[:position]):
            raise PrunebenchError(f"{who} rewinds to {phase.to} of a training that it has not had")


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def root_json(root: Root) -> dict[str, Any]:
    return asdict(root)
