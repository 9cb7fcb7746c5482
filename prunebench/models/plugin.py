"""Register the built-in families of encoders through the same hook as any plugin."""

from __future__ import annotations

from collections.abc import Iterable

from prunebench.hooks.hookspecs import hookimpl
from prunebench.models.architecture import Architecture
from prunebench.models.families import FAMILIES


@hookimpl
def prunebench_models() -> Iterable[Architecture]:
    return FAMILIES
