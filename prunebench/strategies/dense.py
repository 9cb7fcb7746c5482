"""The unpruned model, which every method is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from prunebench import Phase, Train, Unit


@dataclass(frozen=True)
class Dense:
    """The unpruned model, trained once; every run includes it."""

    name: ClassVar[str] = "dense"
    unit: ClassVar[Unit] = "weight"

    def recipe(self, sparsity: float) -> list[Phase]:
        return [Train()]


STRATEGIES = [Dense]
