"""Controls: another method's recipe up to its last mask, and then something that takes its idea away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from prunebench import PermuteLayers, Phase, Reinit, Rewind, Shuffle, Train


@dataclass(frozen=True)
class RandomPruning:
    """A random mask with as many weights as the controlled method's in each matrix (or in all), and θ0.

    `counts` is "layer" for the counts of every matrix, or "global" for the count of all of them together.
    """

    name: ClassVar[str] = "random-pruning"

    of: str = "imp"
    counts: Literal["layer", "global"] = "layer"

    def tail(self) -> list[Phase]:
        return [Shuffle(self.counts), Rewind(), Train()]


@dataclass(frozen=True)
class RandomReinit:
    """The controlled method's mask, and weights drawn anew, embeddings included (θ0′ of Chen et al. 2020).

    With `counts` the mask is shuffled as well, in each matrix ("layer") or over all ("global"); by default it stays.
    """

    name: ClassVar[str] = "random-reinit"

    of: str = "imp"
    counts: Literal["kept", "layer", "global"] = "kept"

    def tail(self) -> list[Phase]:
        return [*([] if self.counts == "kept" else [Shuffle(self.counts)]), Reinit(), Train()]


@dataclass(frozen=True)
class LayerShuffle:
    """The controlled method's mask, and θ0 with its layers in another order (θ0″ of Chen et al. 2020)."""

    name: ClassVar[str] = "layer-shuffle"

    of: str = "imp"

    def tail(self) -> list[Phase]:
        return [Rewind(), PermuteLayers(), Train()]


STRATEGIES = [RandomPruning, RandomReinit, LayerShuffle]
