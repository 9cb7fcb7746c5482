"""prunebench: a benchmark suite for pruning methods on pre-trained transformers.

This module exports everything that a plugin may import. None of it imports torch.
"""

from prunebench.errors import PrunebenchError
from prunebench.execution.executors.base import ExecutorSpec, Request, WorkersDied
from prunebench.hooks.hookspecs import hookimpl
from prunebench.models.architecture import Architecture
from prunebench.models.checkpoint import Checkpoint
from prunebench.recipes.phases import Compact, PermuteLayers, Phase, Prune, Reinit, Rewind, Shuffle, Train
from prunebench.recipes.schedules import Cubic, ladder
from prunebench.recipes.strategy import Unit
from prunebench.runtime.environment import version
from prunebench.tasks.metrics import MetricSpec
from prunebench.tasks.protocol import Protocol
from prunebench.tasks.task import DataSource, Split, Task, TaskData

__version__ = version()

__all__ = [
    "Architecture",
    "Checkpoint",
    "Compact",
    "Cubic",
    "DataSource",
    "ExecutorSpec",
    "MetricSpec",
    "PermuteLayers",
    "Phase",
    "Protocol",
    "Prune",
    "PrunebenchError",
    "Reinit",
    "Request",
    "Rewind",
    "Shuffle",
    "Split",
    "Task",
    "TaskData",
    "Train",
    "Unit",
    "WorkersDied",
    "hookimpl",
    "ladder",
]
