"""The tables of a page, as plain text. Imports `model`, `numbers` and `blocks`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from operator import attrgetter
from statistics import median

from prunebench.reports.leaderboard.apart import RULE
from prunebench.reports.leaderboard.model import Level, Line, Method, Score, Section, Track
from prunebench.reports.render.blocks import Bold, Table
from prunebench.reports.render.formatting import (
    NONE,
    confidence,
    count,
    difference_with_interval,
    level,
    percent,
    points,
    spread,
    value_range,
)

DENSE = "dense"
MAJORITY = "majority class"
DEGENERATE = "* For some seed's predictions the metric is undefined (one class for all, say) and counts as 0."
BEST = f"Bold: the highest mean of the complete rows, and every row that cannot be told from it ({RULE})."
UNTOLD = "Nothing is bold: with fewer than three common seeds no row can be told from another."
# Characters in a line of a terminal.
WIDTH = 115


def scores(section: Section, track: Track, entry: Level) -> Table:
    """Mean ± std (n) and the paired difference of each metric with its interval, and what is missing where something
    is."""
    lines = _lines(section, entry)
    body = [[line.label, *(text for score in line.scores for text in _score(score))] for line in lines]
    # The dense runs differ from themselves by nothing.
    body[0][2::2] = [NONE] * len(section.columns)
    body.insert(1, [MAJORITY, *(text for value in section.majority for text in (points(value), NONE))])
    headers = ["method", *(text for column in section.columns for text in (column, "Δ dense [95 %]"))]
    noted = any(line.gaps for line in lines)
    if noted:
        headers.append("note")
        gaps = [section.dense.gaps, (), *(line.gaps for line in entry.lines)]
        body = [[*row, "; ".join(found)] for row, found in zip(body, gaps, strict=True)]
    return Table(
        title=_title(section, track, f"sparsity {level(entry.sparsity)}"),
        headers=tuple(headers),
        aligns="l" + "rr" * len(section.columns) + "l" * noted,
        body=tuple(map(tuple, body)),
        notes=_notes(lines),
        rule=2,
        caption=_marks(entry),
    )


def _marks(entry: Level) -> str:
    """What bold means here, or why there is none."""
    if sum(not line.gaps for line in entry.lines) < 2:
        return ""
    return BEST if any(score.best for line in entry.lines for score in line.scores) else UNTOLD


def _score(score: Score) -> tuple[str, str]:
    text = spread(score.summary) + _star(score)
    n = score.summary.n if score.summary else 0
    return Bold(text) if score.best else text, difference_with_interval(score.difference, n)


def _star(score: Score) -> str:
    return "*" if score.degenerate else ""


def _notes(lines: Sequence[Line]) -> tuple[str, ...]:
    """Why something is missing, and what an asterisk means where there is one."""
    said = [f"{line.label}: {reason}" for line in lines for reason in line.reasons]
    if any(score.degenerate for line in lines for score in line.scores):
        said.append(DEGENERATE)
    return tuple(said)


SPREAD = ("95 %", "min", "median", "max")


def seeds(section: Section, track: Track, entry: Level) -> Table:
    """The interval of the mean, least, median, greatest and every seed's value: a row for each method and metric."""
    several = len(section.columns) > 1
    body = []
    for i, column in enumerate(section.columns):
        metric = (column,) * several
        dense, *rows = [
            (line.label, *metric, *_values(line.scores[i], section.seeds)) for line in _lines(section, entry)
        ]
        same = (points(section.majority[i]),) * (3 + len(section.seeds))
        body += [dense, (MAJORITY, *metric, NONE, *same), *rows]
    return Table(
        title=_title(section, track, f"sparsity {level(entry.sparsity)}, every seed"),
        headers=("method", *("metric",) * several, *SPREAD, *(f"seed {seed}" for seed in section.seeds)),
        aligns="l" + "l" * several + "r" * (len(SPREAD) + len(section.seeds)),
        body=tuple(body),
    )


def _lines(section: Section, entry: Level) -> tuple[Line, ...]:
    return (section.dense, *entry.lines)


def _values(score: Score, seeds: Sequence[int]) -> Iterator[str]:
    yield confidence(score.summary)
    for name in ("minimum", "median", "maximum"):
        yield points(getattr(score.summary, name) if score.summary else None)
    for seed in seeds:
        yield points(score.values.get(seed)) + ("*" if seed in score.degenerate else "")


def sizes(section: Section, track: Track) -> Table:
    """What is left of the model, what the methods cost, and how fast it is: a row for each sparsity and method."""
    by_label = attrgetter("label")
    lines = [(entry.sparsity, line) for entry in track.levels for line in sorted(entry.lines, key=by_label)]
    return Table(
        title=_title(section, track, "size and cost"),
        headers=("sparsity", "method", "removed", "encoder", "parameters left", "trainings", "steps", "speed"),
        aligns="rlrrrrrr",
        body=tuple(
            (level(sparsity), line.label, *_size(line), speed(section.dense, line))
            for sparsity, line in [(0.0, section.dense), *lines]
        ),
        rule=1,
    )


def _size(line: Line) -> Iterator[str]:
    found = line.outcomes
    yield value_range((outcome.realised for outcome in found), percent)
    before = value_range((outcome.encoder_before for outcome in found), percent)
    after = value_range((outcome.encoder_after for outcome in found), percent)
    yield f"{before} → {after}" if found else NONE
    left = value_range((outcome.parameters_left for outcome in found), count)
    share = value_range((outcome.parameters_left / outcome.parameters_total for outcome in found), percent)
    yield f"{left} ({share})" if found else NONE
    for amount in ("trainings", "steps"):
        find = value_range((getattr(outcome.find, amount) for outcome in found), count)
        train = value_range((getattr(outcome.train, amount) for outcome in found), count)
        yield f"{find} + {train}" if found else NONE


def speed(dense: Line, line: Line) -> str:
    """`1.43 × (446/s)`: the median of examples a second, as a multiple of the dense model's on the same hardware.

    Empty where one was not measured, or where they were measured on several kinds of hardware or numbers of threads.
    """
    rates = [[outcome.speed for outcome in each.outcomes if outcome.speed is not None] for each in (dense, line)]
    where = {
        (outcome.environment.get("hardware"), outcome.environment.get("threads"))
        for outcome in (*dense.outcomes, *line.outcomes)
    }
    if not all(rates) or len(where) > 1:
        return NONE
    of_dense, own = map(median, rates)
    return f"{own / of_dense:.2f} × ({own:,.0f}/s)"


def overview(section: Section, track: Track, metric: int = 0) -> Iterator[Table]:
    """A metric of every method at every sparsity as mean ± std, as many sparsities abreast as there is room."""
    labels = sorted({line.label for entry in track.levels for line in entry.lines})
    names = [DENSE, MAJORITY, *labels]
    for columns in abreast(names, [_column(section, entry, labels, metric) for entry in track.levels]):
        yield Table(
            title=_title(section, track, f"{section.columns[metric]} by sparsity"),
            headers=(track.name, *(column[0] for column in columns)),
            aligns="l" + "r" * len(columns),
            body=tuple(zip(names, *(column[1:] for column in columns), strict=True)),
            rule=2,
        )


def _column(section: Section, entry: Level, labels: Sequence[str], metric: int) -> list[str]:
    lines = {line.label: line for line in entry.lines}
    methods = [short(lines.get(label), metric) for label in labels]
    return [level(entry.sparsity), short(section.dense, metric), points(section.majority[metric]), *methods]


def abreast(names: Sequence[str], columns: Sequence[list[str]]) -> Iterator[list[list[str]]]:
    """The columns in as many parts as it takes for each to fit into a line beside the names."""
    part: list[list[str]] = []
    width = longest = max(map(len, names))
    for column in columns:
        size = len(" | ") + max(map(len, column))
        if part and width + size > WIDTH:
            yield part
            part, width = [], longest
        part.append(column)
        width += size
    yield part


def short(line: Line | None, metric: int = 0) -> str:
    """A score of a line without its n, unless seeds are missing; bold if it is the best, or cannot be told from it."""
    if line is None:
        return NONE
    score = line.scores[metric]
    if score.summary is None:
        return "failed" if line.reasons else "missing"
    wanted = score.summary.n + len(line.absent - score.values.keys())
    some = "" if wanted == score.summary.n else f" ({score.summary.n} of {wanted})"
    text = spread(score.summary, n=False) + _star(score) + some
    return Bold(text) if score.best else text


def methods(found: Sequence[Method]) -> Table:
    """What each label stands for."""
    body = []
    for method in found:
        role = f"control of {method.control_of}" if method.control_of else f"prunes {method.unit}s"
        role = "reference" if method.label == DENSE else role
        options = ", ".join(f"{name}={_value(value)}" for name, value in sorted(method.options.items()))
        body.append((method.label, method.doc, role, options, ", ".join(method.sources)))
    return Table("Methods", ("method", "what it is", "role", "options", "from"), "lplpp", tuple(body))


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _title(section: Section, track: Track, what: str) -> str:
    return f"{section.title}, {track.name}, {what}"
