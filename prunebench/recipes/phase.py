"""What a phase is, and questions about a list of phases.

A method is a list of phases, and recipes with a common prefix run it once: `Train Prune(0.1) …` and `Train Prune(0.5)`
share their first training. Phases are frozen and hold no tensors. They convert to JSON and back, because the key of
every result is a digest of its phases.

A phase *declares* what the planner, the jobs and the pages must know of it, and its `apply` does it. Nothing outside
`recipes.phases` asks which class a phase is, so that a plugin's phase is planned and run like a built-in one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from prunebench.recipes.axes import Selection
from prunebench.recipes.inputs import Input

if TYPE_CHECKING:
    from prunebench.execution.phase_context import PhaseContext

# Marks a field that says something more about a phase, and whose default means that it is not used.
AXIS = "axis"


def axis(default: Any) -> Any:
    """A field of a phase, by keyword only, that is no part of keys while it has its default."""
    return field(default=default, kw_only=True, metadata={AXIS: True})


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
        ends_recipe: only such phases follow; it may set `ctx.network`, the model that is scored.
        shrinks_model: the scored model has only the parameters that are left. Not for single weights.
        approximates: the scored model gives other logits than the masked one, as after a quantisation. Its sizes are
            those of the model that it approximates.
        unfinished: its effect on the weights shows only when the mask is applied again, so that a training or new
            weights must follow.
    """

    trains: ClassVar[bool] = False
    sets_weights: ClassVar[bool] = False
    changes_weights: ClassVar[bool] = False
    draws_mask: ClassVar[bool] = False
    ends_recipe: ClassVar[bool] = False
    shrinks_model: ClassVar[bool] = False
    approximates: ClassVar[bool] = False
    unfinished: ClassVar[bool] = False

    @property
    def asks(self) -> tuple[str, ...]:
        """The methods of the strategy, one of which decides here which units are pruned; none by default."""
        return ()

    @property
    def asks_strategy(self) -> bool:
        """Whether the strategy decides here which units are pruned. The mask after such a phase is stored."""
        return bool(self.asks)

    @property
    def level(self) -> float | None:
        """The sparsity after the phase, or None if it is the one before it."""
        return None

    @property
    def selection(self) -> Selection:
        """How the units that go are selected by their scores. Only where there is a `level`."""
        return Selection()

    @property
    def rewinds_to(self) -> int | float | None:
        """0 if the weights after the phase are θ0; the step, or fraction, of the first training that they are of."""
        return None

    @property
    def trainings(self) -> float:
        """How many trainings by the protocol the phase is: 1 for a phase that trains, unless it says otherwise."""
        return 1.0 if self.trains else 0.0

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What the phase reads of other nodes: the mask that it takes, the weights of a teacher."""
        return ()

    @property
    def taught_by(self) -> str:
        """The model whose outputs a training learns too, as pages name it: "dense", or "" for none."""
        return ""

    @property
    def mask_from(self) -> str:
        """The key of the node, in another tree, whose mask the phase takes; "" if it takes none."""
        return next((each.key for each in self.inputs if each.kind == "mask"), "")

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
        return cls(**{each.name: values[each.name] for each in fields(cls) if each.name in values})


@dataclass(frozen=True)
class UnknownPhase(Phase):
    """Stands for a phase that is not known here: it may have done anything to the weights."""

    changes_weights: ClassVar[bool] = True


def to_json(phase: Phase) -> dict[str, Any]:
    """A phase with all its fields, so that a changed default changes the key of a result.

    An axis that is not used is left out, so that a new axis changes no key.
    """
    values = asdict(phase)
    unused = {
        each.name for each in fields(phase) if AXIS in each.metadata and getattr(phase, each.name) == each.default
    }
    return {"phase": type(phase).__name__, **{name: value for name, value in values.items() if name not in unused}}


def last_index(phases: Sequence[Phase], condition: Callable[[Phase], bool]) -> int:
    """The index of the last phase that meets `condition`, or -1."""
    return max((index for index, phase in enumerate(phases) if condition(phase)), default=-1)


def final_selection(phases: Sequence[Phase]) -> Selection:
    """How the mask at the end of these phases was selected."""
    return next((phase.selection for phase in reversed(phases) if phase.level is not None), Selection())


def final_sparsity(phases: Sequence[Phase]) -> float:
    """The sparsity at the end of these phases. Pruned units never come back, so it is the largest one."""
    return max((phase.level for phase in phases if phase.level is not None), default=0.0)


def shrinks(phases: Sequence[Phase]) -> bool:
    """Whether the model that is scored at the end of these phases has only the parameters that are left."""
    return any(phase.shrinks_model for phase in phases)


def final_trainings(phases: Sequence[Phase]) -> float:
    """For how many trainings the weights at the end of these phases were trained since they were last set.

    Weights are set by a rewind or a re-initialisation, and by the start of a recipe. A rewind to a later step counts as
    one to θ0. An `UnknownPhase` counts as no training. The dense model of equal training has as many (see
    `strategies.dense`).
    """
    start = last_index(phases, lambda phase: phase.sets_weights) + 1
    # Rounded, so that three trainings of a tenth are 0.3.
    return round(math.fsum(phase.trainings for phase in phases[start:]), 10)


def teacher_of(phases: Sequence[Phase]) -> str:
    """The teacher of some training of these phases, as pages name it, or ""."""
    return next(filter(None, (phase.taught_by for phase in phases)), "")


def trains_from_theta0(phases: Sequence[Phase]) -> bool:
    """Whether these phases prune, set the weights to θ0, and train the subnetwork once.

    Only such a subnetwork can be a winning ticket. The weights are θ0 after a `Rewind` to 0 and at the start of a
    recipe that has not trained yet. They are not θ0 after a re-initialisation, a permutation of layers or a rewind to
    a later step. A last training that changes the mask does not start from the subnetwork that is scored.
    """
    last = last_index(phases, lambda phase: phase.trains)
    before = phases[: max(last, 0)]
    if not any(phase.level for phase in before) or phases[last].changes_mask:
        return False
    if not all(phase.ends_recipe for phase in phases[last + 1 :]):
        return False
    for phase in reversed(before):
        if phase.rewinds_to is not None:
            return phase.rewinds_to == 0
        if phase.trains or phase.sets_weights or phase.changes_weights:
            return False
    return True
