"""Is a pruned model as good as the dense one? Four criteria under their own names, because papers mix them up.

A "winning ticket" needs more than a matching score: a model that matches by the `strict` criterion and was trained
from θ0 (Frankle & Carbin 2019, Chen et al. 2020).

An example with three seeds. The dense model scores 0.60, 0.62 and 0.64 (mean 0.62, std 0.02). A pruned model that
scores 0.595, 0.615 and 0.635 is 0.005 worse on every seed. It is neither `strict` nor `each-seed`; it is `one-std`,
because 0.615 ≥ 0.62 − 0.02, and `non-inferior` at δ = 0.01, because the interval of its differences is above −0.01.
"""

from __future__ import annotations

from collections.abc import Mapping

from prunebench.results.statistics.summary import TOLERANCE, Interval, differences, interval, summarise

STRICT, EACH_SEED, ONE_STD, NON_INFERIOR = "strict", "each-seed", "one-std", "non-inferior"

CRITERIA: dict[str, str] = {
    STRICT: "The mean over the seeds is at least the mean of the dense runs of the same seeds. A method exactly as "
    "good as dense passes at one level with a probability of about 1/2.",
    EACH_SEED: "Every seed is at least as good as the dense run of that seed. A method exactly as good as dense passes "
    "at one level with a probability of about 1/2 for each seed: 1/8 for three, 1/32 for five.",
    ONE_STD: "The mean over the seeds is at least the dense mean minus one sample standard deviation (ddof = 1) of "
    "the dense runs of the same seeds (the relaxation of Chen et al. 2020).",
    NON_INFERIOR: "The lower limit of the paired two-sided 95 % t interval of method − dense lies above −δ. By "
    "default δ is one point.",
}
# The default δ, for scores from 0 to 1: one point of a hundred.
DELTA = 0.01

Values = Mapping[int, float]
Levels = Mapping[float, tuple[Values, Values] | tuple[Values, Values, Interval | None]]


def matches(
    values: Values, dense: Values, delta: float = DELTA, limits: Interval | None = None
) -> dict[str, bool | None]:
    """Whether `values` match `dense` by each criterion, over the seeds in both.

    Both map seeds to scores, greater is better; `delta` is the loss that non-inferiority allows, and `limits` the
    interval of the difference over seeds and examples, where it is known; otherwise it is that over seeds. A criterion
    is None if it cannot be computed: all of them without a common seed, and those that need a deviation or an interval
    with a single one. If all differences are equal, their interval is that number.
    """
    by_seed = differences(values, dense)
    if not by_seed:
        return dict.fromkeys(CRITERIA)
    difference = summarise(by_seed.values())
    spread = summarise(dense[seed] for seed in by_seed).std
    limits = limits or interval(difference)
    return {
        STRICT: difference.mean >= -TOLERANCE,
        EACH_SEED: difference.minimum >= -TOLERANCE,
        ONE_STD: None if spread is None else difference.mean >= -spread - TOLERANCE,
        NON_INFERIOR: None if limits is None else limits.low > -delta + TOLERANCE,
    }


def largest_matching(levels: Levels, delta: float = DELTA) -> dict[str, float | None]:
    """The largest sparsity up to which every level matches, by criterion, or None if the lowest one does not.

    `levels` holds the arguments `values`, `dense` and perhaps `limits` of `matches` for each sparsity.

    Going up and stopping at the first failure gives a method one chance to fail at each level; the largest of all
    levels that match would give a method that is worse everywhere a chance to be lucky once at each. A level whose
    criterion cannot be computed does not match. Sparsity 0, which prunes nothing, is left out.
    """
    by_level = {
        level: matches(levels[level][0], levels[level][1], delta, *levels[level][2:])
        for level in sorted(levels)
        if level > 0
    }
    largest: dict[str, float | None] = {}
    for name in CRITERIA:
        largest[name] = None
        for level, matched in by_level.items():
            if not matched[name]:
                break
            largest[name] = level
    return largest
