"""How many units each part of a model loses: densities by the sizes of matrices, and integers with an exact sum."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from prunebench.errors import PrunebenchError


def erk_densities(shapes: Mapping[str, tuple[int, ...]], sparsity: float) -> dict[str, float]:
    """The fraction of weights that stays in each matrix, by the Erdős–Rényi kernel (Evci et al. 2020, section 3).

    A matrix of n_in inputs and n_out outputs has density ε·(n_in + n_out)/(n_in·n_out), with one ε for all, such that
    the fraction `sparsity` of all weights goes. A matrix whose density would exceed 1 stays dense, and ε grows for the
    others.
    """
    dense: set[str] = set()
    while True:
        others = [name for name in shapes if name not in dense]
        weights = (1 - sparsity) * sum(map(math.prod, shapes.values())) - sum(math.prod(shapes[name]) for name in dense)
        # density · weights of a matrix = ε·(n_in + n_out)
        epsilon = weights / max(1, sum(sum(shapes[name]) for name in others))
        densities = {name: epsilon * sum(shapes[name]) / math.prod(shapes[name]) for name in others}
        above = {name for name in others if densities[name] > 1}
        if not above:
            return {name: densities.get(name, 1.0) for name in shapes}
        dense |= above


def apportion(quotas: ArrayLike, lower: ArrayLike, upper: ArrayLike, total: int) -> np.ndarray:
    """Integers that sum to `total`, each within its bounds and close to its quota (the largest remainders round up).

    All arguments but `total` have shape (parts,), and so has the result. The first of equal remainders round up.
    Quotas outside the bounds are first moved to them. If the sum then differs from `total` by 1 or more, each quota
    moves the same fraction of its way to the lower bound, or to the upper one. Example, with 4 too many in the first
    part, which the others make up for:

    >>> apportion([5, 5, 5], [9, 0, 0], [10, 10, 10], 15).tolist()
    [9, 3, 3]

    Raises PrunebenchError if the bounds do not allow `total`.
    """
    least, most = np.asarray(lower, dtype=np.int64), np.asarray(upper, dtype=np.int64)
    if not least.sum() <= total <= most.sum():
        raise PrunebenchError(f"cannot prune to {total} units: {least.sum()} of {most.sum()} are pruned already")
    goals = np.clip(np.asarray(quotas, dtype=np.float64), least, most)
    missing = total - goals.sum()
    # Sums of rounded counts differ by less than 1 from sums of quotas. They must not move any part.
    if abs(missing) >= 1:
        limits = most if missing > 0 else least
        goals = np.clip(goals + missing / (limits.sum() - goals.sum()) * (limits - goals), least, most)
    counts = np.floor(goals).astype(np.int64)
    order = np.argsort(counts - goals, kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts
