"""What authors of methods test them with: tiny models, a context to call a method by hand, runs, and named checks.

As a pytest plugin it gives the fixtures `tiny_model`, `tiny_task`, `context` and `run`. Modules, in reading order:

- `models`, `tasks`: a tiny random encoder of each family, and a task for it
- `contexts`: a context on a model that fits on a page, for `score` and `prune`
- `runs`: real runs on the tiny model, in seconds
- `check`: a named check, and its outcome
- `evidence`, `state`: the runs that checks look at, and the state that a method leaves behind
- `form`, `imports`, `calls`, `cells`: the checks of the class, of its module, of single calls, and of runs
- `kit`: all checks of a strategy
- `plugin`: the fixtures
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prunebench.testing.check import Outcome
    from prunebench.testing.contexts import context
    from prunebench.testing.kit import check_strategies, check_strategy, strategy_checks
    from prunebench.testing.models import write_tiny_model
    from prunebench.testing.runs import run_tiny
    from prunebench.testing.tasks import write_tiny_task

__all__ = [
    "Outcome",
    "check_strategies",
    "check_strategy",
    "context",
    "run_tiny",
    "strategy_checks",
    "write_tiny_model",
    "write_tiny_task",
]

LAZY = {
    "Outcome": "check",
    "context": "contexts",
    **dict.fromkeys(("check_strategies", "check_strategy", "strategy_checks"), "kit"),
    "run_tiny": "runs",
    "write_tiny_model": "models",
    "write_tiny_task": "tasks",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first used: pytest loads this package wherever it is installed."""
    if name in LAZY:
        return getattr(importlib.import_module(f"{__name__}.{LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
