"""Structured pruning by L0 gates that are learned while the model trains, as a prunebench plugin.

- `hard_concrete`: the distribution of a gate
- `gates`: a training with gates and a penalty that reaches the level
- `heads`: gates on heads
- `cofi`: gates on layers, heads and neurons, with distillation
"""

from __future__ import annotations

from typing import Any

from prunebench import hookimpl
from prunebench_l0.cofi import CoFi
from prunebench_l0.heads import L0Heads


@hookimpl
def prunebench_strategies() -> list[type[Any]]:
    return [L0Heads, CoFi]
