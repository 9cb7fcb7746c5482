"""A plugin in a single file, with a pruning method whose recipe and score a test can change."""

from __future__ import annotations

from pathlib import Path

PLUGIN = '''
from dataclasses import dataclass
from typing import ClassVar
from prunebench import Prune, Train, hookimpl

@dataclass(frozen=True)
class Mine:
    """My own method."""

    name: ClassVar[str] = "mine"
    unit: ClassVar[str] = "weight"
    power: float = 1.5

    def recipe(self, sparsity):
        return RECIPE

    def score(self, ctx):
        return SCORE

@hookimpl
def prunebench_strategies():
    return [Mine]
'''
SCORE = "{name: weight.abs() ** self.power for name, weight in ctx.weights.items()}"


def plugin_file(
    folder: Path, recipe: str = "[Train(), Prune(sparsity), Train()]", score: str = SCORE, text: str = PLUGIN
) -> Path:
    """Write `mine.py`, a plugin with the strategy `mine`."""
    file = folder / "mine.py"
    file.write_text(text.replace("RECIPE", recipe).replace("SCORE", score))
    return file
