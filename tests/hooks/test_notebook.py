"""Strategy classes from a notebook or script as plugin files."""

from __future__ import annotations

import dataclasses
import linecache
import math
import sys
import types
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from prunebench import Prune, PrunebenchError, Train
from prunebench.hooks.notebook import plugin_file
from prunebench.hooks.registry import Registry

POWER = 2
SCALES = {"weight": 0.5}
HANDLE = object()


def scaled(weight: Any, gain: float) -> Any:
    return gain * SCALES["weight"] * math.sqrt(POWER) * weight.abs()


@dataclass(frozen=True)
class Scaled:
    """Magnitude times a constant."""

    name: ClassVar[str] = "scaled"
    unit: ClassVar[str] = "weight"

    gain: float = 1.0

    def recipe(self, sparsity):
        return [Train(), Prune(sparsity)]

    def score(self, ctx):
        return {name: scaled(weight, self.gain) for name, weight in ctx.weights.items()}


@dataclass(frozen=True)
class WithHandle:
    name: ClassVar[str] = "with-handle"
    unit: ClassVar[str] = "weight"

    def recipe(self, sparsity):
        return [Train() if HANDLE else Prune(sparsity)]


def test_the_file_is_a_plugin_with_the_class_and_what_it_uses():
    path = plugin_file(Scaled)
    strategy = Registry([path]).strategy("scaled[gain=3]")
    assert dataclasses.asdict(strategy) == {"gain": 3.0}
    assert strategy.recipe(0.5) == [Train(), Prune(0.5)]
    context = type("Context", (), {"weights": {"a": _Number(-4.0)}})()
    assert strategy.score(context) == {"a": 3.0 * 0.5 * math.sqrt(2) * 4.0}


CELL = """
from dataclasses import dataclass
import prunebench as pb

limit = 3

@dataclass(frozen=True)
class InACell:
    name = "in-a-cell"
    unit = "weight"
    rounds: int = limit

    def recipe(self, sparsity):
        return [pb.Train(), pb.Prune(sparsity)]

    def score(self, ctx):
        return ctx.weights

class Other:
    def recipe(self, sparsity):
        return []
"""


def test_a_class_of_a_notebook_cell_has_a_source(monkeypatch):
    """A notebook's module has no file; its cells are in linecache, as IPython puts them there."""
    name = "<cell 1>"
    monkeypatch.setitem(linecache.cache, name, (len(CELL), None, CELL.splitlines(keepends=True), name))
    module = types.ModuleType("a_notebook")
    monkeypatch.setitem(sys.modules, "a_notebook", module)
    exec(compile(CELL, name, "exec"), vars(module))
    path = plugin_file(module.InACell)
    assert "class Other" not in path.read_text()
    strategy = Registry([path]).strategy("in-a-cell[rounds=5]")
    assert strategy.rounds == 5
    assert strategy.recipe(0.5) == [Train(), Prune(0.5)]


class _Number(float):
    def abs(self):
        return abs(self)


def test_the_same_class_gives_the_same_file():
    assert plugin_file(Scaled) == plugin_file(Scaled)


def test_a_value_that_is_not_a_literal_is_an_error():
    with pytest.raises(PrunebenchError, match="a strategy uses 'HANDLE', whose value cannot be written"):
        plugin_file(WithHandle)


def test_a_class_without_source_is_an_error():
    without_source = type("WithoutSource", (), {"__module__": "builtins"})
    with pytest.raises(PrunebenchError, match="the source of 'WithoutSource' is not available"):
        plugin_file(without_source)
