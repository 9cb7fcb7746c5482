"""Is a pruned model as good as the dense one? Four criteria by name, side by side, because papers mix them up.

"Winning ticket" is a word for one of them only: `strict` matching by a model that was trained from θ0 (Frankle &
Carbin 2019, Chen et al. 2020), see `is_winning_ticket`.
"""

from __future__ import annotations

from collections.abc import Mapping

from prunebench.results.statistics.summary import NOTHING, differences, interval, summarise

STRICT, EACH_SEED, ONE_STD, NON_INFERIOR = "strict", "each-seed", "one-std", "non-inferior"

CRITERIA: dict[str, str] = {
    STRICT: "The mean over the seeds is at least the mean of the dense runs of the same seeds.",
    EACH_SEED: "Every seed is at least as good as the dense run of that seed.",
    ONE_STD: "The mean is at least the mean less one sample standard deviation (ddof = 1) of the dense runs of the "
    "same seeds, which is the relaxation of Chen et al. 2020.",
    NON_INFERIOR: "The lower limit of the paired two-sided 95 % t interval of method − dense lies above −δ, where δ is "
    "one point unless another is named.",
}
# In scores from 0 to 1: one point of a hundred.
DELTA = 0.01

Values = Mapping[int, float]


def matches(values: Values, dense: Values, delta: float = DELTA) -> dict[str, bool | None]:
    """Whether `values` match `dense` by each criterion, over the seeds that both have.

    Both are scores by seed, greater is better; `delta` is the loss that non-inferiority allows. None where it cannot
    be said: with no common seed, and with a single one where a deviation or an interval is asked for. The interval of
    differences that are all equal is that one number.
    """
    found = differences(values, dense)
    if not found:
        return dict.fromkeys(CRITERIA)
    loss = summarise(found.values())
    spread = summarise(dense[seed] for seed in found).std
    between = interval(loss)
    return {
        STRICT: loss.mean >= -NOTHING,
        EACH_SEED: loss.minimum >= -NOTHING,
        ONE_STD: None if spread is None else loss.mean >= -spread - NOTHING,
        NON_INFERIOR: None if between is None else between.low > -delta + NOTHING,
    }


def largest(levels: Mapping[float, Values], dense: Values, delta: float = DELTA) -> dict[str, float | None]:
    """The largest sparsity of `levels` that matches by each criterion, or None where none does.

    It is the largest one even where a smaller one does not match, as in the papers; `failing_below` names those. A
    level where a criterion cannot be told does not match, and neither does 0, which prunes nothing.
    """
    found = _by_level(levels, dense, delta)
    return {name: max((level for level in found if found[level][name]), default=None) for name in CRITERIA}


def failing_below(levels: Mapping[float, Values], dense: Values, delta: float = DELTA) -> dict[str, tuple[float, ...]]:
    """The sparsities below the `largest` that do not match by each criterion: there the claim has a hole."""
    found = _by_level(levels, dense, delta)
    top = largest(levels, dense, delta)
    return {
        name: tuple(level for level in sorted(found) if level < (top[name] or 0) and not found[level][name])
        for name in CRITERIA
    }


def _by_level(levels: Mapping[float, Values], dense: Values, delta: float) -> dict[float, dict[str, bool | None]]:
    return {level: matches(values, dense, delta) for level, values in levels.items() if level > 0}


def is_winning_ticket(values: Values, dense: Values, from_theta0: bool) -> bool:
    """Whether a pruned model is a winning ticket: `strict` matching, and trained from θ0 with its mask fixed before.

    `from_theta0` is what `phases.trains_from_theta0` says of its recipe, and `Outcome.from_theta0` of its record.
    """
    return from_theta0 and bool(matches(values, dense)[STRICT])
