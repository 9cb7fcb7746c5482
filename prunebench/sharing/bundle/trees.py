"""The trees of a plan, grown again from the records of a bundle: with them the key of every phase is computed anew."""

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

Strategies = Mapping[str, StrategyCode]


class Trees:
    """Trees by the key of their root, and all their nodes by key."""

    def __init__(self, strategies: Strategies) -> None:
        self.strategies = strategies
        self.roots: dict[str, Node] = {}
        self.nodes: dict[str, Node] = {}
        # By sparsity, what pruning to it below each node would give.
        self.below: dict[float, dict[str, tuple[Node, RecipeStep]]] = {}

    def add(self, experiment: Experiment, path: Iterable[PhaseEntry], moving: Iterable[str] = ()) -> Node:
        """The node at the end of the phases `path`, as a record lists them. `moving` strategies move weights.

        Raises PrunebenchError for a phase or protocol that this version does not know, or an undeclared strategy.
        """
        check_fields(Protocol, experiment.protocol, "its protocol")
        tree = self.roots.setdefault(experiment.key, Node(experiment.key, experiment))
        end = add_steps(tree, [self.step(entry, set(moving)) for entry in path], "")
        for node in end.path():
            self.nodes[node.key] = node
        return end

    def step(self, entry: PhaseEntry, moving: set[str]) -> RecipeStep:
        phase, label = _phase(entry), entry.strategy
        if calls_strategy(phase) != bool(label):
            raise PrunebenchError(
                f"the phase {entry.phase} calls {f'the strategy {label}' if label else 'no strategy'}"
            )
        if not label:
            return RecipeStep.plain(phase)
        if label not in self.strategies:
            raise PrunebenchError(f"the strategy {label!r} is called by a recipe and not declared")
        code = self.strategies[label]
        token = [phases.to_json(phase), code.name, code.options, code.identity]
        return RecipeStep(phase, label, label in moving, code.source, json.dumps(token, sort_keys=True))

    def mask_source(self, node: Node) -> Node | None:
        """The node whose mask `node` takes; None where it takes none. Raises PrunebenchError where it is not there.

        A mask comes from a phase that a record ends with, or from pruning that follows such a phase.
        """
        if not isinstance(node.phase, Adopt):
            return None
        source = self.nodes.get(node.phase.mask) or self._pruned(node.phase)
        if source is None:
            raise PrunebenchError(f"no recipe of the bundle makes the mask {node.phase.mask} that another one takes")
        node.mask_source = source
        return source

    def _pruned(self, phase: Adopt) -> Node | None:
        """The node of key `phase.mask` below one that is known, whichever strategy pruned there."""
        if phase.sparsity not in self.below:
            prune = phases.to_json(Prune(phase.sparsity))
            steps = [self.step(PhaseEntry(**prune, strategy=label), set()) for label in self.strategies]
            self.below[phase.sparsity] = {
                key_below(node.key, step.token): (node, step) for node in self.nodes.values() for step in steps
            }
        if phase.mask not in self.below[phase.sparsity]:
            return None
        parent, step = self.below[phase.sparsity][phase.mask]
        self.nodes[phase.mask] = add_steps(parent, [step], "")
        return self.nodes[phase.mask]


def _phase(entry: PhaseEntry) -> Phase:
    kind = phases.PHASES.get(entry.phase)
    if kind is None:
        raise PrunebenchError(f"there is no phase {entry.phase!r} in this version of prunebench")
    check_fields(kind, entry.fields, f"the phase {entry.phase}")
    ramp: Any = entry.fields.get("sparsity")
    if kind is Train and ramp is not None:
        check_fields(Cubic, ramp, "the ramp of a training")
    return phases.from_json({"phase": entry.phase, **entry.fields})
