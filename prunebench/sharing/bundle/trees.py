"""The trees of a plan, rebuilt from the records of a bundle, so that the key of every phase is computed again.

A record lists the phases from θ0 to its node, and the manifest declares the code of the strategies that they call.
Together they give the same tree of nodes that the plan had, and so the same keys, whatever is installed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.planning.graph import Node, RecipeStep, add_steps, key_below
from prunebench.recipes import phases
from prunebench.recipes.phases import Adopt, Phase, Prune, Train, calls_strategy
from prunebench.recipes.schedules import Cubic
from prunebench.sharing.bundle.strict import check_fields
from prunebench.store.schema import Experiment, PhaseEntry, StrategyCode
from prunebench.tasks.protocol import Protocol


class Trees:
    """One tree for each experiment. `roots` are by the experiment's key, `nodes` are all nodes by their own."""

    def __init__(self, strategies: Mapping[str, StrategyCode]) -> None:
        self.strategies = strategies
        self.roots: dict[str, Node] = {}
        self.nodes: dict[str, Node] = {}
        # For each sparsity: by key, the node that pruning would add, as its parent and its step.
        self._prunings: dict[float, dict[str, tuple[Node, RecipeStep]]] = {}

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
        phase, label = _parse_phase(entry), entry.strategy
        if calls_strategy(phase) != bool(label):
            raise PrunebenchError(
                f"the phase {entry.phase} calls {f'the strategy {label}' if label else 'no strategy'}"
            )
        if not label:
            return RecipeStep.plain(phase)
        if label not in self.strategies:
            raise PrunebenchError(f"a recipe calls the strategy {label!r}, which is not declared")
        code = self.strategies[label]
        token = [phases.to_json(phase), code.name, code.options, code.identity]
        return RecipeStep(phase, label, label in moving, code.source, json.dumps(token, sort_keys=True))

    def mask_source(self, node: Node) -> Node | None:
        """The node whose mask `node` adopts, or None if it adopts none. Raises PrunebenchError if it does not exist.

        A mask comes from a node on the path of a record, or from one more pruning below such a node.
        """
        if not isinstance(node.phase, Adopt):
            return None
        source = self.nodes.get(node.phase.mask) or self._pruned_node(node.phase)
        if source is None:
            raise PrunebenchError(f"no recipe of the bundle makes the mask {node.phase.mask} that another one adopts")
        node.mask_source = source
        return source

    def _pruned_node(self, phase: Adopt) -> Node | None:
        """The node of key `phase.mask`, if it follows from pruning below any known node by any declared strategy."""
        if phase.sparsity not in self._prunings:
            prune = phases.to_json(Prune(phase.sparsity))
            steps = [self._step(PhaseEntry(**prune, strategy=label), set()) for label in self.strategies]
            self._prunings[phase.sparsity] = {
                key_below(node.key, step.token): (node, step) for node in self.nodes.values() for step in steps
            }
        if phase.mask not in self._prunings[phase.sparsity]:
            return None
        parent, step = self._prunings[phase.sparsity][phase.mask]
        self.nodes[phase.mask] = add_steps(parent, [step], "")
        return self.nodes[phase.mask]


def _parse_phase(entry: PhaseEntry) -> Phase:
    kind = phases.PHASES.get(entry.phase)
    if kind is None:
        raise PrunebenchError(f"this version of prunebench has no phase {entry.phase!r}")
    check_fields(kind, entry.fields, f"the phase {entry.phase}")
    ramp: Any = entry.fields.get("sparsity")
    if kind is Train and ramp is not None:
        check_fields(Cubic, ramp, "the ramp of a training")
    return phases.from_json({"phase": entry.phase, **entry.fields})
