"""The built-in families of encoders, given by the hook that everybody uses."""

from __future__ import annotations

from collections.abc import Iterable

from prunebench.hooks.hookspecs import hookimpl
from prunebench.models.architecture import Architecture
from prunebench.models.families import FAMILIES


@hookimpl
def prunebench_models() -> Iterable[Architecture]:
    return FAMILIES
