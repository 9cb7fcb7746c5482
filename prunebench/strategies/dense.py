"""The unpruned model, which every method is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from prunebench import Phase, PrunebenchError, Train, Unit

# `final_trainings` rounds to as many digits.
DIGITS = 10
MAX_TRAININGS = 1000


@dataclass(frozen=True)
class Dense:
    """The unpruned model, trained once or `trainings` times; every run includes it.

    A run also includes the one of equal training for every method that trains θ0 more or less than once, such as
    dense[trainings=2] for magnitude. Each of the trainings has an optimiser and a learning-rate schedule of its own, as
    the trainings of a method have; a remainder such as the half of 2.5 is a shorter training at the end.

    `model` names another model, such as a small one that nobody pruned; `--also-model` adds it.
    """

    name: ClassVar[str] = "dense"
    unit: ClassVar[Unit] = "weight"

    trainings: int | float = 1
    model: str = ""

    def __post_init__(self) -> None:
        number = round(self.trainings, DIGITS) if math.isfinite(self.trainings) else 0
        if not 0 < number <= MAX_TRAININGS:
            raise PrunebenchError(
                f"dense has {self.trainings} trainings",
                f"expected a number above 0 and at most {MAX_TRAININGS}, such as 2 or 0.5",
            )
        # 2.0 is 2, so that both have one label.
        object.__setattr__(self, "trainings", int(number) if number == int(number) else number)

    def recipe(self, sparsity: float) -> list[Phase]:
        whole = int(self.trainings)
        rest = round(self.trainings - whole, DIGITS)
        return [*[Train()] * whole, *([Train(length=rest)] if rest else [])]


STRATEGIES = [Dense]
