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
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method, Step, plain
from prunebench.recipes.phases import Adopt, Phase, Rewind, Shuffle, Train, level, to_json
from prunebench.recipes.strategy import Unit
from prunebench.runtime.memory import without_collection

# Raised whenever the same plan would give other numbers: every key changes with it.
ENGINE = 4


@dataclass(frozen=True)
class Root:
    """Where a tree starts: everything but the method. `where` says how to get at it and is no part of the key.

    `code` says which version of the engine, and of the plugins that gave task, metric and family, computes here.
    """

    task: str
    code: str
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
                *(self.code, self.task, self.data, self.model["fingerprint"], self.protocol),
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
            "code": self.code,
        }

    @property
    def steps(self) -> int:
        """Optimiser steps of one training."""
        return int(self.protocol["epochs"] * -(-self.sizes["train"] // self.protocol["batch_size"]))


@dataclass(eq=False, slots=True)
class Node:
    """A phase in its place. `strategy` is the text that names the strategy which the phase calls, or "".

    `code` is the digest of that strategy's source, and `moves` whether it moves the weights that it leaves.
    `adopts` is the node of another tree whose mask it takes.
    """

    key: str
    root: Root
    phase: Phase | None = None
    strategy: str = ""
    moves: bool = False
    code: str = ""
    parent: Node | None = None
    children: dict[str, Node] = field(default_factory=dict)
    scored: bool = False
    made_for: str = ""
    adopts: Node | None = None

    def path(self) -> list[Node]:
        """The nodes from the first phase to this one."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None and node.phase is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    def lineage(self) -> list[Node]:
        """All that this node comes from, itself the last: its path, after that of the mask which it begins with."""
        path = self.path()
        return [*(earlier for node in path if node.adopts for earlier in node.adopts.lineage()), *path]

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children.values()))

    def to_json(self) -> dict[str, Any]:
        assert self.phase is not None
        phase = to_json(self.phase)
        return {"key": self.key, "phase": phase, "strategy": self.strategy, "code": self.code, "moves": self.moves}


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
        lineage = self.leaf.lineage()
        return {
            **self.method,
            "mask": _last_mask(lineage),
            "task": root.task,
            "benchmark": self.benchmark,
            "split": self.split,
            "metrics": list(self.metrics),
            "evaluations": list(self.evaluations),
            "sparsity": self.sparsity,
            "seed": root.seed,
            "key": self.leaf.key,
            "trainings": [node.key for node in lineage if isinstance(node.phase, Train)],
            "setting": root.setting(),
        }


def mask_of(leaf: Node) -> str:
    """The key of its mask in a store, or "" where it has none, or one that is drawn at random and never kept."""
    return _last_mask(leaf.lineage())


def _last_mask(lineage: list[Node]) -> str:
    for node in reversed(lineage):
        if isinstance(node.phase, Shuffle):
            break
        if node.strategy:
            return node.key
    return ""


@dataclass(frozen=True)
class Plan:
    """All trees and the cells that hang on them. A tree whose nodes adopt masks stands after those that find them."""

    roots: list[Node]
    cells: list[Cell]

    def nodes(self) -> Iterator[Node]:
        return (node for root in self.roots for node in root.walk() if node.phase is not None)

    def called(self, registry: Registry) -> dict[str, dict[str, Any]]:
        """What keys hold of each strategy that is part of the plan, by its label."""
        known = registry.entries("strategies")
        labels = {cell.method["label"] for cell in self.cells if cell.method["strategy"] in known}
        labels |= {node.strategy for node in self.nodes()} - {""}
        return {label: registry.called(label) for label in sorted(labels)}


@without_collection()
def build(
    roots: Iterable[Root], strategies: Sequence[str], levels: dict[str, tuple[float, ...]], registry: Registry
) -> Plan:
    """The plan of `strategies` at the `levels` of each task, for every root; dense is always in it."""
    methods = [Method(text, registry) for text in dict.fromkeys(["dense", *strategies])]
    recipes = {
        each: [
            (method.about, sparsity, method.steps(sparsity))
            for method in methods
            for sparsity in (each if method.prunes else (0.0,))
        ]
        for each in set(levels.values())
    }
    plan = Plan([], [])
    for root in roots:
        tree = Node(root.key(), root)
        plan.roots.append(tree)
        task = registry.get("tasks", root.task)
        names = (task.benchmark, task.split, task.metrics, task.evaluations)
        for about, sparsity, steps in recipes[levels[root.task]]:
            check_rewinds(steps, root, about["label"])
            made_for = f"{about['label']} {sparsity:g}" if sparsity else about["label"]
            plan.cells.append(Cell(about, sparsity, leaf(tree, steps, made_for), *names))
    return plan


def check_rewinds(steps: Sequence[Step], root: Root, who: str) -> None:
    """Raise where a recipe rewinds to a step that the task's training does not have."""
    late = [step.phase.to for step in steps if isinstance(step.phase, Rewind) and step.phase.to > root.steps]
    if late:
        raise PrunebenchError(
            f"{who!r} rewinds to step {late[0]}", f"a training of {root.task!r} has {root.steps} steps by this protocol"
        )


def leaf(node: Node, steps: Sequence[Step], made_for: str) -> Node:
    """The node where `steps` from `node` on end, which is scored."""
    end = grow(node, steps, made_for)
    end.scored = True
    return end


def adopt(tree: Node, found: Node, unit: Unit, made_for: str) -> Node:
    """Below the untrained `tree`, the node that takes the mask which stands after `found` in another tree."""
    sparsity = level([node.phase for node in found.lineage() if node.phase is not None])
    phase = Adopt(found.key, unit, sparsity)
    node = grow(tree, [plain(phase)], made_for)
    node.adopts = found
    return node


def grow(node: Node, steps: Sequence[Step], made_for: str) -> Node:
    """The node where `steps` from `node` on end; what of them is there already is the same node."""
    for step in steps:
        child = node.children.get(step.token)
        if child is None:
            key = key_below(node.key, step.token)
            child = Node(key, node.root, step.phase, step.strategy, step.moves, step.code, node, made_for=made_for)
            node.children[step.token] = child
        node = child
    return node


def key_below(parent: str, token: str) -> str:
    """The key of the phase of that token below the node of key `parent`."""
    return _digest([parent, token])


_json = json.JSONEncoder(sort_keys=True).encode


def _digest(parts: Any) -> str:
    return hashlib.sha256(_json(parts).encode()).hexdigest()[:32]


def root_json(root: Root) -> dict[str, Any]:
    return asdict(root)
