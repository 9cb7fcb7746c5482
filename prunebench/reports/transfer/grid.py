"""The result of a transfer: for each mask and target the score of every seed, and how good that is.

A mask is compared with the dense model of the target, and with the target's own mask: the one found on the target
itself. Differences are paired by seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prunebench.planning.transfer import THETA0, Question
from prunebench.results.rows import Row, sort_key
from prunebench.results.statistics import Summary, paired_difference, summarise
from prunebench.results.statistics.matching import CRITERIA, DELTA, matches
from prunebench.store.schema import Cell

# A value for each seed.
Values = Mapping[int, float]
# The column of a task's score: the mean of all its metrics on all its evaluations, as GLUE averages.
SCORE = "score"
DENSE = "dense"


@dataclass(frozen=True)
class Scores:
    """The scores of one mask, or of the dense model, on one target.

    `values` has the columns `score` and each metric. `gaps` gives the status of each seed that lacks a value, such as
    "missing". `degenerate` holds the seeds for whose predictions some metric is undefined and counts as 0.
    """

    values: Mapping[str, Values]
    gaps: Mapping[int, str]
    degenerate: frozenset[int]

    def summary(self, column: str = SCORE) -> Summary | None:
        """The summary over all seeds, or None without any."""
        numbers = self.values[column].values()
        return summarise(numbers) if numbers else None

    def difference(self, other: Scores, column: str = SCORE) -> Summary | None:
        """The summary of self − other over the seeds that both have, or None without any."""
        return paired_difference(self.values[column], other.values[column])


@dataclass(frozen=True)
class Target:
    """A task that masks are trained on, with its dense runs. `majority` is the score of the most frequent class."""

    cell: Cell
    columns: tuple[str, ...]
    dense: Scores
    majority: float | None

    @property
    def name(self) -> str:
        return self.cell.task

    @property
    def title(self) -> str:
        """The name with the split that scores are measured on, as in leaderboards."""
        return f"{self.name} ({self.cell.split})"


@dataclass(frozen=True)
class Grid:
    """The whole result.

    `scores` is by mask and target, where a mask is named after its task or its control. `delta` is the loss that a
    non-inferior mask may have, as a fraction of the score. `verification` says of a bundle whether it was verified.
    """

    question: Question
    method: str
    unit: str
    seeds: tuple[int, ...]
    controls: tuple[str, ...]
    targets: tuple[Target, ...]
    scores: Mapping[tuple[str, str], Scores]
    rows: Sequence[Row]
    delta: float = DELTA
    verification: str = ""

    @property
    def masks(self) -> tuple[str, ...]:
        """The names of all masks, controls last."""
        return (*self.question.masks, *self.controls)

    @property
    def universal_candidates(self) -> tuple[str, ...]:
        """The masks that are the same on every target: those of the sources, and the one of θ0 alone."""
        return (*self.question.sources, *(control for control in self.controls if control == THETA0))

    def matches_dense(self, mask: str, target: Target) -> dict[str, bool | None]:
        """Whether a mask is as good as the dense model, by each criterion; None if that is unknown."""
        return self._matches(mask, target, target.dense)

    def matches_own(self, mask: str, target: Target) -> dict[str, bool | None]:
        """Whether a mask is as good as the target's own mask, by each criterion; None if that is unknown."""
        return self._matches(mask, target, self.scores.get((target.name, target.name)))

    def _matches(self, mask: str, target: Target, other: Scores | None) -> dict[str, bool | None]:
        scores = self.scores.get((mask, target.name))
        if scores is None or other is None:
            return dict.fromkeys(CRITERIA)
        return matches(scores.values[SCORE], other.values[SCORE], self.delta)

    def universal_counts(self, mask: str) -> dict[str, tuple[int, int]]:
        """By criterion, on how many other targets a mask is as good as their own masks, and for how many it is known.

        A mask is universal if both numbers are equal and no target is unknown: "at least as good as" the task's own
        subnetwork, on every task (Chen et al. 2020, section 4.1).
        """
        others = [self.matches_own(mask, target) for target in self.targets if target.name != mask]
        return {
            name: (sum(bool(match[name]) for match in others), sum(match[name] is not None for match in others))
            for name in CRITERIA
        }


def build(rows: Iterable[Row], question: Question, delta: float = DELTA) -> Grid:
    """The grid of one transfer, from the rows of its cells in any order."""
    rows = sorted(rows, key=sort_key)
    by_cell: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_cell.setdefault((row.cell.mask_from or DENSE, row.cell.task), []).append(row)
    transfers = [row.cell for row in rows if row.cell.mask_from]
    names = dict.fromkeys(cell.mask_from for cell in transfers)
    return Grid(
        question=question,
        method=str(transfers[0].options["of"]),
        unit=transfers[0].unit,
        seeds=tuple(sorted({row.cell.seed for row in rows})),
        controls=tuple(sorted(name for name in names if name not in question.masks)),
        targets=tuple(_target(by_cell[DENSE, name]) for name in question.targets),
        scores={key: _scores(of_cell) for key, of_cell in by_cell.items() if key[0] != DENSE},
        rows=rows,
        delta=delta,
    )


def _target(rows: Sequence[Row]) -> Target:
    """The target of these dense rows."""
    metrics = list(dict.fromkeys(map(_column, rows)))
    majority = {_column(row): row.majority for row in rows if row.majority is not None}
    score = math.fsum(majority.values()) / len(majority) if len(majority) == len(metrics) else None
    return Target(rows[0].cell, (SCORE, *(metrics if len(metrics) > 1 else ())), _scores(rows), score)


def _column(row: Row) -> str:
    return f"{row.metric} {row.cell.suffix(row.evaluation)}".strip()


def _scores(rows: Sequence[Row]) -> Scores:
    columns = list(dict.fromkeys(map(_column, rows)))
    values: dict[str, dict[int, float]] = {SCORE: {}, **{column: {} for column in columns}}
    gaps: dict[int, str] = {}
    for seed in sorted({row.cell.seed for row in rows}):
        of_seed = {_column(row): row.value for row in rows if row.cell.seed == seed and row.value is not None}
        for column, value in of_seed.items():
            values[column][seed] = value
        if len(of_seed) == len(columns):
            values[SCORE][seed] = math.fsum(of_seed.values()) / len(of_seed)
        else:
            gaps[seed] = next(row.status for row in rows if row.cell.seed == seed and row.value is None)
    return Scores(values, gaps, frozenset(row.cell.seed for row in rows if row.degenerate))
