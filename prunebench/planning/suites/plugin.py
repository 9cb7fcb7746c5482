"""The built-in suites: TOML files whose names are the options of `prunebench run`."""

from __future__ import annotations

from pathlib import Path

from prunebench.hooks.hookspecs import hookimpl


@hookimpl
def prunebench_suites() -> list[Path]:
    return sorted(Path(__file__).parent.glob("*.toml"))
