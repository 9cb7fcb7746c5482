"""The trees of a plan, grown again from the records of a bundle: with them the key of every phase is computed anew.

Imports `plan`, and no torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.planning.graph import Node, Root, grow, key_below
from prunebench.planning.methods import Step, plain
from prunebench.recipes import phases
from prunebench.recipes.phases import Adopt, Phase, Prune, Train, asks_strategy
from prunebench.recipes.schedules import Cubic
from prunebench.sharing.bundle.schema import StrategyCode
from prunebench.sharing.bundle.strict import check_fields
from prunebench.tasks.protocol import Protocol

Strategies = Mapping[str, StrategyCode]


class Trees:
    """Trees by their root's key, and all their nodes by key. `where` says where the data is, and another model."""

    def __init__(self, strategies: Strategies, where: Mapping[str, Any] | None = None) -> None:
        self.strategies = strategies
        self.where = dict(where or {})
        self.roots: dict[str, Node] = {}
        self.nodes: dict[str, Node] = {}
        # By sparsity, what pruning to it below each node would give.
        self.below: dict[float, dict[str, tuple[Node, Step]]] = {}

    def add(self, root: Mapping[str, Any], path: Iterable[Mapping[str, Any]], moving: Iterable[str] = ()) -> Node:
        """The node at the end of the phases `path`, as a record lists them. `moving` strategies move weights.

        Raises PrunebenchError for a phase or protocol that this version does not know, or an undeclared strategy.
        """
        check_fields(Protocol, root["protocol"], "its protocol")
        start = Root(**root, where={"model": root["model"]["name"], **self.where})
        tree = self.roots.setdefault(start.key(), Node(start.key(), start))
        end = grow(tree, [self.step(data, set(moving)) for data in path], "")
        for node in end.path():
            self.nodes[node.key] = node
        return end

    def step(self, data: Mapping[str, Any], moving: set[str]) -> Step:
        phase, label = _phase(data), str(data["strategy"])
        if asks_strategy(phase) != bool(label):
            raise PrunebenchError(
                f"the phase {data['phase']} calls {f'the strategy {label}' if label else 'no strategy'}"
            )
        if not label:
            return plain(phase)
        if label not in self.strategies:
            raise PrunebenchError(f"the strategy {label!r} is called by a recipe and not declared")
        code = self.strategies[label]
        token = [phases.to_json(phase), code.name, code.options, code.identity()]
        return Step(phase, label, label in moving, code.source, json.dumps(token, sort_keys=True))

    def adopted(self, node: Node) -> Node | None:
        """The node whose mask `node` takes; None where it takes none. Raises PrunebenchError where it is not there.

        A mask is found by a phase that a record ends with, or by pruning that follows such a phase.
        """
        if not isinstance(node.phase, Adopt):
            return None
        found = self.nodes.get(node.phase.mask) or self._pruned(node.phase)
        if found is None:
            raise PrunebenchError(f"nothing in the bundle has found the mask {node.phase.mask} that a recipe takes")
        node.adopts = found
        return found

    def _pruned(self, phase: Adopt) -> Node | None:
        """The node of key `phase.mask` below one that is known, whichever strategy pruned there."""
        if phase.sparsity not in self.below:
            prune = phases.to_json(Prune(phase.sparsity))
            steps = [self.step({**prune, "strategy": label}, set()) for label in self.strategies]
            self.below[phase.sparsity] = {
                key_below(node.key, step.token): (node, step) for node in self.nodes.values() for step in steps
            }
        if phase.mask not in self.below[phase.sparsity]:
            return None
        parent, step = self.below[phase.sparsity][phase.mask]
        self.nodes[phase.mask] = grow(parent, [step], "")
        return self.nodes[phase.mask]


def _phase(data: Mapping[str, Any]) -> Phase:
    values = {name: value for name, value in data.items() if name != "strategy"}
    kind = phases.PHASES.get(str(data.get("phase")))
    if kind is None or "strategy" not in data:
        raise PrunebenchError(f"there is no phase {data.get('phase')!r} in this version of prunebench")
    check_fields(kind, {name: value for name, value in values.items() if name != "phase"}, f"the phase {data['phase']}")
    if kind is Train and values["sparsity"] is not None:
        check_fields(Cubic, values["sparsity"], "the ramp of a training")
    return phases.from_json(values)
