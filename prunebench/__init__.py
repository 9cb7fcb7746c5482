"""prunebench: a benchmark suite for pruning methods on pre-trained transformers.

`run`, `plan` and `load` are the front door (see `prunebench.api`); everything else here is what a plugin imports.

The packages, lowest first; each one imports only those above it in this list:

    runtime     this process and machine: devices, memory, seeds, progress
    recipes     the words of a method: phases, schedules, strategies, options
    hooks       plugins: the hooks, and the registry of everything that they give
    tasks       tasks, metrics and protocols; GLUE
    models      encoders, and how they are loaded; faster parts for a CPU
    pruning     masks, and what they remove: weights, heads, neurons, layers
    training    batches, the training loop, evaluation
    store       results on disk or in object storage, and the one data model
    planning    suites become experiments, plans and jobs
    execution   jobs run: the worker, the scheduler, executors
    results     the long table of all scores, filters, statistics
    reports     leaderboards, comparisons, transfer, overlap, attention, figures
    sharing     bundles that others can check; GLUE's test server
    strategies  the built-in methods, which import only what this module exports
    synthetic   the generated language: tasks, a model and suites without a download
    testing     checks of strategies, and fixtures for their tests
    cli         the command line
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError
from prunebench.execution.executors.base import ExecutorSpec, Request, WorkersDied
from prunebench.hooks.hookspecs import hookimpl
from prunebench.models.architecture import Architecture
from prunebench.models.checkpoint import Checkpoint
from prunebench.pruning.costs import UnitCost
from prunebench.pruning.groups import Group, Slice, Structure
from prunebench.recipes.inputs import Input, Teacher
from prunebench.recipes.phase import Phase, axis
from prunebench.recipes.phases import Compact, PermuteLayers, Prune, Reinit, Rewind, Shuffle, Train
from prunebench.recipes.schedules import Cubic, ladder
from prunebench.recipes.strategy import Control, Strategy, Unit
from prunebench.runtime.environment import version
from prunebench.tasks.metrics import MetricSpec
from prunebench.tasks.protocol import Protocol
from prunebench.tasks.task import DataSource, Split, Task, TaskData

if TYPE_CHECKING:
    from prunebench.api import Preview, Results, load, plan, run
    from prunebench.execution.context import Context
    from prunebench.execution.executors.resources import Resources
    from prunebench.execution.phase_context import PhaseContext
    from prunebench.training.callbacks import Training, TrainingCallback

__version__ = version()

__all__ = [
    "Architecture",
    "Checkpoint",
    "Compact",
    "Context",
    "Control",
    "Cubic",
    "DataSource",
    "ExecutorSpec",
    "Group",
    "Input",
    "MetricSpec",
    "PermuteLayers",
    "Phase",
    "PhaseContext",
    "Preview",
    "Protocol",
    "Prune",
    "PrunebenchError",
    "Reinit",
    "Request",
    "Resources",
    "Results",
    "Rewind",
    "Shuffle",
    "Slice",
    "Split",
    "Strategy",
    "Structure",
    "Task",
    "TaskData",
    "Teacher",
    "Train",
    "Training",
    "TrainingCallback",
    "Unit",
    "UnitCost",
    "WorkersDied",
    "axis",
    "hookimpl",
    "ladder",
    "load",
    "plan",
    "run",
]


LAZY = {
    **dict.fromkeys(("Preview", "Resources", "Results", "load", "plan", "run"), "prunebench.api"),
    "Context": "prunebench.execution.context",
    "PhaseContext": "prunebench.execution.phase_context",
    **dict.fromkeys(("Training", "TrainingCallback"), "prunebench.training.callbacks"),
}


def __getattr__(name: str) -> Any:
    """Import what needs torch or pandas when it is first used: plugins and the command line start without it."""
    if name in LAZY:
        return getattr(importlib.import_module(LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
