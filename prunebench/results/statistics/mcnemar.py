"""McNemar's exact test of two runs on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class McNemar:
    """Two runs on the same examples: how many examples both, only A, only B and neither predict correctly, and p."""

    both: int
    only_a: int
    only_b: int
    neither: int
    p: float


def mcnemar(right_a: Sequence[bool], right_b: Sequence[bool]) -> McNemar:
    """McNemar's exact test (1947): of the examples that only one run predicts correctly, half should be A's.

    It compares these two runs on examples like these. Comparing two methods takes several seeds. Raises `ValueError`
    if the sequences differ in length.
    """
    from scipy.special import bdtr

    counts = {pair: 0 for pair in ((True, True), (True, False), (False, True), (False, False))}
    for a, b in zip(right_a, right_b, strict=True):
        counts[bool(a), bool(b)] += 1
    both, only_a, only_b, neither = counts.values()
    p = min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5))) if only_a + only_b else 1.0
    return McNemar(both, only_a, only_b, neither, p)
