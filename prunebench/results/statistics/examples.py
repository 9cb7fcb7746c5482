"""The value of each example in a score, for each seed: what errors over examples are computed from.

In accuracy the value is 1 for a right prediction, or else 0; in other metrics it is the jackknife's pseudo-value.
Values of several metrics of one evaluation are averaged example by example. Several evaluations, such as MNLI's two,
are put one after the other, each weighted so that the mean of all values is the mean of the evaluations' means.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunebench.results.statistics.crossed import Estimate, crossed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ExampleValues:
    """Arrays of shape (examples,) by seed, whose mean is the score of the seed.

    `blocks` names the evaluations of the examples in their order, each with its number of values.
    """

    by_seed: Mapping[int, NDArray[np.floating]]
    blocks: tuple[tuple[str, int], ...]

    def table(self, seeds: Collection[int]) -> NDArray[np.float64] | None:
        """The values of these seeds, shape (seeds, examples); None if one of them has none."""
        import numpy as np

        if not seeds or not self.by_seed.keys() >= set(seeds):
            return None
        return np.stack([self.by_seed[seed] for seed in seeds]).astype(np.float64)

    def estimate(self, seeds: Collection[int], floor: float = 0.0) -> Estimate | None:
        """The mean over these seeds with its error over seeds and examples."""
        table = self.table(seeds)
        return None if table is None else crossed(table, floor)

    def difference(self, other: ExampleValues, seeds: Collection[int], floor: float = 0.0) -> Estimate | None:
        """The mean of this − other over these seeds, with its error over seeds and examples."""
        table, reference = self.table(seeds), other.table(seeds)
        if table is None or reference is None or self.blocks != other.blocks:
            return None
        return crossed(table - reference, floor)


def mean_of_columns(columns: Sequence[ExampleValues | None]) -> ExampleValues | None:
    """The values of the mean of several scores of one task, over the seeds that all have; None if one has no values."""
    import numpy as np

    known = [column for column in columns if column is not None]
    if not known or len(known) < len(columns):
        return None
    if len(known) == 1:
        return known[0]
    seeds = sorted(set.intersection(*(set(column.by_seed) for column in known)))
    by_evaluation: dict[str, list[ExampleValues]] = {}
    for column in known:
        by_evaluation.setdefault(column.blocks[0][0], []).append(column)
    blocks = tuple(group[0].blocks[0] for group in by_evaluation.values())
    # Values of groups cannot be averaged with values of examples.
    if not seeds or any(column.blocks != group[0].blocks for group in by_evaluation.values() for column in group):
        return None
    parts = [
        np.mean([[column.by_seed[seed] for seed in seeds] for column in group], axis=0)
        for group in by_evaluation.values()
    ]
    joined = _join(parts, [len(group) / len(known) for group in by_evaluation.values()])
    return ExampleValues(dict(zip(seeds, joined, strict=True)), blocks)


def _join(parts: Sequence[NDArray[np.floating]], shares: Sequence[float]) -> NDArray[np.floating]:
    """Tables of shape (seeds, examples) side by side. A seed's mean is the sum of the parts' means times their shares.

    Only the deviations from the mean of a part are weighted, because a weighted mean would look like a spread.
    """
    import numpy as np

    total = sum(part.shape[1] for part in parts)
    middle = sum(share * part.mean() for share, part in zip(shares, parts, strict=True))
    return np.concatenate(
        [
            share * total / part.shape[1] * (part - part.mean()) + middle
            for share, part in zip(shares, parts, strict=True)
        ],
        axis=1,
    )
