"""Controls: the recipe of another method up to its last mask, and after it the same with one change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from prunebench import PermuteLayers, Phase, Reinit, Rewind, Shuffle, Train


def training(rest: Sequence[Phase]) -> list[Phase]:
    """The phases of the method after its mask, or a training of θ0 if the method does not train there."""
    return list(rest) if any(phase.trains for phase in rest) else [Rewind(), Train()]


@dataclass(frozen=True)
class RandomPruning:
    """A random mask with the counts of the controlled method in each matrix (or overall), trained in the same way.

    `counts` is "layer" to keep the number of units in every matrix, or "global" to keep only their total number.
    """

    name: ClassVar[str] = "random-pruning"

    of: str = "imp"
    counts: Literal["layer", "global"] = "layer"

    def tail(self, rest: Sequence[Phase]) -> list[Phase]:
        return [Shuffle(self.counts), *training(rest)]


@dataclass(frozen=True)
class RandomReinit:
    """The mask of the controlled method with re-initialised weights, embeddings included (θ0′ of Chen et al. 2020).

    `counts` is "kept" for the mask itself, or "layer" or "global" to shuffle it too, as `random-pruning` does.
    """

    name: ClassVar[str] = "random-reinit"

    of: str = "imp"
    counts: Literal["kept", "layer", "global"] = "kept"

    def tail(self, rest: Sequence[Phase]) -> list[Phase]:
        shuffle = [] if self.counts == "kept" else [Shuffle(self.counts)]
        return [*shuffle, Reinit(), *(phase for phase in training(rest) if not phase.sets_weights)]


@dataclass(frozen=True)
class LayerShuffle:
    """The mask of the controlled method on θ0 with its layers in random order (θ0″ of Chen et al. 2020)."""

    name: ClassVar[str] = "layer-shuffle"

    of: str = "imp"

    def tail(self, rest: Sequence[Phase]) -> list[Phase]:
        return [Rewind(), PermuteLayers(), *(phase for phase in training(rest) if not phase.sets_weights)]


STRATEGIES = [RandomPruning, RandomReinit, LayerShuffle]
