"""The data classes of a comparison. Every output format is rendered from one `Report`.

Differences are always the first method minus the second, A − B. Scores are fractions; pages print them × 100.
"""

from __future__ import annotations

from dataclasses import dataclass

from prunebench.results.rows import Row
from prunebench.results.statistics.comparison import Comparison, McNemar
from prunebench.results.statistics.ranks import Ranking


@dataclass(frozen=True)
class Condition:
    """What two methods are compared on: one metric of one evaluation of a task, at one sparsity."""

    task: str
    benchmark: str
    split: str
    evaluation: str
    metric: str
    sparsity: float


@dataclass(frozen=True)
class SeedComparison:
    """A − B under one condition, paired by seed.

    `pairs` holds the rows of the seeds that both methods have; `unpaired_seeds` lists the seeds of only one of them.
    """

    a: str
    b: str
    condition: Condition
    mean_a: float
    mean_b: float
    comparison: Comparison
    unpaired_seeds: tuple[int, ...]
    pairs: tuple[tuple[Row, Row], ...]

    @property
    def same_trainings(self) -> bool:
        """Whether A and B read their scores from the same records, as IMP at sparsity 0 and dense do."""
        return all(a.cell.key == b.cell.key for a, b in self.pairs)


@dataclass(frozen=True)
class TaskComparison:
    """A − B at one sparsity, paired by task. The score of a task is its mean over metrics, then over seeds.

    `splits` names every split that some score was measured on.
    """

    a: str
    b: str
    splits: tuple[str, ...]
    sparsity: float
    comparison: Comparison


@dataclass(frozen=True)
class TaskRanking:
    """All methods ranked over tasks at one sparsity. `splits` is as in `TaskComparison`."""

    splits: tuple[str, ...]
    sparsity: float
    ranking: Ranking


@dataclass(frozen=True)
class ExampleComparison:
    """Two runs of one seed on the same examples, with McNemar's test; `holm` is its corrected p."""

    a: str
    b: str
    condition: Condition
    seed: int
    counts: McNemar
    holm: float


@dataclass(frozen=True)
class Report:
    """Everything that a page prints.

    `interval` is the kind of the intervals over seeds, `T` or `BOOTSTRAP`. `warnings` lists what may make a number
    wrong, `notes` what was left out and why. `verification` says of the results of a bundle whether and how they were
    verified; it is "" for those of a store.
    """

    methods: tuple[str, ...]
    reference: str | None
    interval: str
    setting: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    over_seeds: tuple[SeedComparison, ...]
    over_tasks: tuple[TaskComparison, ...]
    rankings: tuple[TaskRanking, ...]
    over_examples: tuple[ExampleComparison, ...] = ()
    verification: str = ""

    @property
    def tests(self) -> int:
        """The number of comparisons over seeds that have a t test; Holm's correction is for all of them."""
        return sum(entry.comparison.p.t is not None for entry in self.over_seeds)
