"""The families of encoders and the checkpoint that are built in. Imports no torch: both are data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prunebench.hookspecs import hookimpl
from prunebench.models.architecture import Architecture
from prunebench.models.checkpoint import Checkpoint
from prunebench.models.families import FAMILIES


@hookimpl
def prunebench_models() -> Iterable[Architecture]:
    return FAMILIES


QUICK_BERT = Checkpoint(
    name="quick-bert",
    doc="A BERT of 0.9 million parameters, pre-trained on a small generated language by `prunebench pretrain`.",
    folder=Path(__file__).parent / "quick-bert",
)


@hookimpl
def prunebench_checkpoints() -> Iterable[Checkpoint]:
    return [QUICK_BERT]
