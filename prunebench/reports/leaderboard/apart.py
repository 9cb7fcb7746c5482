"""Which methods can be told apart: paired t tests over common seeds, corrected by Holm. Imports `stats`.

Fewer than three common seeds tell nothing. A difference that is the same for every seed has no spread for a t test, and
counts as certain: a table that marks 71 as good as 84 helps nobody.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from prunebench.results.statistics import Summary, summarise
from prunebench.results.statistics.comparison import ALPHA, LEAST_PAIRS, holm, t_p
from prunebench.results.statistics.ranks import DECIMALS

Values = Mapping[int, float]

RULE = f"paired two-sided t test over the common seeds, p < {ALPHA} after Holm's correction"


def places(values: Mapping[str, Values]) -> dict[str, int]:
    """The tied rank of every method: 1 + the number of methods that are better for certain (greater is better).

    The tests of all pairs are one family.
    """
    pairs = list(itertools.combinations(values, 2))
    worse = dict.fromkeys(values, 0)
    for (a, b), sign in zip(pairs, _signs((values[a], values[b]) for a, b in pairs), strict=True):
        if sign:
            worse[b if sign > 0 else a] += 1
    return {method: 1 + number for method, number in worse.items()}


def as_good_as_best(values: Mapping[str, Values]) -> set[str]:
    """The method of the highest mean, and all that cannot be told from it: none where no test is possible.

    The tests against the best are one family.
    """
    if len(values) < 2 or len(set.intersection(*map(set, values.values()))) < LEAST_PAIRS:
        return set()
    best = max(sorted(values), key=lambda method: summarise(values[method].values()).mean)
    others = [method for method in values if method != best]
    signs = _signs((values[best], values[method]) for method in others)
    return {best, *(method for method, sign in zip(others, signs, strict=True) if sign <= 0)}


def _signs(pairs: Iterable[tuple[Values, Values]]) -> list[int]:
    """For every pair 1 where the first is better for certain, −1 where the second is, and else 0."""
    found = [_differences(a, b) for a, b in pairs]
    p = holm([None if summary is None else _p(summary) for summary in found])
    return [
        (1 if summary.mean > 0 else -1) if summary is not None and value is not None and value < ALPHA else 0
        for summary, value in zip(found, p, strict=True)
    ]


def _p(summary: Summary) -> float:
    p = t_p(summary)
    return 0.0 if p is None else p


def _differences(a: Values, b: Values) -> Summary | None:
    common = sorted(a.keys() & b.keys())
    if len(common) < LEAST_PAIRS:
        return None
    # Scores are ratios of small whole numbers: differences that are equal must stay so.
    return summarise(round(a[seed] - b[seed], DECIMALS) + 0.0 for seed in common)
