"""The data of a page: sections (tasks) of tracks of levels (sparsities) of lines (methods) of scores (metrics).

Every format is rendered from a `Page`. Scores are fractions from 0 to 1; formats print them × 100.

An example: the section `rte (dev)` has the track `unstructured`, its level 0.5 has the line `imp`, and that line has
one score: the accuracy of each seed, its summary, and its difference from the dense runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prunebench.reports.leaderboard.published import Paper
from prunebench.results.rows import Outcome, Row
from prunebench.results.statistics import Summary, T
from prunebench.results.statistics.matching import DELTA
from prunebench.results.statistics.ranks import Ranking as AverageRanks

RETAINED, RATIO, SCORE, RANK = "retained", "ratio", "score", "rank"


@dataclass(frozen=True)
class Options:
    """The choices of a page.

    rank_by: the rule of the ranking, RETAINED, RATIO, SCORE or RANK.
    delta: the loss that non-inferiority allows, for scores from 0 to 1.
    published: papers whose tables are shown beside the results.
    interval: how confidence intervals of means are computed, a key of `INTERVALS`.
    """

    rank_by: str = RETAINED
    delta: float = DELTA
    published: tuple[Paper, ...] = ()
    interval: str = T


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
    parts: Mapping[str, tuple[Mapping[int, float], float]] = field(default_factory=dict)

    @property
    def reference(self) -> Mapping[int, float]:
        """The dense scores that criteria compare with: `equal` if every seed has one, otherwise `dense`."""
        return self.equal if self.equal and self.values.keys() <= self.equal.keys() else self.dense


@dataclass(frozen=True)
class Line:
    """A method at a sparsity, with a score for each column of its section.

    gaps: what is missing, in a few words each. A line with gaps is shown, but never marked as the best.
    reasons: why it is missing, in full sentences.
    incomplete: the seeds without a full set of values.
    other_model: for a dense run of another model its name, or "".
    """

    label: str
    scores: tuple[Score, ...]
    gaps: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    incomplete: frozenset[int] = frozenset()
    outcomes: tuple[Outcome, ...] = ()
    other_model: str = ""

    @property
    def teacher(self) -> str:
        """The model whose outputs its trainings learned too, "dense", or ""."""
        return next((outcome.teacher for outcome in self.outcomes if outcome.teacher), "")


@dataclass(frozen=True)
class Level:
    """All methods of a track at one sparsity."""

    sparsity: float
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Match:
    """The largest sparsities at which a method matches the dense model in one metric, by criterion.

    The criteria are those of `results.statistics.matching`.

    trains_from_theta0: whether the method trains a subnetwork of θ0 at some sparsity; None for an average of tasks.
    winning_ticket: the largest sparsity that is a winning ticket.
    """

    label: str
    column: str
    largest: Mapping[str, float | None]
    trains_from_theta0: bool | None
    winning_ticket: float | None


@dataclass(frozen=True)
class Track:
    """The structured or the unstructured methods.

    about: what their sparsity is a fraction of.
    unsupported: by method and sparsity, why the method has no model there.
    order: the methods as the ranking orders them, for tables of several sparsities.
    """

    name: str
    about: tuple[str, ...]
    levels: tuple[Level, ...]
    matching: tuple[Match, ...] = ()
    unsupported: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A task, or an average of tasks. Its columns are pairs of an evaluation and a metric.

    learnt: for each column whether the dense model beats the majority class for certain. Where it does not, nothing is
        ranked, marked or called a match: there is nothing that pruning could lose.
    references: dense runs that were trained more or less than once, for methods of equal training, and those of other
        models. They are no methods, and stand below `dense` in all tables.
    """

    name: str
    title: str
    about: tuple[str, ...]
    columns: tuple[str, ...]
    seeds: tuple[int, ...]
    dense: Line
    majority: tuple[float | None, ...]
    tracks: tuple[Track, ...]
    benchmark: str = ""
    split: str = ""
    references: tuple[Line, ...] = ()
    learnt: tuple[bool, ...] = ()

    @property
    def has_equal_training(self) -> bool:
        """Whether there are dense runs of equal training."""
        return any(not line.other_model for line in self.references)


@dataclass(frozen=True)
class Placement:
    """A method in a ranking at one sparsity.

    values: for each seed, the number that methods are ranked by.
    by_task: the same for each task.
    rank: None if the method is not ranked; `gaps` says why.
    tied: whether another method has the same rank.
    of_dense: the score retained of the dense runs; None for other rules.
    of_equal: the same of the dense runs of equal training, which `values` are if every seed has one; otherwise None.
    """

    label: str
    values: Mapping[int, float]
    summary: Summary | None
    rank: int | None
    tied: bool = False
    gaps: tuple[str, ...] = ()
    of_dense: Summary | None = None
    of_equal: Summary | None = None
    by_task: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """The methods at one sparsity, the best first. `across` holds their average ranks over tasks."""

    sparsity: float
    placements: tuple[Placement, ...]
    across: AverageRanks


@dataclass(frozen=True)
class Ranking:
    """The methods of a track, ranked over the tasks of one benchmark.

    rule: RETAINED, RATIO, SCORE or RANK.
    majority: what a model that always predicts the most frequent class would get.
    notes: what is excluded, and why, and which methods had a teacher.
    unsupported: by method and sparsity, why the method has no model there.
    """

    title: str
    track: str
    rule: str
    tasks: tuple[str, ...]
    majority: float | None
    standings: tuple[Standing, ...]
    notes: tuple[str, ...] = ()
    unsupported: Mapping[str, Mapping[float, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """An entry of the reporting checklist. `passed` is None if it is met in part."""

    question: str
    passed: bool | None
    details: str


@dataclass(frozen=True)
class Method:
    """What a label on the page stands for.

    unsupported: why the method has no model of some sparsities.
    reference: whether it is a dense run, which methods are compared with.
    teacher: the model whose outputs its trainings learn too, "dense", or "".
    """

    label: str
    unit: str
    control_of: str | None
    doc: str
    options: Mapping[str, object]
    sources: tuple[str, ...]
    unsupported: Mapping[str, str] = field(default_factory=dict)
    reference: bool = False
    teacher: str = ""


@dataclass(frozen=True)
class Page:
    """Everything that a page prints, and the rows that it is derived from.

    verification: for the results of a bundle, whether and how it was verified; "" for those of a store.
    """

    suites: tuple[str, ...]
    setting: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
    averages: tuple[Section, ...]
    methods: tuple[Method, ...]
    commands: tuple[str, ...]
    rows: tuple[Row, ...] = field(repr=False)
    rankings: tuple[Ranking, ...] = ()
    checklist: tuple[Check, ...] = ()
    options: Options = Options()
    verification: str = ""

    @property
    def has_equal_training(self) -> bool:
        """Whether some section has dense runs of equal training."""
        return any(section.has_equal_training for section in self.sections)
