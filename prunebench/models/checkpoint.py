"""Pre-trained encoders that plugins ship."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkpoint:
    """A pre-trained encoder that `--model` finds by `name`; `folder` holds it in the layout of transformers."""

    name: str
    doc: str
    folder: Path
