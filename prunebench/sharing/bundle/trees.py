"""The trees of a plan, rebuilt from the records of a bundle, so that the key of every phase is computed again.

A record lists the phases from θ0 to its node, and the manifest declares the code of the strategies that they call.
Together they give the same tree of nodes that the plan had, and so the same keys, whatever is installed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import Node, RecipeStep, add_steps, key_below
from prunebench.recipes.phase import Phase, to_json
from prunebench.recipes.phases import Prune
from prunebench.recipes.schedules import Cubic
from prunebench.sharing.bundle.archive import BadBundle
from prunebench.sharing.bundle.strict import check_fields
from prunebench.store.schema import Experiment, PhaseEntry, StrategyCode
from prunebench.tasks.protocol import Protocol

# The most keys that are computed to find out which recipes make the masks that others take.
MAX_PRUNINGS = 500_000


class Trees:
    """One tree for each experiment. `roots` are by the experiment's key, `nodes` are all nodes by their own."""

    def __init__(self, strategies: Mapping[str, StrategyCode], registry: Registry) -> None:
        self.strategies = strategies
        self.registry = registry
        self.roots: dict[str, Node] = {}
        self.nodes: dict[str, Node] = {}
        # For each sparsity: by key, the node that pruning would add, as its parent and its step.
        self._prunings: dict[float, dict[str, tuple[Node, RecipeStep]]] = {}
        self._number_of_prunings = 0
        self._steps: dict[tuple[str, bool], RecipeStep] = {}

    def add(self, experiment: Experiment, path: Iterable[PhaseEntry], moving: Iterable[str] = ()) -> Node:
        """The node at the end of the phases `path`, as a record lists them. Strategies in `moving` change weights.

        Raises PrunebenchError for a phase or protocol that this version does not know, and for an undeclared strategy.
        """
        check_fields(Protocol, experiment.protocol, "the protocol")
        root = self.roots.setdefault(experiment.key, Node(experiment.key, experiment))
        end = add_steps(root, [self._step(entry, set(moving)) for entry in path], "")
        for node in end.path():
            self.nodes[node.key] = node
        return end

    def _step(self, entry: PhaseEntry, moving: set[str]) -> RecipeStep:
        """The step of an entry. Most entries of a bundle are equal to another, and checking one is slow."""
        text = entry.model_dump_json(), entry.strategy in moving
        if text not in self._steps:
            self._steps[text] = self._new_step(entry, moving)
        return self._steps[text]

    def _new_step(self, entry: PhaseEntry, moving: set[str]) -> RecipeStep:
        phase, label = self._phase(entry), entry.strategy
        data = {"phase": entry.phase, **entry.fields}
        if phase.asks_strategy != bool(label):
            raise PrunebenchError(
                f"the phase {entry.phase} calls {f'the strategy {label}' if label else 'no strategy'}"
            )
        if not label:
            return RecipeStep.plain(phase, data)
        if label not in self.strategies:
            raise PrunebenchError(f"a recipe calls the strategy {label!r}, which is not declared")
        code = self.strategies[label]
        token = [data, code.name, code.options, code.identity]
        return RecipeStep(phase, data, label, label in moving, code.source, json.dumps(token, sort_keys=True))

    def mask_source(self, node: Node) -> Node | None:
        """The node whose mask `node` adopts, or None if it adopts none. Raises PrunebenchError if it does not exist.

        A mask comes from a node on the path of a record, or from one more pruning below such a node.
        """
        if node.phase is None or not node.phase.mask_from:
            return None
        source = self.nodes.get(node.phase.mask_from) or self._pruned_node(node.phase)
        if source is None:
            raise PrunebenchError(
                f"no recipe of the bundle makes the mask {node.phase.mask_from} that another one adopts"
            )
        # Otherwise the nodes that a recipe results from could double with each mask that it takes.
        if node.parent is None or node.parent.step is not None:
            raise PrunebenchError(f"the mask {node.phase.mask_from} is not taken at the start of a recipe")
        if any(step.phase and step.phase.mask_from for step in source.path()):
            raise PrunebenchError(f"the mask {node.phase.mask_from} was itself taken from another task")
        node.inputs |= {each: source for each in node.phase.inputs if each.kind == "mask"}
        return source

    def _pruned_node(self, phase: Phase) -> Node | None:
        """The node whose mask `phase` takes, if it follows from pruning below a known node by a declared strategy."""
        level, key = phase.level or 0.0, phase.mask_from
        if level not in self._prunings:
            prune = to_json(Prune(level))
            steps = [self._step(PhaseEntry(**prune, strategy=label), set()) for label in self.strategies]
            self._number_of_prunings += len(steps) * len(self.nodes)
            if self._number_of_prunings > MAX_PRUNINGS:
                raise BadBundle("it takes the masks of too many recipes at too many levels")
            self._prunings[level] = {
                key_below(node.key, step.token): (node, step) for node in self.nodes.values() for step in steps
            }
        if key not in self._prunings[level]:
            return None
        parent, step = self._prunings[level][key]
        self.nodes[key] = add_steps(parent, [step], "")
        return self.nodes[key]

    def _phase(self, entry: PhaseEntry) -> Phase:
        kind: type[Phase] = self.registry.get("phases", entry.phase)
        fields = {name: value for name, value in entry.fields.items() if name != "code"}
        check_fields(kind, fields, f"the phase {entry.phase}")
        ramp: Any = fields.get("sparsity")
        if isinstance(ramp, Mapping):
            check_fields(Cubic, ramp, "the ramp of a training")
        return kind.from_fields(fields)
