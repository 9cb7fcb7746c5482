"""What a page consists of: sections of tracks of levels of lines of scores. Every format is rendered from it.

Torch-free. Imports `results` and `stats`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prunebench.results import Outcome, Row
from prunebench.stats import Summary


@dataclass(frozen=True)
class Score:
    """One metric of a line: every seed's value, their summary, and the paired difference to the dense runs."""

    values: Mapping[int, float]
    summary: Summary | None
    difference: Summary | None
    degenerate: frozenset[int] = frozenset()
    best: bool = False


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
class Track:
    """The structured or the unstructured methods; `about` states what their sparsity is a fraction of."""

    name: str
    about: tuple[str, ...]
    levels: tuple[Level, ...]


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
