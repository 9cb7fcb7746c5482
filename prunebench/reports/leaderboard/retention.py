"""The score that every method retains, beside what is left of the model and what that cost.

The charts of the HTML page and `prunebench.reports.figures` draw from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from prunebench.reports.leaderboard.averages import benchmark_groups
from prunebench.reports.leaderboard.ranking import retained_scores
from prunebench.reports.leaderboard.report import Page, Placement, Section
from prunebench.reports.leaderboard.speed import Speed, measured_speed
from prunebench.results.rows import Outcome


@dataclass(frozen=True)
class Retention:
    """A method at a sparsity: the score it retains, and the records of all tasks and seeds that this averages.

    Shares, counts, steps and seconds are means over those records, and None if any record
    lacks the value. Seconds are also None unless the whole section was measured on one kind of hardware, because
    methods could not be compared otherwise.
    """

    track: str
    sparsity: float
    place: Placement
    outcomes: tuple[Outcome, ...]
    one_hardware: bool

    @property
    def share(self) -> float | None:
        """The share of the model's parameters that is left."""
        return self._mean(lambda outcome: outcome.parameters_left / outcome.parameters_total)

    @property
    def parameters(self) -> float | None:
        return self._mean(lambda outcome: outcome.parameters_left)

    @property
    def flops(self) -> float | None:
        """FLOPs of the scored model, as a share of the dense model's."""
        return self._mean(lambda outcome: outcome.flops.scored / outcome.flops.dense if outcome.flops else None)

    @property
    def flops_skipping_zeros(self) -> float | None:
        """The same if everything that is pruned were skipped."""
        return self._mean(lambda outcome: outcome.flops.skipping_zeros / outcome.flops.dense if outcome.flops else None)

    @property
    def encoder(self) -> float | None:
        """The share of the encoder's weights that are zero or removed."""
        return self._mean(lambda outcome: outcome.encoder_after)

    @property
    def steps(self) -> float | None:
        """Optimiser steps to find the mask and to train."""
        return self._mean(lambda outcome: _sum(outcome.find.steps, outcome.train.steps))

    @property
    def seconds(self) -> float | None:
        if not self.one_hardware:
            return None
        return self._mean(lambda outcome: _sum(outcome.find.seconds, outcome.train.seconds))

    @property
    def speed(self) -> Speed | None:
        """How many examples per second the scored model predicts, if that is known to a tenth."""
        return measured_speed(self.outcomes)

    def _mean(self, value: Callable[[Outcome], float | None]) -> float | None:
        known = [amount for outcome in self.outcomes if (amount := value(outcome)) is not None]
        return fmean(known) if known and len(known) == len(self.outcomes) else None


def _sum(find: float | None, train: float | None) -> float | None:
    return None if find is None or train is None else find + train


def sections_with_tasks(page: Page) -> list[tuple[Section, list[Section]]]:
    """The averages and the tasks of a page, each with the tasks that it averages (a task: itself)."""
    groups = [group for _, group in benchmark_groups(page.sections) if len(group) > 1]
    return [*zip(page.averages, groups, strict=True), *((section, [section]) for section in page.sections)]


def retention_points(section: Section, group: Sequence[Section]) -> list[Retention]:
    """Every method at every sparsity of a section that averages the tasks of `group`."""
    outcomes: dict[tuple[str, float, str], list[Outcome]] = {}
    for task in group:
        for track in task.tracks:
            for level in track.levels:
                for line in level.lines:
                    outcomes.setdefault((track.name, level.sparsity, line.label), []).extend(line.outcomes)
    every = [outcome for group_outcomes in outcomes.values() for outcome in group_outcomes]
    hardware = frozenset[str]().union(*(outcome.find.hardware | outcome.train.hardware for outcome in every))
    return [
        Retention(track, sparsity, place, tuple(outcomes.get((track, sparsity, place.label), ())), len(hardware) <= 1)
        for track, sparsity, place in retained_scores(section, group)
    ]
