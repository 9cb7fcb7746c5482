"""A checkpoint that a plugin brings along. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkpoint:
    """A pre-trained encoder under a name for `--model`; `folder` holds it in transformers' layout."""

    name: str
    doc: str
    folder: Path
