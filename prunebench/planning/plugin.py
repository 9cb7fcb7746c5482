"""The built-in phases, and the suites on GLUE: TOML files whose keys are the options of `prunebench run`."""

from __future__ import annotations

from pathlib import Path

from prunebench.hooks.hookspecs import hookimpl
from prunebench.recipes.phase import Phase
from prunebench.recipes.phases import BUILT_IN


@hookimpl
def prunebench_phases() -> list[type[Phase]]:
    return list(BUILT_IN.values())


@hookimpl
def prunebench_suites() -> list[Path]:
    return sorted((Path(__file__).parent / "suites").glob("*.toml"))
