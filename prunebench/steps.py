"""The words of a job at work: its steps read back from JSON, and the state between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prunebench import masks, phases
from prunebench.phases import Phase
from prunebench.strategy import Unit


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
