"""A plan: one tree of phases for each task and seed, in which recipes share their equal prefixes.

The key of a node is a digest of everything that its outcome depends on: the experiment, and the phases from θ0 to the
node with the options and the source of the strategies that they call. Equal keys mean equal work, which is done once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prunebench.hooks.registry import Registry
from prunebench.planning.job_spec import JobSpec, NodeSpec
from prunebench.recipes.inputs import Input
from prunebench.recipes.phase import Phase, final_selection, final_sparsity, to_json
from prunebench.recipes.phases import Adopt
from prunebench.recipes.strategy import Unit
from prunebench.store.schema import Cell, Experiment, Location, MethodInfo, StrategyCode, digest

# Raised whenever the same plan would give other numbers, or a record would hold other scores: all keys change with it.
ENGINE = 4


@dataclass(frozen=True, slots=True)
class RecipeStep:
    """A phase of a recipe, and the label of the strategy that it calls, or "".

    `data` is the phase as JSON, with the code of the plugin that it comes from, if any; `code` is a digest of the
    strategy's source, `moves` whether it changes the weights that it keeps, and `token` what the key holds of the step.
    """

    phase: Phase
    data: Mapping[str, Any]
    strategy: str
    moves: bool
    code: str
    token: str

    @property
    def is_built_in(self) -> bool:
        """Whether the phase is no plugin's."""
        return "code" not in self.data

    @classmethod
    def plain(cls, phase: Phase, data: Mapping[str, Any]) -> RecipeStep:
        """The step of a phase that calls no strategy."""
        return cls(phase, data, "", False, "", json.dumps(data, sort_keys=True))


@dataclass(eq=False, slots=True)
class Node:
    """A step of a recipe in its place below other steps; the root of a tree is θ0 and has no step.

    `purpose` says in words which cell the node was first planned for. `inputs` are the nodes that its phase reads, such
    as the node of another tree whose mask an `Adopt` takes.
    """

    key: str
    experiment: Experiment
    step: RecipeStep | None = None
    parent: Node | None = None
    children: dict[str, Node] = field(default_factory=dict)
    scored: bool = False
    purpose: str = ""
    inputs: dict[Input, Node] = field(default_factory=dict)

    @property
    def phase(self) -> Phase | None:
        return self.step.phase if self.step else None

    @property
    def strategy(self) -> str:
        return self.step.strategy if self.step else ""

    @property
    def moves(self) -> bool:
        return self.step is not None and self.step.moves

    @property
    def mask_source(self) -> Node | None:
        """The node whose mask the phase takes."""
        return next((node for each, node in self.inputs.items() if each.kind == "mask"), None)

    def path(self) -> list[Node]:
        """The nodes from the first phase to this one."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None and node.step is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]

    def lineage(self) -> list[Node]:
        """All nodes that this one results from, itself last, each once: the nodes of inputs before its own path."""
        path = self.path()
        if not any(node.inputs for node in path):
            return path
        sources = [earlier for node in path for source in node.inputs.values() for earlier in source.lineage()]
        return list(dict.fromkeys([*sources, *path]))

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children.values()))

    def to_spec(self) -> NodeSpec:
        """The node as JSON, for a worker."""
        assert self.step is not None and self.parent is not None
        step = self.step
        return NodeSpec(
            key=self.key,
            phase=dict(step.data),
            strategy=step.strategy,
            code=step.code,
            moves=step.moves,
            parent=self.parent.key,
            inputs=[node.key for node in self.inputs.values()],
        )


def phases_of(nodes: Sequence[Node]) -> list[Phase]:
    return [node.step.phase for node in nodes if node.step is not None]


def read_nodes(job: JobSpec, registry: Registry) -> tuple[list[Node], Node]:
    """The nodes of a job as a worker rebuilds them: the path from θ0 to the anchor, and the anchor."""
    scored = set(job.scored)
    root = Node(job.experiment.key, job.experiment, scored=job.experiment.key in scored)
    nodes = {root.key: root}
    for spec in (*job.path, *job.tree):
        phase = registry.phase(spec.phase)
        step = RecipeStep(phase, spec.phase, spec.strategy, spec.moves, spec.code, spec.key)
        inputs = {each: Node(key, job.experiment) for each, key in zip(phase.inputs, spec.inputs, strict=True)}
        parent = nodes[spec.parent]
        nodes[spec.key] = Node(spec.key, job.experiment, step, parent, scored=spec.key in scored, inputs=inputs)
    for spec in job.tree:
        nodes[spec.parent].children[spec.key] = nodes[spec.key]
    return nodes[job.anchor].path(), nodes[job.anchor]


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """One method at one sparsity on one task with one seed, and the leaf that its score is read from."""

    method: MethodInfo
    sparsity: float
    leaf: Node
    benchmark: str
    split: str
    metrics: tuple[str, ...]
    evaluations: tuple[str, ...]
    mask_from: str = ""

    def to_cell(self) -> Cell:
        """The cell as a store keeps it."""
        experiment = self.leaf.experiment
        return Cell(
            **vars(self.method),
            task=experiment.task,
            benchmark=self.benchmark,
            split=self.split,
            metrics=self.metrics,
            evaluations=self.evaluations,
            sparsity=self.sparsity,
            seed=experiment.seed,
            key=self.leaf.key,
            trainings=tuple(node.key for node in self.leaf.lineage() if node.phase and node.phase.trains),
            setting=experiment.setting,
            mask=mask_key(self.leaf),
            mask_from=self.mask_from,
        )


def mask_key(leaf: Node) -> str:
    """The key of the node's mask in a store; "" where it has none, or a random one, which is drawn again."""
    for node in reversed(leaf.lineage()):
        if node.phase and node.phase.draws_mask:
            break
        if node.strategy:
            return node.key
    return ""


@dataclass(frozen=True)
class Plan:
    """All trees, and the cells that are read from their leaves.

    A tree whose nodes adopt masks stands after the trees that make these. `where` says where model and data lie, and
    `others` where further models do, by their fingerprints.
    """

    trees: list[Node]
    cells: list[PlannedCell]
    where: Location
    others: dict[str, Location] = field(default_factory=dict)

    def location(self, experiment: Experiment) -> Location:
        """Where the model of this experiment and its data lie."""
        return self.others.get(experiment.model.fingerprint, self.where)

    def nodes(self) -> Iterator[Node]:
        """All nodes but the roots."""
        return (node for tree in self.trees for node in tree.walk() if node.step is not None)

    def strategies(self, registry: Registry) -> dict[str, StrategyCode]:
        """What keys hold of each strategy in the plan, by its label."""
        known = registry.entries("strategies")
        labels = {cell.method.label for cell in self.cells if cell.method.strategy in known}
        labels |= {node.strategy for node in self.nodes()} - {""}
        return {label: StrategyCode.model_validate(registry.strategy_key(label)) for label in sorted(labels)}


def restrict(plan: Plan, cells: Sequence[PlannedCell]) -> Plan:
    """The part of a plan that these cells of it need. Its trees are those of `plan`, without all other nodes."""
    needed = {node for cell in cells for node in cell.leaf.lineage()}
    for node in (node for tree in plan.trees for node in tree.walk()):
        node.children = {token: child for token, child in node.children.items() if child in needed}
    return Plan(plan.trees, list(cells), plan.where, plan.others)


def add_leaf(node: Node, steps: Sequence[RecipeStep], purpose: str) -> Node:
    """The node where `steps` below `node` end, which is scored."""
    leaf = add_steps(node, steps, purpose)
    leaf.scored = True
    return leaf


def add_steps(node: Node, steps: Sequence[RecipeStep], purpose: str) -> Node:
    """The node where `steps` below `node` end; steps that are there already are shared.

    Nodes of the same tree that a step reads are added too, before all others, since jobs run in the order of nodes.
    """
    for step in steps:
        child = node.children.get(step.token)
        if child is None:
            inputs = {each: _add_input(node, each, purpose) for each in step.phase.inputs if each.recipe}
            child = Node(key_below(node.key, step.token), node.experiment, step, node, purpose=purpose, inputs=inputs)
            node.children[step.token] = child
        node = child
    return node


def _add_input(node: Node, source: Input, purpose: str) -> Node:
    """The node at the end of the recipe of an input, in the tree of `node`."""
    path = node.path()
    root = path[0].parent if path else node
    assert root is not None
    end = add_steps(root, [RecipeStep.plain(phase, to_json(phase)) for phase in source.recipe], purpose)
    for each in end.path():
        assert each.parent is not None and each.step is not None
        each.parent.children = {each.step.token: each, **each.parent.children}
    return end


def key_below(parent: str, token: str) -> str:
    """The key of the step with that token below the node of key `parent`."""
    return digest([parent, token])


def adopt(tree: Node, source: Node, unit: Unit, purpose: str) -> Node:
    """Below the untrained `tree`, the node that takes the mask which stands after `source` in another tree."""
    phases = phases_of(source.lineage())
    selection = final_selection(phases)
    pattern = str(selection.pattern or "")
    phase = Adopt(source.key, unit, final_sparsity(phases), pattern=pattern, budget=selection.budget)
    node = add_steps(tree, [RecipeStep.plain(phase, to_json(phase))], purpose)
    node.inputs = {phase.inputs[0]: source}
    return node
