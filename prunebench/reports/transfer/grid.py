"""What a transfer gave: for each mask and each target the scores of every seed, beside dense and the target's own mask.

Torch-free. Imports `results` and `stats`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prunebench.planning.transfer import THETA0, Question
from prunebench.results.rows import Row, order
from prunebench.results.statistics import Summary, paired, summarise
from prunebench.results.statistics.matching import CRITERIA, DELTA, matches
from prunebench.store.schema import Cell

Values = Mapping[int, float]
# A task's score: the mean of all its metrics on all its evaluations, as GLUE averages.
SCORE = "score"
DENSE = "dense"


@dataclass(frozen=True)
class Scores:
    """A mask on a target, or the dense model there: by column (`score`, and each metric) a value for each seed.

    `gaps` says for each seed without a full set of values why; `degenerate` are the seeds for whose predictions some
    metric is undefined and counts as 0.
    """

    values: Mapping[str, Values]
    gaps: Mapping[int, str]
    degenerate: frozenset[int]

    def summary(self, column: str = SCORE) -> Summary | None:
        numbers = self.values[column].values()
        return summarise(numbers) if numbers else None

    def difference(self, other: Scores, column: str = SCORE) -> Summary | None:
        """To `other`, over the seeds that both have."""
        return paired(self.values[column], other.values[column])


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
        """As leaderboards call it: with the split that its scores are from."""
        return f"{self.name} ({self.cell.split})"


@dataclass(frozen=True)
class Grid:
    """All of it: `scores` by mask and target, a mask being called by its task or its control.

    `delta` is the loss that a non-inferior mask may have, as a fraction of the score.
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

    @property
    def masks(self) -> tuple[str, ...]:
        return (*self.question.masks, *self.controls)

    @property
    def travelling(self) -> tuple[str, ...]:
        """The masks that are the same wherever they are trained: those of the sources, and that of θ0 alone."""
        return (*self.question.sources, *(control for control in self.controls if control == THETA0))

    def matching(self, mask: str, target: Target) -> dict[str, bool | None]:
        """Whether a mask is as good as the dense model there, by each criterion; None where that cannot be said."""
        return self._as_good(mask, target.name, target.dense)

    def as_own(self, mask: str, target: Target) -> dict[str, bool | None]:
        """Whether a mask is as good as the target's own mask, by each criterion."""
        return self._as_good(mask, target.name, self.scores.get((target.name, target.name)))

    def _as_good(self, mask: str, target: str, other: Scores | None) -> dict[str, bool | None]:
        found = self.scores.get((mask, target))
        if found is None or other is None:
            return dict.fromkeys(CRITERIA)
        return matches(found.values[SCORE], other.values[SCORE], self.delta)

    def universal(self, mask: str) -> dict[str, tuple[int, int]]:
        """On how many of the other targets a mask is as good as the target's own, and of how many that can be said.

        Universal is a mask for which the two are equal, and no target is left out (Chen et al. 2020, section 4.1: "at
        least as good as" the task's own subnetwork, on every task).
        """
        others = [self.as_own(mask, target) for target in self.targets if target.name != mask]
        return {
            name: (sum(bool(said[name]) for said in others), sum(said[name] is not None for said in others))
            for name in CRITERIA
        }


def build(rows: Iterable[Row], question: Question, delta: float = DELTA) -> Grid:
    """The grid of the cells of one transfer, from their rows in the long table, whose order does not matter."""
    rows = sorted(rows, key=order)
    by_cell: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_cell.setdefault((row.cell.mask_from or DENSE, row.cell.task), []).append(row)
    targets = tuple(_target(by_cell[DENSE, name]) for name in question.targets)
    moved = [row.cell for row in rows if row.cell.mask_from]
    known = dict.fromkeys(cell.mask_from for cell in moved)
    return Grid(
        question=question,
        method=str(moved[0].options["of"]),
        unit=moved[0].unit,
        seeds=tuple(sorted({row.cell.seed for row in rows})),
        controls=tuple(sorted(name for name in known if name not in question.masks)),
        targets=targets,
        scores={key: _scores(found) for key, found in by_cell.items() if key[0] != DENSE},
        rows=rows,
        delta=delta,
    )


def _target(rows: Sequence[Row]) -> Target:
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
        found = {_column(row): row.value for row in rows if row.cell.seed == seed and row.value is not None}
        for column, value in found.items():
            values[column][seed] = value
        if len(found) == len(columns):
            values[SCORE][seed] = math.fsum(found.values()) / len(found)
        else:
            gaps[seed] = next(row.status for row in rows if row.cell.seed == seed and row.value is None)
    return Scores(values, gaps, frozenset(row.cell.seed for row in rows if row.degenerate))
