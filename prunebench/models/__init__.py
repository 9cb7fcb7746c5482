"""The families of encoders that are built in. Imports no torch: families are data."""

from __future__ import annotations

from collections.abc import Iterable

from prunebench.hookspecs import hookimpl
from prunebench.models.architecture import Architecture
from prunebench.models.families import FAMILIES


@hookimpl
def prunebench_models() -> Iterable[Architecture]:
    return FAMILIES
