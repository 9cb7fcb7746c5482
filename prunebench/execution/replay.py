"""The words of a job at work: its steps read back from JSON, and the state between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prunebench.pruning import masks
from prunebench.recipes import phases
from prunebench.recipes.phases import Phase, Rewind
from prunebench.recipes.strategy import Unit


@dataclass
class State:
    """Where a recipe stands: the mask, what its units are, and whether the weights are θ0 as the mask leaves it."""

    mask: masks.Mask | None = None
    unit: Unit = "weight"
    rewound: bool = False


@dataclass
class Step:
    """A node of a job, read back from JSON."""

    key: str
    phase: Phase
    strategy: str
    code: str
    moves: bool
    parent: str = ""

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Step:
        return cls(**{**data, "phase": phases.from_json(data["phase"])})


def first_after(path: Sequence[Step], name: str | None) -> int:
    """The place in `path` of the first step whose change of the weights is not in the stored weights `name`.

    None are the weights that `path` starts from, be it θ0 or those that it sets anew.
    """
    followed = [step.phase for step in path]
    if name is None:
        return max(0, phases.last(followed, phases.sets_weights))
    source, middle, _ = name.partition("-at-")
    if middle:
        return phases.last(followed, lambda phase: isinstance(phase, Rewind)) + 1
    return [step.key for step in path].index(source) + 1


def snapshots(weights: Iterable[str], training: str, steps: int) -> dict[int, list[str]]:
    """Which of the stored `weights` are of that training, of so many steps, by step; two rewinds may want one step."""
    found: dict[int, list[str]] = defaultdict(list)
    for name in weights:
        source, middle, at = name.partition("-at-")
        if source == training and middle:
            found[int(at) if at.isdigit() else max(1, round(float(at) * steps))].append(name)
    return found
