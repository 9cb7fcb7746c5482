"""The recipes of the built-in strategies, and errors in the recipes of a plugin."""

from __future__ import annotations

import pytest

from prunebench import Compact, PermuteLayers, Prune, PrunebenchError, Reinit, Rewind, Shuffle, Train
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method


@pytest.fixture(scope="module")
def registry():
    return Registry()


def recipe(text, sparsity, registry):
    return [step.phase for step in Method(text, registry).steps(sparsity)]


def test_recipes_of_the_built_in_strategies(registry):
    train, rewind = Train(), Rewind()
    assert recipe("dense", 0.0, registry) == [train]
    assert recipe("imp", 0.2, registry) == [train, Prune(0.1), rewind, train, Prune(0.2), rewind, train]
    assert recipe("imp[rewind=none]", 0.1, registry) == [train, Prune(0.1), train]
    assert recipe("imp[rewind=0.1]", 0.1, registry) == [train, Prune(0.1), Rewind(0.1), train]
    assert recipe("magnitude", 0.5, registry) == [train, Prune(0.5), train]
    assert recipe("magnitude-init", 0.5, registry) == [Prune(0.5), train]
    assert recipe("random-pruning", 0.1, registry) == [train, Prune(0.1), Shuffle("layer"), rewind, train]
    assert recipe("random-reinit", 0.1, registry) == [train, Prune(0.1), Reinit(), train]
    assert recipe("random-reinit[counts=global]", 0.1, registry) == [
        *(train, Prune(0.1), Shuffle("global"), Reinit(), train)
    ]
    assert recipe("layer-shuffle", 0.1, registry) == [train, Prune(0.1), rewind, PermuteLayers(), train]
    assert recipe("heads", 0.5, registry) == [train, Prune(0.5), train, Compact()]
    assert recipe("heads[rescore=true,step=0.25]", 0.5, registry) == [
        *(train, Prune(0.25), Prune(0.5), train, Compact())
    ]
    # A control follows its method's recipe after the mask, except for one change.
    assert recipe("random-pruning[of=magnitude]", 0.5, registry) == [train, Prune(0.5), Shuffle("layer"), train]
    assert recipe("random-pruning[of=heads]", 0.5, registry) == [
        *(train, Prune(0.5), Shuffle("layer"), train, Compact())
    ]
    assert recipe("random-reinit[of=heads]", 0.5, registry) == [train, Prune(0.5), Reinit(), train, Compact()]
    assert recipe("random-pruning", 0.0, registry) == [Shuffle("layer"), train]


def test_a_control_needs_a_method_that_prunes(registry):
    for text in ("random-pruning[of=dense]", "random-pruning[of=random-reinit]"):
        with pytest.raises(PrunebenchError, match="cannot control"):
            Method(text, registry)


BAD_PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar
from prunebench import Compact, PermuteLayers, Prune, Rewind, Shuffle, Train, hookimpl

class Base:
    unit: ClassVar[str] = "weight"
    def score(self, ctx):
        return {}

@dataclass(frozen=True)
class CompactEarly(Base):
    name: ClassVar[str] = "compact-early"
    def recipe(self, sparsity):
        return [Compact(), Train()]

@dataclass(frozen=True)
class TooLittle(Base):
    name: ClassVar[str] = "too-little"
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity / 10), Train()]

@dataclass(frozen=True)
class CompactWeights(Base):
    name: ClassVar[str] = "compact-weights"
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Compact()]

@dataclass(frozen=True)
class RewindFirst(Base):
    name: ClassVar[str] = "rewind-first"
    def recipe(self, sparsity):
        return [Prune(sparsity), Rewind(0.1), Train()]

@dataclass(frozen=True)
class Empty(Base):
    name: ClassVar[str] = "empty"
    def recipe(self, sparsity):
        return []

@dataclass(frozen=True)
class ShuffleLast(Base):
    name: ClassVar[str] = "shuffle-last"
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity), Shuffle()]

@dataclass(frozen=True)
class PermuteThenPrune(Base):
    name: ClassVar[str] = "permute-then-prune"
    def recipe(self, sparsity):
        return [Prune(0.1), PermuteLayers(), Prune(sparsity), Train()]

@dataclass(frozen=True)
class Numbers(Base):
    name: ClassVar[str] = "numbers"
    def recipe(self, sparsity):
        return [1, 2]

@dataclass(frozen=True)
class NoScore:
    name: ClassVar[str] = "no-score"
    unit: ClassVar[str] = "weight"
    def recipe(self, sparsity):
        return [Train(), Prune(sparsity)]

@dataclass(frozen=True)
class TooMuch(Base):
    name: ClassVar[str] = "too-much"
    def recipe(self, sparsity):
        return [Train(), Prune(2 * sparsity + 1)]

@dataclass(frozen=True)
class Raises(Base):
    name: ClassVar[str] = "raises"
    def recipe(self, sparsity):
        raise ZeroDivisionError("oops")

@hookimpl
def prunebench_strategies():
    early = [CompactEarly, CompactWeights, RewindFirst, Empty, ShuffleLast, PermuteThenPrune]
    return [*early, Raises, Numbers, NoScore, TooMuch, TooLittle]
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("compact-early", "goes on after Compact"),
        ("too-little", "at sparsity 0.5 prunes to 0.05"),
        ("compact-weights", "compacts single weights"),
        ("rewind-first", "rewinds to 0.1 of a training that it has not had"),
        ("empty", "no list of phases"),
        ("numbers", "no list of phases"),
        ("no-score", "has no score"),
        ("too-much", "sparsity 2.0 is outside"),
        ("shuffle-last", "ends in Shuffle"),
        ("permute-then-prune", "goes on with Prune after PermuteLayers"),
        ("raises", "'raises' has no recipe at 0.5: ZeroDivisionError: oops"),
    ],
)
def test_an_invalid_recipe_is_an_error_that_names_the_strategy(name, message, tmp_path):
    file = tmp_path / "bad.py"
    file.write_text(BAD_PLUGIN)
    with pytest.raises(PrunebenchError, match=message) as caught:
        Method(name, Registry([file])).steps(0.5)
    assert name in str(caught.value)
