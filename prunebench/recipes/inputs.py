"""Other results that a phase reads: the mask or the weights at the end of another recipe, and teachers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from prunebench.errors import PrunebenchError

if TYPE_CHECKING:
    from prunebench.recipes.phase import Phase


@dataclass(frozen=True)
class Input:
    """The mask, or the weights, after another node of the plan.

    The node is named by its `key`, in the tree of another task, or by its `recipe`: the phases that lead to it from θ0
    on the same task with the same seed. Such phases call no strategy. Weights are those after a training.
    """

    kind: Literal["mask", "weights"]
    key: str = ""
    recipe: tuple[Phase, ...] = ()


@dataclass(frozen=True)
class Teacher:
    """The dense model of the same seed, after its training: its outputs are learned (Hinton et al. 2015).

    With `weight` and `hidden` at 0 nothing is added to the loss, and the teacher is there for a callback of the method,
    which asks it by `ctx.teacher(batch)`.

    Attributes:
        temperature: T in the divergence of the softened predictions, T²·KL(teacher ‖ student).
        weight: the part of that divergence in the loss; the rest is the loss of the labels. For a regression it is the
            mean squared difference of the predictions instead.
        hidden: the factor of the mean squared difference of the hidden states, over all layers and tokens; 0 for none.
    """

    temperature: float = 2.0
    weight: float = 0.5
    hidden: float = 0.0

    @property
    def adds_loss(self) -> bool:
        return self.weight > 0 or self.hidden > 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise PrunebenchError(f"a teacher has temperature {self.temperature}", "expected a number above 0")
        if not 0 <= self.weight <= 1:
            raise PrunebenchError(f"a teacher has weight {self.weight}", "expected a number from 0 to 1")
        if not 0 <= self.hidden < math.inf:
            raise PrunebenchError(f"a teacher has hidden weight {self.hidden}", "expected 0 or more")
