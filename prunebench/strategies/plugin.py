"""The plugin with the built-in strategies."""

from __future__ import annotations

import importlib
from typing import Any

from prunebench import hookimpl

MODULES = ("dense", "imp", "magnitude", "controls", "heads")


@hookimpl
def prunebench_strategies() -> list[type[Any]]:
    modules = [importlib.import_module(f"{__package__}.{name}") for name in MODULES]
    return [kind for module in modules for kind in module.STRATEGIES]
