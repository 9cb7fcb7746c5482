"""Controls: another method's recipe up to its last mask, and then one thing otherwise than that method has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from prunebench import PermuteLayers, Phase, Reinit, Rewind, Shuffle, Train


def training(rest: Sequence[Phase]) -> list[Phase]:
    """What a control does after its mask: what the method does, or, where that only stops, a training from θ0."""
    return list(rest) if any(isinstance(phase, Train) for phase in rest) else [Rewind(), Train()]


@dataclass(frozen=True)
class RandomPruning:
    """A random mask with as many units as the controlled method's in each matrix (or in all), trained as it trains.

    `counts` is "layer" for the counts of every matrix, or "global" for the count of all of them together.
    """

    name: ClassVar[str] = "random-pruning"

    of: str = "imp"
    counts: Literal["layer", "global"] = "layer"

    def tail(self, rest: Sequence[Phase]) -> list[Phase]:
        return [Shuffle(self.counts), *training(rest)]


@dataclass(frozen=True)
class RandomReinit:
    """The controlled method's mask, and weights drawn anew, embeddings included (θ0′ of Chen et al. 2020).

    With `counts` the mask is shuffled as well, in each matrix ("layer") or over all ("global"); by default it stays.
    """

    name: ClassVar[str] = "random-reinit"

    of: str = "imp"
    counts: Literal["kept", "layer", "global"] = "kept"

    def tail(self, rest: Sequence[Phase]) -> list[Phase]:
        shuffle = [] if self.counts == "kept" else [Shuffle(self.counts)]
        return [*shuffle, Reinit(), *(phase for phase in training(rest) if not isinstance(phase, Rewind))]


@dataclass(frozen=True)
class LayerShuffle:
    """The controlled method's mask, and θ0 with its layers in another order (θ0″ of Chen et al. 2020)."""

    name: ClassVar[str] = "layer-shuffle"

    of: str = "imp"

    def tail(self, rest: Sequence[Phase]) -> list[Phase]:
        after = (phase for phase in training(rest) if not isinstance(phase, Rewind))
        return [Rewind(), PermuteLayers(), *after]


STRATEGIES = [RandomPruning, RandomReinit, LayerShuffle]
