"""What a page consists of: sections of tracks of levels of lines of scores. Every format is rendered from it.

Torch-free. Imports `results` and `stats`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prunebench.reports.leaderboard.published import Paper
from prunebench.results.rows import Outcome, Row
from prunebench.results.statistics import Summary, T
from prunebench.results.statistics.matching import DELTA
from prunebench.results.statistics.ranks import Ranking as Ranks

RETAINED, SCORE, RANK = "retained", "score", "rank"


@dataclass(frozen=True)
class Options:
    """What a person chooses of a page: the rule of its ranking, the loss that non-inferiority allows (from 0 to 1),
    the papers whose tables stand beside the results, and how intervals of means are made."""

    rank_by: str = RETAINED
    delta: float = DELTA
    published: tuple[Paper, ...] = ()
    interval: str = T


@dataclass(frozen=True)
class Score:
    """One metric of a line: every seed's value, their summary, and the paired difference to the dense runs.

    `dense` are the values of the dense runs of the same seeds and the same setting.
    `best`: of the complete lines at this sparsity it has the highest mean, or cannot be told from the one that has.
    """

    values: Mapping[int, float]
    summary: Summary | None
    difference: Summary | None
    degenerate: frozenset[int] = frozenset()
    best: bool = False
    dense: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """A method at a sparsity, with a score for each column of its section.

    `gaps` say in a few words what is missing, `reasons` in whole sentences why. A line with gaps is shown, and never
    marked as the best. `absent` are the seeds without a full set of values.
    """

    label: str
    scores: tuple[Score, ...]
    gaps: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    absent: frozenset[int] = frozenset()
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True)
class Level:
    """All methods of a track at one sparsity."""

    sparsity: float
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Match:
    """The largest sparsities at which a method is as good as dense by one metric, by criterion (`stats.matching`).

    `holes` are smaller sparsities that do not match. `ticket` is the largest sparsity that matches strictly with a
    subnetwork of θ0; `ticketed` is whether the method trains any such, and None for an average of tasks.
    """

    label: str
    column: str
    largest: Mapping[str, float | None]
    holes: Mapping[str, tuple[float, ...]]
    ticketed: bool | None
    ticket: float | None


@dataclass(frozen=True)
class Track:
    """The structured or the unstructured methods; `about` states what their sparsity is a fraction of."""

    name: str
    about: tuple[str, ...]
    levels: tuple[Level, ...]
    matching: tuple[Match, ...] = ()


@dataclass(frozen=True)
class Section:
    """A task, or an average of tasks: the columns are its evaluations and metrics."""

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


@dataclass(frozen=True)
class Place:
    """A method in a ranking at a sparsity: every seed's value of what is ranked by, and its rank, or what it lacks."""

    label: str
    values: Mapping[int, float]
    summary: Summary | None
    rank: int | None
    tied: bool = False
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """The places at one sparsity, the first first; `across` ranks the methods over tasks."""

    sparsity: float
    places: tuple[Place, ...]
    across: Ranks


@dataclass(frozen=True)
class Ranking:
    """The methods of a track, ranked over tasks of one benchmark by the rule of that name.

    `majority` is what the most frequent class would have; `notes` say what is left out, and why.
    """

    title: str
    track: str
    rule: str
    tasks: tuple[str, ...]
    majority: float | None
    standings: tuple[Standing, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """An entry of the reporting checklist: `held` is True, False, or None for a part of it."""

    what: str
    held: bool | None
    found: str


@dataclass(frozen=True)
class Method:
    """What a label on the page stands for."""

    label: str
    unit: str
    control_of: str | None
    doc: str
    options: Mapping[str, object]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """All that is printed, and the rows that it derives from."""

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
