"""The phases of a recipe.

A method is a list of phases, and recipes with a common prefix run it once: `Train Prune(0.1) …` and `Train Prune(0.5)`
share their first training. Phases are frozen and hold no tensors. They convert to JSON and back, because the key of
every result is a digest of its phases.

A phase *declares* what the planner, the jobs and the pages must know of it, and its `apply` does it. Nothing outside
this module asks which class a phase is, so that a plugin's phase is planned and run like a built-in one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from prunebench.errors import PrunebenchError
from prunebench.recipes.schedules import Cubic, check_sparsity

if TYPE_CHECKING:
    from prunebench.execution.phase_context import PhaseContext


@dataclass(frozen=True)
class Phase:
    """One step of a recipe: a frozen dataclass with an `apply`. A subclass declares what differs from this class.

    Attributes:
        trains: it trains, by `ctx.train()`. A training starts a job.
        sets_weights: the weights after it owe nothing to those before it. It starts a job too.
        changes_weights: it sets or moves weights without the strategy and without training, as a function of θ0, the
            weights before it and the seed. It is applied again wherever such weights are needed, rather than stored.
        draws_mask: it replaces the mask, as a function of the mask before it and the seed. Such a mask is not stored,
            but drawn again.
        ends_recipe: only at the end of a recipe; it may set `ctx.network`, the model that is scored.
        shrinks_model: the scored model has only the parameters that are left. Only for heads and neurons.
        unfinished: its effect on the weights shows only when the mask is applied again, so that a training or new
            weights must follow.
    """

    trains: ClassVar[bool] = False
    sets_weights: ClassVar[bool] = False
    changes_weights: ClassVar[bool] = False
    draws_mask: ClassVar[bool] = False
    ends_recipe: ClassVar[bool] = False
    shrinks_model: ClassVar[bool] = False
    unfinished: ClassVar[bool] = False

    @property
    def asks_strategy(self) -> bool:
        """Whether the strategy decides in this phase which units are pruned. The mask after it is stored."""
        return False

    @property
    def level(self) -> float | None:
        """The sparsity after the phase, or None if it is the one before it."""
        return None

    @property
    def rewinds_to(self) -> int | float | None:
        """0 if the weights after the phase are θ0; the step, or fraction, of the first training that they are of."""
        return None

    @property
    def mask_from(self) -> str:
        """The key of the node, in another tree, whose mask the phase takes; "" if it takes none."""
        return ""

    @property
    def finds_mask(self) -> bool:
        """Whether the mask after the phase is in the store, whatever came before it."""
        return self.asks_strategy or bool(self.mask_from)

    @property
    def changes_mask(self) -> bool:
        """Whether another mask may stand after the phase."""
        return self.finds_mask or self.draws_mask

    @property
    def starts_job(self) -> bool:
        """Whether a job starts here: at a training, at new weights, and at the mask of another tree."""
        return self.trains or self.sets_weights or bool(self.mask_from)

    def apply(self, ctx: PhaseContext) -> None:
        """Do to the model what the phase stands for."""
        raise NotImplementedError(f"{type(self).__name__} has no apply(ctx)")

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> Self:
        """The phase with these fields, as JSON has them; fields that are not there have their defaults."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


@dataclass(frozen=True)
class Train(Phase):
    """Train by the task's protocol, with a new optimiser and learning-rate schedule; pruned units stay at zero.

    With `sparsity`, the model is also pruned during the training, by the strategy's scores.
    """

    trains: ClassVar[bool] = True

    sparsity: Cubic | None = None

    @property
    def asks_strategy(self) -> bool:
        return self.sparsity is not None

    @property
    def level(self) -> float | None:
        return self.sparsity.final if self.sparsity else None

    def apply(self, ctx: PhaseContext) -> None:
        ctx.train(self.sparsity)

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> Self:
        sparsity = values.get("sparsity")
        return cls(None if sparsity is None else Cubic(**sparsity))


@dataclass(frozen=True)
class Prune(Phase):
    """Remove the units with the lowest scores until `sparsity` of all prunable units are pruned.

    Pruned units never come back, so the masks of one recipe are nested.
    """

    sparsity: float

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)

    @property
    def asks_strategy(self) -> bool:
        return True

    @property
    def level(self) -> float | None:
        return self.sparsity

    def apply(self, ctx: PhaseContext) -> None:
        ctx.prune(self.sparsity)


@dataclass(frozen=True)
class Rewind(Phase):
    """Reset every weight to an earlier value, the task head included, and keep the mask.

    `to` is 0 for the pre-trained weights θ0, an integer for that optimiser step of the recipe's first training, or a
    float in (0, 1) for that fraction of it (Frankle et al. 2020).
    """

    sets_weights: ClassVar[bool] = True

    to: int | float = 0

    def __post_init__(self) -> None:
        if self.to < 0 or (isinstance(self.to, float) and not self.to < 1):
            raise PrunebenchError(
                f"cannot rewind to {self.to}", "expected 0, a step such as 100, or a fraction below 1"
            )

    @property
    def rewinds_to(self) -> int | float | None:
        return self.to

    def apply(self, ctx: PhaseContext) -> None:
        """Nothing is left to do: a rewind starts a job, and a job starts by loading the weights that it rewinds to."""


@dataclass(frozen=True)
class Reinit(Phase):
    """Draw every weight from the model's own initialiser, embeddings included, and keep the mask (θ0′)."""

    sets_weights: ClassVar[bool] = True
    changes_weights: ClassVar[bool] = True

    def apply(self, ctx: PhaseContext) -> None:
        ctx.reinitialise()


@dataclass(frozen=True)
class PermuteLayers(Phase):
    """Permute the encoder's layers; the weights of a layer stay together, and the mask stays in place (θ0″)."""

    changes_weights: ClassVar[bool] = True
    unfinished: ClassVar[bool] = True

    def apply(self, ctx: PhaseContext) -> None:
        ctx.permute_layers()


@dataclass(frozen=True)
class Shuffle(Phase):
    """Replace the mask by a random one with the same counts: of each matrix ("layer"), or of all ("global")."""

    draws_mask: ClassVar[bool] = True
    unfinished: ClassVar[bool] = True

    counts: str = "layer"

    def __post_init__(self) -> None:
        if self.counts not in ("layer", "global"):
            raise PrunebenchError(f"cannot shuffle by {self.counts!r}", "expected 'layer' or 'global'")

    def apply(self, ctx: PhaseContext) -> None:
        ctx.shuffle_mask(self.counts)


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

    @property
    def mask_from(self) -> str:
        return self.mask

    @property
    def level(self) -> float | None:
        return self.sparsity

    def apply(self, ctx: PhaseContext) -> None:
        ctx.take_mask(self.mask, self.unit)


@dataclass(frozen=True)
class Compact(Phase):
    """Take the pruned heads or neurons out of the model, so that its matrices shrink. Only at the end of a recipe."""

    ends_recipe: ClassVar[bool] = True
    shrinks_model: ClassVar[bool] = True

    def apply(self, ctx: PhaseContext) -> None:
        ctx.compact()


@dataclass(frozen=True)
class UnknownPhase(Phase):
    """Stands for a phase that is not known here: it may have done anything to the weights."""

    changes_weights: ClassVar[bool] = True


BUILT_IN: dict[str, type[Phase]] = {
    kind.__name__: kind for kind in (Train, Prune, Rewind, Reinit, PermuteLayers, Shuffle, Adopt, Compact)
}


def to_json(phase: Phase) -> dict[str, Any]:
    """A phase with all its fields, so that a changed default changes the key of a result."""
    return {"phase": type(phase).__name__, **asdict(phase)}


def from_record(data: Mapping[str, Any]) -> Phase:
    """A built-in phase as a record holds it, or `UnknownPhase` for one of a plugin or with impossible fields."""
    try:
        return BUILT_IN[data["phase"]].from_fields(data)
    except (KeyError, TypeError, PrunebenchError):
        return UnknownPhase()


def last_index(phases: Sequence[Phase], condition: Callable[[Phase], bool]) -> int:
    """The index of the last phase that meets `condition`, or -1."""
    return max((index for index, phase in enumerate(phases) if condition(phase)), default=-1)


def final_sparsity(phases: Sequence[Phase]) -> float:
    """The sparsity at the end of these phases. Pruned units never come back, so it is the largest one."""
    return max((phase.level for phase in phases if phase.level is not None), default=0.0)


def trains_from_theta0(phases: Sequence[Phase]) -> bool:
    """Whether these phases prune, set the weights to θ0, and train the subnetwork once.

    Only such a subnetwork can be a winning ticket. The weights are θ0 after a `Rewind` to 0 and at the start of a
    recipe that has not trained yet. They are not θ0 after a re-initialisation, a permutation of layers or a rewind to
    a later step. A last training with a growing sparsity does not start from a subnetwork.
    """
    last = last_index(phases, lambda phase: phase.trains)
    before = phases[: max(last, 0)]
    if not any(phase.level for phase in before) or phases[last].level:
        return False
    if not all(phase.ends_recipe for phase in phases[last + 1 :]):
        return False
    for phase in reversed(before):
        if phase.rewinds_to is not None:
            return phase.rewinds_to == 0
        if phase.trains or phase.sets_weights or phase.changes_weights:
            return False
    return True
