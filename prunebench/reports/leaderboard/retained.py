"""What every method keeps of the dense runs, beside what is left of the model and what that cost.

Imports `model`, `ranking`, `average` and `results`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from prunebench.reports.leaderboard.average import groups
from prunebench.reports.leaderboard.model import Page, Place, Section
from prunebench.reports.leaderboard.ranking import retained
from prunebench.results.rows import Outcome


@dataclass(frozen=True)
class Kept:
    """A method at a sparsity: what it retains, and the records of all tasks and seeds that this is the mean of.

    Shares, counts, steps, seconds and speed (in examples a second) are means over those records, and None where one
    does not know. Seconds and speed are also None where the section was not all measured on one kind of hardware, so
    that methods cannot be held against each other.
    """

    track: str
    sparsity: float
    place: Place
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
    def steps(self) -> float | None:
        """To find the mask and to train."""
        return self._mean(lambda outcome: _both(outcome.find.steps, outcome.train.steps))

    @property
    def seconds(self) -> float | None:
        if not self.one_hardware:
            return None
        return self._mean(lambda outcome: _both(outcome.find.seconds, outcome.train.seconds))

    @property
    def speed(self) -> float | None:
        """Of the model that is scored, when it predicts."""
        return self._mean(lambda outcome: outcome.speed) if self.one_hardware else None

    def _mean(self, value: Callable[[Outcome], float | None]) -> float | None:
        found = [amount for outcome in self.outcomes if (amount := value(outcome)) is not None]
        return fmean(found) if found and len(found) == len(self.outcomes) else None


def _both(find: float | None, train: float | None) -> float | None:
    return None if find is None or train is None else find + train


def sections(page: Page) -> list[tuple[Section, list[Section]]]:
    """The averages and the tasks of a page, each with the tasks that it is made of."""
    grouped = [group for _, group in groups(page.sections) if len(group) > 1]
    return [*zip(page.averages, grouped, strict=True), *((section, [section]) for section in page.sections)]


def kept(section: Section, group: Sequence[Section]) -> list[Kept]:
    """Every method at every sparsity of a section that is made of the tasks of `group`."""
    outcomes: dict[tuple[str, float, str], list[Outcome]] = {}
    for task in group:
        for track in task.tracks:
            for level in track.levels:
                for line in level.lines:
                    outcomes.setdefault((track.name, level.sparsity, line.label), []).extend(line.outcomes)
    every = [outcome for found in outcomes.values() for outcome in found]
    hardware = frozenset[str]().union(*(outcome.find.hardware | outcome.train.hardware for outcome in every))
    return [
        Kept(track, sparsity, place, tuple(outcomes.get((track, sparsity, place.label), ())), len(hardware) <= 1)
        for track, sparsity, place in retained(section, group)
    ]
