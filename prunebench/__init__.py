"""prunebench: a benchmark suite for pruning methods on pre-trained transformers.

What a plugin may import is what this module exports. Nothing here imports torch.
"""

from prunebench.errors import PrunebenchError
from prunebench.executors import ExecutorSpec, Request, WorkersDied
from prunebench.hookspecs import hookimpl
from prunebench.models.architecture import Architecture
from prunebench.models.checkpoint import Checkpoint
from prunebench.phases import Compact, Cubic, PermuteLayers, Phase, Prune, Reinit, Rewind, Shuffle, Train, ladder
from prunebench.protocol import Protocol
from prunebench.strategy import Unit
from prunebench.tasks.metrics import MetricSpec
from prunebench.tasks.task import DataSource, Split, Task, TaskData

__version__ = "0.1.0"

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
