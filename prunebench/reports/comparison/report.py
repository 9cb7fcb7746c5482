"""What a comparison consists of. Every format is rendered from it. Imports `results` and `stats`."""

from __future__ import annotations

from dataclasses import dataclass

from prunebench.results.rows import Row
from prunebench.results.statistics.comparison import Comparison, McNemar
from prunebench.results.statistics.ranks import Ranking


@dataclass(frozen=True)
class Place:
    """Where two methods were compared: on a task, at a sparsity, by one metric of one evaluation."""

    task: str
    benchmark: str
    split: str
    evaluation: str
    metric: str
    sparsity: float


@dataclass(frozen=True)
class Measured:
    """A − B over the seeds that both have. `left_out` are seeds that only one of them has; `pairs` are the rows."""

    a: str
    b: str
    place: Place
    mean_a: float
    mean_b: float
    comparison: Comparison
    left_out: tuple[int, ...]
    pairs: tuple[tuple[Row, Row], ...]


@dataclass(frozen=True)
class Across:
    """A − B over tasks at a sparsity: the pairs are tasks, and their scores means over metrics and seeds.

    `splits` are those that the scores are of, on whichever task.
    """

    a: str
    b: str
    splits: tuple[str, ...]
    sparsity: float
    comparison: Comparison


@dataclass(frozen=True)
class Ranked:
    """All methods over tasks at a sparsity. `splits` are those that the scores are of."""

    splits: tuple[str, ...]
    sparsity: float
    ranking: Ranking


@dataclass(frozen=True)
class Examples:
    """Two runs of one seed on the same examples."""

    a: str
    b: str
    place: Place
    seed: int
    counts: McNemar
    holm: float


@dataclass(frozen=True)
class Report:
    """All that is printed. `notes` say what was left out, `warnings` what may make a number untrue.

    `interval` is the kind of the intervals over seeds, T or BOOTSTRAP.
    """

    methods: tuple[str, ...]
    reference: str | None
    interval: str
    setting: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    measured: tuple[Measured, ...]
    across: tuple[Across, ...]
    ranked: tuple[Ranked, ...]
    examples: tuple[Examples, ...] = ()

    @property
    def tests(self) -> int:
        """How many comparisons over seeds have a test, and are corrected for each other."""
        return sum(found.comparison.p.t is not None for found in self.measured)
