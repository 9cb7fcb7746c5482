"""Register the built-in structures through the same hook as any plugin."""

from __future__ import annotations

from collections.abc import Iterable

from prunebench.hooks.hookspecs import hookimpl
from prunebench.pruning.groups import Structure
from prunebench.pruning.structures import STRUCTURES


@hookimpl
def prunebench_structures() -> Iterable[Structure]:
    return STRUCTURES
