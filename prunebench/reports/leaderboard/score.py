"""A score of a page: one metric of a method at a sparsity, its differences from dense runs, and its errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prunebench.reports.render.formatting import cut, limits
from prunebench.results.statistics import Interval, Summary
from prunebench.results.statistics.crossed import Estimate
from prunebench.results.statistics.examples import ExampleValues

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Crossed:
    """Means with their errors over seeds and examples; None where the values of examples are not known.

    score: of the score itself.
    difference: of the difference from dense.
    difference_equal: of the difference from dense of equal training.
    above: of the difference from the majority class.
    """

    score: Estimate | None = None
    difference: Estimate | None = None
    difference_equal: Estimate | None = None
    above: Estimate | None = None


@dataclass(frozen=True, eq=False)
class ScoreExamples:
    """The values of examples in the scores of a line, of its dense runs, and of the majority class, shape (values,)."""

    own: ExampleValues
    dense: ExampleValues | None
    equal: ExampleValues | None
    majority: np.ndarray | None


@dataclass(frozen=True)
class Part:
    """What an average over tasks takes from one task; the fields are those of `Score`."""

    values: Mapping[int, float]
    floor: float = 0.0
    examples: ScoreExamples | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Score:
    """One metric of a line.

    values: the score of each seed.
    difference: summary of the paired differences from the dense runs.
    degenerate: the seeds whose predictions leave the metric undefined; it counts as 0.
    best: whether this is the highest mean of the complete lines at this sparsity.
    close: whether it cannot be told apart from the highest, and is less than the δ of the page behind it.
    dense: the scores of the dense runs with the same seeds and the same setting.
    equal: the same, of the dense runs that were trained as long as the line's models.
    difference_equal: summary of the paired differences from these.
    floor: the least standard deviation of a difference that is believed, by the rounding of one example.
    parts: for an average over tasks, the values and the floor of each.
    examples: the values of examples in the scores; None where labels or predictions are not known.
    crossed: the errors over seeds and examples.
    lowest: the least value that the metric has, below which no interval is shown.
    """

    values: Mapping[int, float]
    summary: Summary | None
    difference: Summary | None
    degenerate: frozenset[int] = frozenset()
    best: bool = False
    close: bool = False
    dense: Mapping[int, float] = field(default_factory=dict)
    equal: Mapping[int, float] = field(default_factory=dict)
    difference_equal: Summary | None = None
    floor: float = 0.0
    parts: Mapping[str, Part] = field(default_factory=dict)
    examples: ScoreExamples | None = field(default=None, repr=False, compare=False)
    crossed: Crossed = Crossed()
    lowest: float = -math.inf

    @property
    def bounds(self) -> Interval | None:
        """The interval over seeds, cut to what the metric can be; None where it would be a point."""
        return cut(limits(self.summary), self.lowest)

    @property
    def crossed_bounds(self) -> Interval | None:
        """The interval over seeds and examples, cut in the same way; None where it is not known."""
        return cut(self.crossed.score.interval(), self.lowest) if self.crossed.score else None

    @property
    def reference(self) -> Mapping[int, float]:
        """The dense scores that criteria compare with: `equal` if every seed has one, otherwise `dense`."""
        return self.equal if self.equal and self.values.keys() <= self.equal.keys() else self.dense
