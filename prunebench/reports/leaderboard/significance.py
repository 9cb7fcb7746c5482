"""Which methods can be told apart: paired t tests over common seeds, with Holm's correction.

Methods with fewer than three common seeds cannot be told apart. A difference that is identical for every seed has no
spread for a t test; it counts as significant here, because a table that marks 71 as good as 84 helps nobody.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from prunebench.results.statistics import Summary, summarise
from prunebench.results.statistics.comparison import ALPHA, MIN_PAIRS, holm, t_p
from prunebench.results.statistics.ranks import DECIMALS

Values = Mapping[int, float]

TEST = f"paired two-sided t test over the common seeds, p < {ALPHA} after Holm's correction"


def tied_ranks(values: Mapping[str, Values]) -> dict[str, int]:
    """The rank of each method: 1 + the number of significantly better methods.

    `values[method][seed]` is a score, greater is better. Holm's correction is over all pairs of methods.
    """
    pairs = list(itertools.combinations(values, 2))
    better = dict.fromkeys(values, 0)
    for (a, b), sign in zip(pairs, _signs((values[a], values[b]) for a, b in pairs), strict=True):
        if sign:
            better[b if sign > 0 else a] += 1
    return {method: 1 + number for method, number in better.items()}


def as_good_as_best(values: Mapping[str, Values]) -> set[str]:
    """The method with the highest mean, and all that are not significantly worse; empty if no test is possible.

    Holm's correction is over the tests against the best method.
    """
    if len(values) < 2 or len(set.intersection(*map(set, values.values()))) < MIN_PAIRS:
        return set()
    best = max(sorted(values), key=lambda method: summarise(values[method].values()).mean)
    others = [method for method in values if method != best]
    signs = _signs((values[best], values[method]) for method in others)
    return {best, *(method for method, sign in zip(others, signs, strict=True) if sign <= 0)}


def _signs(pairs: Iterable[tuple[Values, Values]]) -> list[int]:
    """For each pair 1 if the first is significantly better, −1 if the second is, otherwise 0."""
    summaries = [_differences(a, b) for a, b in pairs]
    adjusted = holm([None if summary is None else _p(summary) for summary in summaries])
    return [
        (1 if summary.mean > 0 else -1) if summary is not None and p is not None and p < ALPHA else 0
        for summary, p in zip(summaries, adjusted, strict=True)
    ]


def _p(summary: Summary) -> float:
    p = t_p(summary)
    return 0.0 if p is None else p


def _differences(a: Values, b: Values) -> Summary | None:
    common = sorted(a.keys() & b.keys())
    if len(common) < MIN_PAIRS:
        return None
    # Scores are ratios of small whole numbers. Rounding keeps equal differences equal.
    return summarise(round(a[seed] - b[seed], DECIMALS) + 0.0 for seed in common)
