"""What share of the dense model's score is retained: a ratio of means, above chance, with its own error.

(score − majority) / (dense − majority): the majority class has learnt nothing, and retains nothing. A mean of ratios by
seed would be dominated by the seeds whose dense run is weak; a ratio of means is not. Its variance is that of a linear
function of both means (the delta method), so it can be had from a value for each seed,

    r + ((score_s − majority) − r·(dense_s − majority)) / (dense − majority)

whose mean is the ratio r, and whose spread is its uncertainty. Each example has such a value too.

An example: scores 0.7 and 0.8, dense 0.8 and 0.9, majority 0.5. The ratio is 0.25 / 0.35 = 71 %, and the seeds have
71 % + (0.2 − 71 %·0.3) / 0.35 = 67 % and 76 %.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from prunebench.results.statistics.crossed import Estimate, over_seeds
from prunebench.results.statistics.examples import ExampleValues

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Values = Mapping[int, float]


def retained_by_seed(values: Values, dense: Values, majority: float = 0.0) -> dict[int, float]:
    """The value of each seed in both, sorted by seed; their mean is the share of `dense` above `majority` retained.

    Empty where the dense mean is not above the majority class: there is nothing to retain.
    """
    seeds = sorted(values.keys() & dense.keys())
    if not seeds:
        return {}
    reference = math.fsum(dense[seed] - majority for seed in seeds) / len(seeds)
    if reference <= 0:
        return {}
    ratio = math.fsum(values[seed] - majority for seed in seeds) / len(seeds) / reference
    return {seed: ratio + (values[seed] - majority - ratio * (dense[seed] - majority)) / reference for seed in seeds}


def retained_by_example(
    values: ExampleValues, dense: ExampleValues, majority: NDArray[np.floating] | float, seeds: Collection[int]
) -> ExampleValues | None:
    """The same for each example of these seeds; `majority` are the values of the majority class, shape (examples,).

    None where the values of some seed are not known, or where the dense mean is not above the majority class.
    """
    table, reference = values.table(seeds), dense.table(seeds)
    if table is None or reference is None or values.blocks != dense.blocks:
        return None
    table, reference = table - majority, reference - majority
    learnt = float(reference.mean())
    if learnt <= 0:
        return None
    ratio = float(table.mean()) / learnt
    by_seed = ratio + (table - ratio * reference) / learnt
    return ExampleValues(dict(zip(seeds, by_seed, strict=True)), values.blocks)


def retained(values: Values, dense: Values, majority: float = 0.0) -> Estimate | None:
    """The share retained with its error over seeds. None for fewer than two common seeds, or if nothing was learnt."""
    by_seed = retained_by_seed(values, dense, majority)
    return over_seeds([*by_seed.values()]) if by_seed else None
