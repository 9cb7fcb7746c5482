"""The schema of results.json as pydantic models, and reading such a file.

Scores are fractions from 0 to 1; unknown values are null. FORMAT is raised by every change that a reader of the file
must know about.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from prunebench.errors import PrunebenchError
from prunebench.reports.leaderboard.published import Paper
from prunebench.results.export import RowEntry
from prunebench.store.schema import Setting

FORMAT = 4


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MethodEntry(_Strict):
    """A method; `unsupported` says of sparsities why it has no model there."""

    label: str
    unit: str
    control_of: str | None
    doc: str
    options: dict[str, Any]
    sources: list[str]
    unsupported: dict[str, str]
    reference: bool
    teacher: str


class SummaryEntry(_Strict):
    """Summary of a sample; `std` is the sample standard deviation (ddof = 1)."""

    n: int
    mean: float
    std: float | None
    minimum: float
    maximum: float
    median: float


class IntervalEntry(_Strict):
    """The 95 % interval of a mean, of the kind named in `Results.interval`."""

    low: float
    high: float


class ErrorEntry(_Strict):
    """The error of a mean over seeds and examples, its degrees of freedom, and the 95 % t interval."""

    error: float
    degrees: float
    low: float
    high: float


class DifferenceEntry(_Strict):
    """A mean difference with its 95 % interval, over seeds and examples where these are known."""

    mean: float
    low: float | None
    high: float | None


class BaselineEntry(_Strict):
    """The dense model in one metric: against the majority class, trained twice, and as papers report it.

    `learnt` says whether it beats the majority class for certain, and `loss` is the final training loss as a share of
    the entropy of the labels.
    """

    task: str
    column: str
    mean: float | None
    majority: float | None
    above: DifferenceEntry | None
    learnt: bool
    loss: float | None
    twice: DifferenceEntry | None
    published: dict[str, float]


class PlaceEntry(_Strict):
    """A method in a ranking.

    `values` (by seed) and `summary` hold the numbers that methods are ranked by. `rank` is null for a method that is
    not ranked; `gaps` says why. `of_dense` is the score retained of dense, and `of_equal` the score retained of the
    dense run of equal training, where every seed has one. `crossed` is null where labels or predictions were not known.
    Files of earlier versions lack these three.
    """

    label: str
    rank: int | None
    tied: bool
    values: dict[str, float]
    summary: SummaryEntry | None
    gaps: list[str]
    of_dense: SummaryEntry | None = None
    of_equal: SummaryEntry | None = None
    crossed: ErrorEntry | None = None


class AcrossEntry(_Strict):
    """Average ranks over tasks, Friedman's test and Nemenyi's critical difference; null if there is no test."""

    tasks: list[str]
    ranks: dict[str, float]
    groups: list[list[str]]
    chi2: float | None
    p: float | None
    critical_difference: float | None
    reason: str


class StandingEntry(_Strict):
    sparsity: float
    places: list[PlaceEntry]
    across: AcrossEntry


class RankingEntry(_Strict):
    title: str
    track: str
    rule: str
    tasks: list[str]
    majority: float | None
    notes: list[str]
    standings: list[StandingEntry]


class MatchEntry(_Strict):
    """The largest matching sparsity by criterion, and the largest winning ticket.

    `trains_from_theta0` is null for an average over tasks.
    """

    section: str
    track: str
    label: str
    column: str
    largest: dict[str, float | None]
    trains_from_theta0: bool | None
    winning_ticket: float | None


class CheckEntry(_Strict):
    """An entry of the reporting checklist: the question, whether it is met (null: in part), and details."""

    what: str
    held: bool | None
    found: str


class ScoreEntry(_Strict):
    """One metric (or the average) of a method at a sparsity: the value of each seed, and statistics of them.

    `best` marks the highest mean at the sparsity, `close` a mean that cannot be told apart from it and is less than δ
    behind. `difference` is from the dense run of the same seed, `difference_equal` from the one of equal training.
    `interval`s are over seeds, and the errors `crossed…` over seeds and examples; null where labels or predictions were
    not known.
    """

    section: str
    task: str
    column: str
    track: str | None
    sparsity: float
    label: str
    n: int
    mean: float | None
    std: float | None
    minimum: float | None
    maximum: float | None
    median: float | None
    interval: IntervalEntry | None
    values: dict[str, float]
    degenerate_seeds: list[int]
    best: bool
    close: bool
    difference: SummaryEntry | None
    difference_interval: IntervalEntry | None
    difference_equal: SummaryEntry | None
    difference_equal_interval: IntervalEntry | None
    crossed: ErrorEntry | None = None
    crossed_difference: ErrorEntry | None = None
    crossed_difference_equal: ErrorEntry | None = None
    crossed_above_majority: ErrorEntry | None = None
    majority: float | None
    gaps: list[str]
    reasons: list[str]


class Results(_Strict):
    """The whole file; `verification` says whether the bundle of the results was verified, and is "" for a store."""

    format: Literal[4]
    suites: list[str]
    verification: str
    setting: dict[str, str]
    tasks: dict[str, list[Setting]]
    warnings: list[str]
    commands: list[str]
    methods: list[MethodEntry]
    rank_by: str
    delta: float
    interval: Literal["t", "bootstrap"]
    baselines: list[BaselineEntry] = []
    ranking: list[RankingEntry]
    matching: list[MatchEntry]
    checklist: list[CheckEntry]
    published: list[Paper]
    summary: list[ScoreEntry]
    rows: list[RowEntry]


def read(path: Path) -> Results:
    """Read a file written by `prunebench leaderboard`.

    Raises `PrunebenchError` if the file cannot be read, has another format, or does not fit the schema.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PrunebenchError(f"cannot read {str(path)!r}: {(error.strerror or str(error)).lower()}") from None
    except ValueError:
        raise PrunebenchError(f"{str(path)!r} is not JSON") from None
    version = data.get("format") if isinstance(data, dict) else None
    if version != FORMAT:
        raise PrunebenchError(
            f"{str(path)!r} has format {version!r}, expected {FORMAT}",
            "`prunebench leaderboard` writes it again from the store",
        )
    try:
        return Results.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        location = ".".join(map(str, first["loc"]))
        message = f"{str(path)!r} does not fit format {FORMAT}: {location}: {first['msg'].lower()}"
        raise PrunebenchError(message) from None
