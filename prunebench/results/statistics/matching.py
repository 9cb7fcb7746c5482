"""Is a pruned model as good as the dense one? Four criteria under their own names, because papers mix them up.

A "winning ticket" needs more than a matching score: a model that matches by the `strict` criterion and was trained
from θ0 (Frankle & Carbin 2019, Chen et al. 2020). See `is_winning_ticket`.

An example with three seeds. The dense model scores 0.60, 0.62 and 0.64 (mean 0.62, std 0.02). A pruned model that
scores 0.595, 0.615 and 0.635 is 0.005 worse on every seed. It is neither `strict` nor `each-seed`; it is `one-std`,
because 0.615 ≥ 0.62 − 0.02, and `non-inferior` at δ = 0.01, because the interval of its differences is above −0.01.
"""

from __future__ import annotations

from collections.abc import Mapping

from prunebench.results.statistics.summary import TOLERANCE, differences, interval, summarise

STRICT, EACH_SEED, ONE_STD, NON_INFERIOR = "strict", "each-seed", "one-std", "non-inferior"

CRITERIA: dict[str, str] = {
    STRICT: "The mean over the seeds is at least the mean of the dense runs of the same seeds.",
    EACH_SEED: "Every seed is at least as good as the dense run of that seed.",
    ONE_STD: "The mean over the seeds is at least the dense mean minus one sample standard deviation (ddof = 1) of "
    "the dense runs of the same seeds (the relaxation of Chen et al. 2020).",
    NON_INFERIOR: "The lower limit of the paired two-sided 95 % t interval of method − dense lies above −δ. By "
    "default δ is one point.",
}
# The default δ, for scores from 0 to 1: one point of a hundred.
DELTA = 0.01

Values = Mapping[int, float]
Levels = Mapping[float, tuple[Values, Values]]


def matches(values: Values, dense: Values, delta: float = DELTA) -> dict[str, bool | None]:
    """Whether `values` match `dense` by each criterion, over the seeds in both.

    Both map seeds to scores, greater is better; `delta` is the loss that non-inferiority allows. A criterion is None
    if it cannot be computed: all of them without a common seed, and those that need a deviation or an interval with a
    single one. If all differences are equal, their interval is that number.
    """
    by_seed = differences(values, dense)
    if not by_seed:
        return dict.fromkeys(CRITERIA)
    difference = summarise(by_seed.values())
    spread = summarise(dense[seed] for seed in by_seed).std
    limits = interval(difference)
    return {
        STRICT: difference.mean >= -TOLERANCE,
        EACH_SEED: difference.minimum >= -TOLERANCE,
        ONE_STD: None if spread is None else difference.mean >= -spread - TOLERANCE,
        NON_INFERIOR: None if limits is None else limits.low > -delta + TOLERANCE,
    }


def largest_matching(levels: Levels, delta: float = DELTA) -> dict[str, float | None]:
    """The largest sparsity in `levels` that matches by each criterion, or None if none does.

    `levels` holds the arguments `values` and `dense` of `matches` for each sparsity. Smaller sparsities need not match,
    as in the papers; `failing_below` lists those that do not. A level whose criterion cannot be computed does not
    match, and neither does sparsity 0, which prunes nothing.
    """
    by_level = _by_level(levels, delta)
    return {name: max((level for level in by_level if by_level[level][name]), default=None) for name in CRITERIA}


def failing_below(levels: Levels, delta: float = DELTA) -> dict[str, tuple[float, ...]]:
    """The sparsities below `largest_matching` that do not match, by criterion: exceptions to the claim."""
    by_level = _by_level(levels, delta)
    largest = largest_matching(levels, delta)
    return {
        name: tuple(level for level in sorted(by_level) if level < (largest[name] or 0) and not by_level[level][name])
        for name in CRITERIA
    }


def _by_level(levels: Levels, delta: float) -> dict[float, dict[str, bool | None]]:
    return {level: matches(values, dense, delta) for level, (values, dense) in levels.items() if level > 0}


def is_winning_ticket(values: Values, dense: Values, from_theta0: bool) -> bool:
    """Whether a pruned model is a winning ticket: it matches strictly, and was trained from θ0 under a fixed mask.

    `from_theta0` comes from `phases.trains_from_theta0` for a recipe, or `Outcome.from_theta0` for a record.
    """
    return from_theta0 and bool(matches(values, dense)[STRICT])
