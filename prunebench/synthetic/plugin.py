"""The plugin with the generated language: tasks, suites, a checkpoint and the command that trains it."""

from __future__ import annotations

from pathlib import Path

import click

from prunebench.hooks.hookspecs import hookimpl
from prunebench.models.checkpoint import Checkpoint
from prunebench.synthetic.command import pretrain
from prunebench.synthetic.tasks import quick_tasks
from prunebench.tasks.task import Task

FOLDER = Path(__file__).parent
QUICK_BERT = Checkpoint(
    name="quick-bert",
    doc="A BERT with 0.9 million parameters, pre-trained on a small generated language by `prunebench pretrain`.",
    folder=FOLDER / "quick-bert",
)


@hookimpl
def prunebench_tasks() -> list[Task]:
    return quick_tasks()


@hookimpl
def prunebench_checkpoints() -> list[Checkpoint]:
    return [QUICK_BERT]


@hookimpl
def prunebench_suites() -> list[Path]:
    return sorted((FOLDER / "suites").glob("*.toml"))


@hookimpl
def prunebench_commands() -> list[click.Command]:
    return [pretrain]
