"""Scores of every method: at one sparsity, at all sparsities, and of every seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prunebench.planning.levels import describe_unsupported
from prunebench.reports.leaderboard.report import Level, Line, Score, Section, Track
from prunebench.reports.leaderboard.tables.columns import split_columns
from prunebench.reports.render.blocks import Bold, Table
from prunebench.reports.render.formatting import DASH, confidence, difference_with_interval, level, points, spread
from prunebench.results.statistics.best import MIN_SEEDS, TEST

DENSE = "dense"
MAJORITY = "majority class"
DEGENERATE = "* For some seed the metric is undefined for the predictions (for example, all one class) and counts as 0."
CLOSE = "≈"
BEST = (
    f"Bold: the highest mean of the complete rows. {CLOSE}: a row that cannot be told apart from it with these seeds "
    f"({TEST}) and is less than δ behind it."
)
NO_BEST = "Nothing is bold: with fewer than three common seeds no rows can be told apart."
NOT_LEARNT = (
    "Nothing is bold: no dense run beats the majority class for certain, so there is nothing that pruning could lose."
)
AT_CHANCE = "Nothing is bold: no row beats the majority class for certain."
SPREAD = ("95 %", "min", "median", "max")

# By method and sparsity, why the method has no model there.
Unsupported = Mapping[str, Mapping[float, str]]


def score_table(section: Section, track: Track, entry: Level) -> Table:
    """For each method and metric: mean ± std (n), paired differences from dense with their intervals, and gaps.

    Where the section has dense runs of equal training, the differences from these have a column too.
    """
    lines = _lines(section, entry)
    differences = ["Δ dense [95 %]", "Δ equal [95 %]"][: 2 if section.has_equal_training else 1]
    width = 1 + len(differences)
    body = [[line.label, *(text for score in line.scores for text in _score(score)[:width])] for line in lines]
    # The difference between dense runs and themselves is meaningless.
    body[0][2::width] = [DASH] * len(section.columns)
    for row in body[: 1 + len(section.references)] if section.references else []:
        row[3::width] = [DASH] * len(section.columns)
    majority = [text for value in section.majority for text in (points(value), *[DASH] * len(differences))]
    body.insert(1 + len(section.references), [MAJORITY, *majority])
    headers = ["method", *(text for column in section.columns for text in (column, *differences))]
    has_notes = any(line.gaps for line in lines)
    if has_notes:
        headers.append("note")
        gaps = [line.gaps for line in lines]
        gaps.insert(1 + len(section.references), ())
        body = [[*row, "; ".join(notes)] for row, notes in zip(body, gaps, strict=True)]
    return Table(
        title=table_title(section, track, f"sparsity {level(entry.sparsity)}"),
        headers=tuple(headers),
        aligns="l" + "r" * width * len(section.columns) + "l" * has_notes,
        body=tuple(map(tuple, body)),
        notes=_notes(lines),
        rule=2 + len(section.references),
        caption=_caption(section, entry),
    )


def table_title(section: Section, track: Track, subject: str) -> str:
    return f"{section.title}, {track.name}, {subject}"


def in_ranking_order(track: Track, labels: Iterable[str]) -> list[str]:
    """The labels of a track as the ranking orders them; the others come last, by name."""
    positions = {label: i for i, label in enumerate(track.order)}
    return sorted(labels, key=lambda label: (positions.get(label, len(positions)), label))


def _lines(section: Section, entry: Level) -> tuple[Line, ...]:
    return (section.dense, *section.references, *entry.lines)


def _score(score: Score) -> tuple[str, str, str]:
    """The score, its difference from dense, and its difference from dense of equal training."""
    text = spread(score.summary) + _star(score) + _close(score)
    n = score.summary.n if score.summary else 0
    difference, equal = (difference_with_interval(each, n) for each in (score.difference, score.difference_equal))
    return Bold(text) if score.best else text, difference, equal


def _star(score: Score) -> str:
    return "*" if score.degenerate else ""


def _close(score: Score) -> str:
    return f" {CLOSE}" if score.close else ""


def _notes(lines: Sequence[Line]) -> tuple[str, ...]:
    """Why something is missing, and what an asterisk means if there is one."""
    notes = [f"{line.label}: {reason}" for line in lines for reason in line.reasons]
    if any(score.degenerate for line in lines for score in line.scores):
        notes.append(DEGENERATE)
    return tuple(notes)


def _caption(section: Section, entry: Level) -> str:
    """What bold means, or why nothing is bold."""
    complete = [line for line in entry.lines if not line.gaps]
    if len(complete) < 2:
        return ""
    if not any(section.learnt):
        return NOT_LEARNT
    if any(score.best for line in complete for score in line.scores):
        return BEST
    common = set.intersection(*(set(line.scores[0].values) for line in complete))
    return NO_BEST if len(common) < MIN_SEEDS else AT_CHANCE


def seed_table(section: Section, track: Track, entry: Level) -> Table:
    """For each metric and method: the interval of the mean, minimum, median, maximum, and the value of each seed."""
    several = len(section.columns) > 1
    body = []
    for i, column in enumerate(section.columns):
        metric = (column,) * several
        rows = [(line.label, *metric, *_values(line.scores[i], section.seeds)) for line in _lines(section, entry)]
        majority = (points(section.majority[i]),) * (3 + len(section.seeds))
        rows.insert(1 + len(section.references), (MAJORITY, *metric, DASH, *majority))
        body += rows
    return Table(
        title=table_title(section, track, f"sparsity {level(entry.sparsity)}, every seed"),
        headers=("method", *("metric",) * several, *SPREAD, *(f"seed {seed}" for seed in section.seeds)),
        aligns="l" + "l" * several + "r" * (len(SPREAD) + len(section.seeds)),
        body=tuple(body),
    )


def _values(score: Score, seeds: Sequence[int]) -> Iterator[str]:
    yield confidence(score.summary)
    for name in ("minimum", "median", "maximum"):
        yield points(getattr(score.summary, name) if score.summary else None)
    for seed in seeds:
        yield points(score.values.get(seed)) + ("*" if seed in score.degenerate else "")


def overview_tables(section: Section, track: Track, metric: int = 0) -> Iterator[Table]:
    """One metric of every method at every sparsity, as mean ± std, in as many tables as fit the width."""
    labels = in_ranking_order(track, {line.label for entry in track.levels for line in entry.lines})
    names = [DENSE, *(line.label for line in section.references), MAJORITY, *labels]
    parts = list(split_columns(names, [_column(section, track, entry, labels, metric) for entry in track.levels]))
    for i, columns in enumerate(parts, start=1):
        yield Table(
            title=table_title(section, track, f"{section.columns[metric]} by sparsity"),
            headers=(track.name, *(column[0] for column in columns)),
            aligns="l" + "r" * len(columns),
            body=tuple(zip(names, *(column[1:] for column in columns), strict=True)),
            notes=unsupported_notes(track.unsupported) if i == len(parts) else (),
            rule=2 + len(section.references),
        )


def unsupported_notes(unsupported: Unsupported) -> tuple[str, ...]:
    """For each method why it has no model at some sparsities."""
    return tuple(f"{describe_unsupported(label, reasons)}." for label, reasons in unsupported.items())


def absence(unsupported: Unsupported, label: str, sparsity: float) -> str:
    """`n/a` where a method has no model of the sparsity, a dash where it was not planned."""
    return "n/a" if sparsity in unsupported.get(label, {}) else DASH


def _column(section: Section, track: Track, entry: Level, labels: Sequence[str], metric: int) -> list[str]:
    lines = {line.label: line for line in entry.lines}
    methods = [
        _short(lines[label], metric) if label in lines else absence(track.unsupported, label, entry.sparsity)
        for label in labels
    ]
    references = [_short(line, metric) for line in (section.dense, *section.references)]
    return [level(entry.sparsity), *references, points(section.majority[metric]), *methods]


def _short(line: Line, metric: int) -> str:
    """A score as mean ± std, with the number of seeds only if some are missing."""
    score = line.scores[metric]
    if score.summary is None:
        return "failed" if line.reasons else "missing"
    n, expected = score.summary.n, score.summary.n + len(line.incomplete - score.values.keys())
    seeds = "" if n == expected else f" ({n} of {expected})"
    text = spread(score.summary, n=False) + _star(score) + seeds + _close(score)
    return Bold(text) if score.best else text
