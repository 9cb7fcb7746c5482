"""Which methods cannot be told apart from the best one? Tukey's test over all pairs, with an error for each pair.

The best of several methods is chosen by the same scores that it is compared with the others by, so a test of each
against the best must hold for every pair that could have been chosen. Tukey's honest significant difference (1949)
does: two means differ if they are q·√(V/2) apart, where V is the variance of their difference, and q the studentized
range of all methods.

V is the crossed variance of the pair's differences (see `crossed`), over seeds and examples, or that over seeds alone
where the values of examples are not known. Its part over seeds has seeds − 1 degrees of freedom, so `moderation` lets
pairs share it as far as they are alike. An error that is shared can hide a pair that varies more, so the pair's own
error must confirm each difference: it takes the place of a smaller shared one, and its paired t test must reject too.
Both tests of three methods or more are made at half of the level that is stated, because sharing is not exact: with
spreads that differ by a factor of three, false ranks would be 8 % in place of 5 %.

An average over tasks has the variance Σ V / T² and the degrees of freedom of Satterthwaite, because seeds of different
tasks have nothing in common but their number.

An example: three methods with three seeds, whose differences all have the variance 2 over seeds. V is 2/3, with
(3 − 1)·(3 − 1) shared degrees of freedom. Two means differ if they are 6.24·√(1/3) = 3.60 apart, and by more than
the 6.21·√(2/3) = 5.07 of the own t test of the pair.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prunebench.results.statistics.crossed import LEAST_SHARE
from prunebench.results.statistics.examples import ExampleValues
from prunebench.results.statistics.moderation import moderate
from prunebench.results.statistics.summary import TOLERANCE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Values = Mapping[int, float]
ALPHA = 0.05
# Fewer common seeds tell nothing apart.
MIN_SEEDS = 3
# Quantiles of the deviation by which the studentized range is averaged.
QUANTILES = 5_000
# Studentized ranges are computed for degrees of freedom that are this factor apart, up to LARGEST, and interpolated.
STEP, LARGEST = 1.1, 5_000.0
TEST = (
    f"Tukey's test over all pairs of methods at {ALPHA}, with an error for each pair, shared as far as pairs are alike"
)


@dataclass(frozen=True)
class TaskScores:
    """The scores of methods on one task by seed, greater is better, and the least deviation of one that is believed.

    `examples` are the values of examples in these scores, of the methods that have them.
    """

    values: Mapping[str, Values]
    floor: float = 0.0
    examples: Mapping[str, ExampleValues] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Separation:
    """The means of methods over their common seeds.

    `distances`, shape (methods, methods), says from which distance on two of them differ, in the order of `means`.
    """

    means: Mapping[str, float]
    distances: Array

    @property
    def best(self) -> str:
        """The method with the highest mean, the first of them by name."""
        return max(sorted(self.means), key=self.means.__getitem__)

    def distance(self, one: str, other: str) -> float:
        """From which distance on these two differ."""
        order = list(self.means)
        return float(self.distances[order.index(one), order.index(other)])

    def ranks(self) -> dict[str, int]:
        """The rank of each method: 1 + the number of methods that are certainly better."""
        import numpy as np

        means = np.array(list(self.means.values()))
        ahead = means[None, :] - means[:, None]
        better = (ahead >= self.distances) & (ahead > TOLERANCE)
        return dict(zip(self.means, (1 + better.sum(axis=1)).tolist(), strict=True))

    def inseparable(self, delta: float = math.inf) -> set[str]:
        """The methods that are not certainly worse than the best one, and less than `delta` behind it."""
        best, top = self.best, self.means[self.best]
        return {
            method
            for method, mean in self.means.items()
            if mean == top or top - mean < min(self.distance(best, method), delta)
        }


@dataclass(frozen=True, eq=False)
class _Errors:
    """The means of methods on a task, and for each pair two variances of its difference with degrees of freedom.

    Pairs are in the order of `numpy.triu_indices`.
    """

    means: Array
    shared: tuple[Array, Array]
    own: tuple[Array, Array]


def separate(tasks: Sequence[TaskScores], alpha: float = ALPHA) -> Separation | None:
    """Compare methods by their scores on each task, over the seeds that all methods have there.

    Each task has the same methods. None for fewer than two methods, or three common seeds of a task.
    """
    import numpy as np
    from scipy.special import stdtrit

    errors = [_errors(task) for task in tasks]
    parts = [each for each in errors if each is not None]
    if not parts or len(parts) < len(errors):
        return None
    methods = list(tasks[0].values)
    shared, own = (_average([getattr(part, name) for part in parts]) for name in ("shared", "own"))
    # Errors that pairs share are estimates: see the table of false ranks in tests/bench/README.md.
    level = alpha / 2 if len(methods) > 2 else alpha
    quantiles = _studentized_ranges(len(methods), shared[1], level) / math.sqrt(2)
    pairs = np.maximum(
        quantiles * np.sqrt(np.maximum(shared[0], own[0])), stdtrit(own[1], 1 - level / 2) * np.sqrt(own[0])
    )
    distances = np.zeros((len(methods), len(methods)))
    distances[np.triu_indices(len(methods), 1)] = pairs
    means = np.mean([part.means for part in parts], axis=0).tolist()
    return Separation(dict(zip(methods, means, strict=True)), distances + distances.T)


def _average(parts: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The variances of averages over independent tasks, with Satterthwaite's degrees of freedom."""
    import numpy as np

    variances, degrees = (np.array(each) for each in zip(*parts, strict=True))
    total = variances.sum(axis=0)
    spread = (variances**2 / degrees).sum(axis=0)
    freedom = np.divide(total**2, spread, out=degrees.sum(axis=0), where=spread > 0)
    return np.asarray(total / len(parts) ** 2), np.asarray(freedom)


def _errors(task: TaskScores) -> _Errors | None:
    import numpy as np

    values = task.values
    seeds = sorted(set.intersection(*map(set, values.values()))) if values else []
    if len(values) < 2 or len(seeds) < MIN_SEEDS:
        return None
    scores = np.array([[by_seed[seed] for seed in seeds] for by_seed in values.values()])
    tables = [task.examples[method].table(seeds) if method in task.examples else None for method in values]
    blocks = {task.examples[method].blocks for method in values if method in task.examples}
    known = [table for table in tables if table is not None]
    together = np.array(known) if len(known) == len(tables) and len(blocks) == 1 else None
    # Differences have twice the variance of a score.
    floor = 2 * task.floor**2
    over_seeds = np.maximum(_pair_squares(scores) / (len(seeds) - 1), floor)
    degrees = (len(values) - 1) * (len(seeds) - 1)
    if together is None:
        pooled, freedom = moderate(over_seeds, len(seeds) - 1, degrees)
        shared, own = (pooled, freedom), (over_seeds, np.full(len(over_seeds), len(seeds) - 1.0))
        return _Errors(scores.mean(axis=1), *((variance / len(seeds), each) for variance, each in (shared, own)))
    examples = together.shape[2]
    by_example = together.mean(axis=1)
    residual = (
        together - together.mean(axis=2, keepdims=True) - by_example[:, None] + together.mean((1, 2))[:, None, None]
    )
    # Mean squares as those of a seed's mean.
    over_examples = _pair_squares(by_example) * len(seeds) / (examples - 1) / examples
    rest_degrees = (len(seeds) - 1) * (examples - 1)
    rest = _pair_squares(residual.reshape(len(values), -1), centre=False) / rest_degrees / examples
    least = np.maximum(rest, floor) + TOLERANCE**2
    # A pair that disagrees on more examples varies more over seeds too; what pairs may share is the ratio of both.
    ratio, freedom = moderate(np.maximum(over_seeds, TOLERANCE**2) / least, len(seeds) - 1, degrees)
    both = []
    for squares, own_degrees in ((ratio * least, freedom), (over_seeds, np.full(len(over_seeds), len(seeds) - 1.0))):
        total = np.maximum(squares + over_examples - rest, np.maximum(squares, over_examples))
        credible = np.maximum(squares, LEAST_SHARE * rest)
        spread = credible**2 / own_degrees + over_examples**2 / (examples - 1) + rest**2 / rest_degrees
        freedoms = np.divide(total**2, spread, out=np.full(len(total), float(degrees)), where=spread > 0)
        both.append((total / len(seeds), np.maximum(freedoms, 1.0)))
    return _Errors(scores.mean(axis=1), *both)


def _pair_squares(table: Array, centre: bool = True) -> Array:
    """For each pair of rows, the sum of squares of their difference around its mean, shape (pairs,)."""
    import numpy as np

    centred = table - table.mean(axis=1, keepdims=True) if centre else table
    products: Array = centred @ centred.T
    one, other = np.triu_indices(len(table), 1)
    squares = np.diag(products)
    return np.asarray(np.maximum(squares[one] + squares[other] - 2 * products[one, other], 0.0))


def _studentized_ranges(methods: int, degrees: Array, alpha: float) -> Array:
    """The quantiles for many degrees of freedom, interpolated between those of a geometric grid (to 0.2 %)."""
    import numpy as np

    steps = np.log(np.clip(degrees, 1.0, LARGEST)) / math.log(STEP)
    nodes = np.unique([np.floor(steps), np.floor(steps) + 1]).tolist()
    quantiles = [math.log(studentized_range(methods, STEP**node, alpha)) for node in nodes]
    return np.asarray(np.exp(np.interp(steps, nodes, quantiles)))


@functools.cache
def studentized_range(methods: int, degrees: float, alpha: float = ALPHA) -> float:
    """The 1 − α quantile of the range of so many normal values over an independent estimate s of their deviation.

    It solves ∫ P(range ≤ q·s) dP(s) = 1 − α by bisection, where degrees·s² is χ². The integral is a mean over the
    quantiles of s. scipy's quantile is the same to three digits and takes ten times as long, which is felt on pages:
    averages over tasks have other degrees of freedom each time.
    """
    import numpy as np
    from scipy.special import chdtri

    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    deviations = np.sqrt(chdtri(degrees, 1 - shares) / degrees)
    limits, probabilities = _range_probabilities(methods)
    low, high = 0.0, float(limits[-1]) / float(deviations[0])
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        probability = np.interp(middle * deviations, limits, probabilities).mean()
        low, high = (middle, high) if probability < 1 - alpha else (low, middle)
    return high


@functools.cache
def _range_probabilities(methods: int) -> tuple[np.ndarray, np.ndarray]:
    """P(range of so many standard normal values ≤ q) = k ∫ φ(z)·(Φ(z) − Φ(z − q))^(k − 1) dz on a grid of q."""
    import numpy as np
    from scipy.special import ndtr

    z = np.linspace(-8, 8, 801)
    limits = np.linspace(0, 16, 1601)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    between = ndtr(z) - ndtr(z - limits[:, None])
    return limits, methods * np.trapezoid(density * between ** (methods - 1), z, axis=1)
