"""The words of a recipe. A method is a short list of phases; equal prefixes of two recipes run once.

Phases are frozen, hold no tensors, and go to JSON and back, because the key of a result is made from them.
Imports nothing but `errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Literal

from prunebench.errors import PrunebenchError


def check_sparsity(sparsity: float) -> None:
    """Raise unless `sparsity` is a fraction in [0, 1)."""
    if not 0 <= sparsity < 1:
        raise PrunebenchError(f"sparsity {sparsity} is outside [0, 1)", "0.7 removes 70 % of the prunable units")


def pruned_count(sparsity: float, units: int) -> int:
    """How many of `units` are gone at `sparsity`: the product as written in decimals, rounded half up."""
    return int(Fraction(str(sparsity)) * units + Fraction(1, 2))


@dataclass(frozen=True)
class Cubic:
    """Sparsity that grows while the model trains (Zhu & Gupta 2017, equation 1).

    s(t) = final + (initial − final)·(1 − (t − begin)/(end − begin))³, where t is the fraction of the training
    that is over; the mask is made anew `updates` times, evenly from `begin` to `end`, the last time at `end`.
    """

    final: float
    initial: float = 0.0
    begin: float = 0.0
    end: float = 0.7
    updates: int = 20

    def __post_init__(self) -> None:
        check_sparsity(self.final)
        check_sparsity(self.initial)
        if not 0 <= self.begin < self.end <= 1:
            raise PrunebenchError(f"a ramp needs 0 <= begin < end <= 1, got begin={self.begin}, end={self.end}")
        if self.updates < 1:
            raise PrunebenchError(f"a ramp needs at least one update, got {self.updates}")

    def at(self, progress: float) -> float:
        """The sparsity after the fraction `progress` of the training."""
        left = 1 - min(max((progress - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return self.final + (self.initial - self.final) * left**3

    def steps(self, total: int) -> dict[int, float]:
        """Optimiser steps (1 to `total`) after which the mask is made anew, with the sparsity due there."""
        due: dict[int, float] = {}
        for update in range(self.updates):
            share = self.begin + (self.end - self.begin) * (update + 1) / self.updates
            due[max(1, round(share * total))] = self.at(share)
        return due


@dataclass(frozen=True)
class Phase:
    """One step of a recipe."""


@dataclass(frozen=True)
class Train(Phase):
    """Train by the task's protocol, with a fresh optimiser and a fresh schedule; pruned units stay at zero.

    With `sparsity` the mask grows during the training, by the strategy's scores.
    """

    sparsity: Cubic | None = None


@dataclass(frozen=True)
class Prune(Phase):
    """Remove the units of lowest score until `sparsity` of all prunable units are gone; what is gone stays gone."""

    sparsity: float

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)


@dataclass(frozen=True)
class Rewind(Phase):
    """Put every weight back, the task head included, and keep the mask.

    `to` 0 is the pre-trained θ0; a whole number is that step of the recipe's first training, a fraction in (0, 1)
    is that part of it (Frankle et al. 2020).
    """

    to: int | float = 0

    def __post_init__(self) -> None:
        if self.to < 0 or (isinstance(self.to, float) and not self.to < 1):
            raise PrunebenchError(
                f"cannot rewind to {self.to}", "expected 0, a step such as 100, or a fraction below 1"
            )


@dataclass(frozen=True)
class Reinit(Phase):
    """Draw every weight anew from the model's own initialiser, embeddings included, and keep the mask (θ0′)."""


@dataclass(frozen=True)
class PermuteLayers(Phase):
    """Deal the encoder's layers out in another order, each layer's weights staying together (θ0″); keep the mask."""


@dataclass(frozen=True)
class Shuffle(Phase):
    """Draw another mask at random with exactly as many units: in each layer (`layer`), or in all (`global`)."""

    counts: str = "layer"

    def __post_init__(self) -> None:
        if self.counts not in ("layer", "global"):
            raise PrunebenchError(f"cannot shuffle by {self.counts!r}", "expected 'layer' or 'global'")


@dataclass(frozen=True)
class Adopt(Phase):
    """Take the mask that another recipe has found on another task: what stands after its node `mask`, by key.

    `sparsity` of its `unit`s are gone. It stands first in a recipe, where the weights are θ0; a plan puts it there.
    """

    mask: str
    unit: Literal["weight", "head", "neuron"]
    sparsity: float

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)


@dataclass(frozen=True)
class Compact(Phase):
    """Take the pruned heads or neurons out of the model for real. Only at the end of a recipe."""


PHASES: dict[str, type[Phase]] = {
    kind.__name__: kind for kind in (Train, Prune, Rewind, Reinit, PermuteLayers, Shuffle, Adopt, Compact)
}


def to_json(phase: Phase) -> dict[str, Any]:
    """A phase with all its fields, defaults too: a changed default must make another key."""
    return {"phase": type(phase).__name__, **asdict(phase)}


def from_json(data: dict[str, Any]) -> Phase:
    """The inverse of `to_json`."""
    kind = PHASES[data["phase"]]
    values = {field.name: data[field.name] for field in fields(kind)}
    if kind is Train and values["sparsity"] is not None:
        values["sparsity"] = Cubic(**values["sparsity"])
    return kind(**values)


def asks_strategy(phase: Phase) -> bool:
    """Whether the phase asks the strategy which units go."""
    return isinstance(phase, Prune) or (isinstance(phase, Train) and phase.sparsity is not None)


def stores_mask(phase: Phase) -> bool:
    """Whether the mask after this phase can be read from a store; a shuffled one is drawn again."""
    return asks_strategy(phase) or isinstance(phase, Adopt)


def changes_mask(phase: Phase) -> bool:
    """Whether another mask may stand after this phase than before it."""
    return stores_mask(phase) or isinstance(phase, Shuffle)


def last(phases: Sequence[Phase], wanted: Callable[[Phase], bool]) -> int:
    """The place of the last phase that is wanted; -1 where none is."""
    return max((place for place, phase in enumerate(phases) if wanted(phase)), default=-1)


def level(phases: Sequence[Phase]) -> float:
    """The sparsity that a recipe comes to: what is gone stays gone, so it is the largest."""
    levels = [phase.sparsity for phase in phases if isinstance(phase, Prune | Adopt)]
    levels += [phase.sparsity.final for phase in phases if isinstance(phase, Train) and phase.sparsity]
    return max(levels, default=0.0)


def sets_weights(phase: Phase) -> bool:
    """Whether the weights after this phase owe nothing to the weights before it."""
    return isinstance(phase, Rewind | Reinit)


def trains_from_theta0(phases: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these phases, as JSON, train a subnetwork of θ0: units go, then θ0, then one last training of the rest.

    That is what can be a winning ticket. θ0 is what a `Rewind` to 0 puts back, or the start of a recipe that has not
    trained yet. Weights that are drawn anew, dealt out in another order or rewound to a later step are not θ0, and a
    training that prunes as it goes has no subnetwork to start with.
    """
    words = [phase["phase"] for phase in phases]
    if "Train" not in words:
        return False
    last = len(words) - 1 - words[::-1].index("Train")
    pruned = any(phase.get("sparsity") for phase in phases[:last])
    if not pruned or phases[last].get("sparsity") or set(words[last + 1 :]) - {"Compact"}:
        return False
    for phase in reversed(phases[:last]):
        if phase["phase"] == "Rewind":
            return not phase.get("to")
        if phase["phase"] in ("Train", "Reinit", "PermuteLayers"):
            return False
    return True


def ladder(sparsity: float, rate: float, of: str = "original") -> list[float]:
    """The levels that lead to `sparsity`, itself the last.

    A round removes `rate` of the `original` units, or of the `remaining` ones: round k stands at k·rate, or at
    1 − (1 − rate)^k (Chen et al. 2020: its code, and its Algorithm 1). A level that is no rung comes after the rungs
    below it, so that all levels of one ladder share those.
    """
    if not 0 < rate < 1:
        raise PrunebenchError(f"a ladder needs a rate between 0 and 1, got {rate}")
    if of not in ("original", "remaining"):
        raise PrunebenchError(f"cannot climb by a rate of {of!r}", "expected 'original' or 'remaining'")
    levels: list[float] = []
    while True:
        rung = rate * (len(levels) + 1) if of == "original" else 1 - (1 - rate) ** (len(levels) + 1)
        if rung > sparsity - 1e-9:
            return [*levels, sparsity] if sparsity > 0 else []
        levels.append(round(rung, 10))
