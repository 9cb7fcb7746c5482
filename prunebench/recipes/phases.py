"""The phases of a recipe.

A method is a list of phases, and recipes with a common prefix run it once: `Train Prune(0.1) …` and `Train Prune(0.5)`
share their first training. Phases are frozen and hold no tensors. They convert to JSON and back, because the key of
every result is a digest of its phases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Literal

from prunebench.errors import PrunebenchError
from prunebench.recipes.schedules import Cubic, check_sparsity


def pruned_count(sparsity: float, units: int) -> int:
    """How many of `units` are pruned at `sparsity`, rounded half up.

    The product is exact in decimals: in binary floating point, 0.29 · 50 is 14.499… and would round down.
    """
    return int(Fraction(str(sparsity)) * units + Fraction(1, 2))


@dataclass(frozen=True)
class Phase:
    """One step of a recipe."""


@dataclass(frozen=True)
class Train(Phase):
    """Train by the task's protocol, with a new optimiser and learning-rate schedule; pruned units stay at zero.

    With `sparsity`, the model is also pruned during the training, by the strategy's scores.
    """

    sparsity: Cubic | None = None


@dataclass(frozen=True)
class Prune(Phase):
    """Remove the units with the lowest scores until `sparsity` of all prunable units are pruned.

    Pruned units never come back, so the masks of one recipe are nested.
    """

    sparsity: float

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)


@dataclass(frozen=True)
class Rewind(Phase):
    """Reset every weight to an earlier value, the task head included, and keep the mask.

    `to` is 0 for the pre-trained weights θ0, an integer for that optimiser step of the recipe's first training, or a
    float in (0, 1) for that fraction of it (Frankle et al. 2020).
    """

    to: int | float = 0

    def __post_init__(self) -> None:
        if self.to < 0 or (isinstance(self.to, float) and not self.to < 1):
            raise PrunebenchError(
                f"cannot rewind to {self.to}", "expected 0, a step such as 100, or a fraction below 1"
            )


@dataclass(frozen=True)
class Reinit(Phase):
    """Draw every weight from the model's own initialiser, embeddings included, and keep the mask (θ0′)."""


@dataclass(frozen=True)
class PermuteLayers(Phase):
    """Permute the encoder's layers; the weights of a layer stay together, and the mask stays in place (θ0″)."""


@dataclass(frozen=True)
class Shuffle(Phase):
    """Replace the mask by a random one with the same counts: of each matrix ("layer"), or of all ("global")."""

    counts: str = "layer"

    def __post_init__(self) -> None:
        if self.counts not in ("layer", "global"):
            raise PrunebenchError(f"cannot shuffle by {self.counts!r}", "expected 'layer' or 'global'")


@dataclass(frozen=True)
class Adopt(Phase):
    """Take the mask that another recipe found on another task.

    `mask` is the key of the node that found it. The mask prunes the fraction `sparsity` of all units of kind `unit`.
    Only the plan of a transfer creates this phase, as the first one of a recipe, where the weights are θ0.
    """

    mask: str
    unit: Literal["weight", "head", "neuron"]
    sparsity: float

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)


@dataclass(frozen=True)
class Compact(Phase):
    """Take the pruned heads or neurons out of the model, so that its matrices shrink. Only at the end of a recipe."""


PHASES: dict[str, type[Phase]] = {
    kind.__name__: kind for kind in (Train, Prune, Rewind, Reinit, PermuteLayers, Shuffle, Adopt, Compact)
}


def to_json(phase: Phase) -> dict[str, Any]:
    """A phase with all its fields, so that a changed default changes the key of a result."""
    return {"phase": type(phase).__name__, **asdict(phase)}


def from_json(data: dict[str, Any]) -> Phase:
    """The inverse of `to_json`."""
    kind = PHASES[data["phase"]]
    values = {field.name: data[field.name] for field in fields(kind)}
    if kind is Train and values["sparsity"] is not None:
        values["sparsity"] = Cubic(**values["sparsity"])
    return kind(**values)


def calls_strategy(phase: Phase) -> bool:
    """Whether the strategy decides in this phase which units are pruned."""
    return isinstance(phase, Prune) or (isinstance(phase, Train) and phase.sparsity is not None)


def stores_mask(phase: Phase) -> bool:
    """Whether the store holds the mask after this phase. A shuffled mask is not stored but drawn again."""
    return calls_strategy(phase) or isinstance(phase, Adopt)


def changes_mask(phase: Phase) -> bool:
    """Whether the phase can change the mask."""
    return stores_mask(phase) or isinstance(phase, Shuffle)


def last_index(phases: Sequence[Phase], condition: Callable[[Phase], bool]) -> int:
    """The index of the last phase that meets `condition`, or -1."""
    return max((index for index, phase in enumerate(phases) if condition(phase)), default=-1)


def final_sparsity(phases: Sequence[Phase]) -> float:
    """The sparsity at the end of these phases. Pruned units never come back, so it is the largest one."""
    levels = [phase.sparsity for phase in phases if isinstance(phase, Prune | Adopt)]
    levels += [phase.sparsity.final for phase in phases if isinstance(phase, Train) and phase.sparsity]
    return max(levels, default=0.0)


def sets_weights(phase: Phase) -> bool:
    """Whether the weights after this phase are independent of the weights before it."""
    return isinstance(phase, Rewind | Reinit)


def trains_from_theta0(phases: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these phases (as JSON) prune, set the weights to θ0, and train the subnetwork once.

    Only such a subnetwork can be a winning ticket. The weights are θ0 after a `Rewind` to 0 and at the start of a
    recipe that has not trained yet. They are not θ0 after a re-initialisation, a permutation of layers or a rewind to
    a later step. A last training with a growing sparsity does not start from a subnetwork.
    """
    kinds = [phase["phase"] for phase in phases]
    if "Train" not in kinds:
        return False
    last_training = len(kinds) - 1 - kinds[::-1].index("Train")
    pruned = any(phase.get("sparsity") for phase in phases[:last_training])
    if not pruned or phases[last_training].get("sparsity") or set(kinds[last_training + 1 :]) - {"Compact"}:
        return False
    for phase in reversed(phases[:last_training]):
        if phase["phase"] == "Rewind":
            return not phase.get("to")
        if phase["phase"] in ("Train", "Reinit", "PermuteLayers"):
            return False
    return True
