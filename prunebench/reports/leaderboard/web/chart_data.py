"""The numbers that the scripts of the HTML page draw from, as compact lists.

Names are passed as they are; the scripts escape them where they show them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prunebench.reports.leaderboard.report import Page, Ranking, Score, Section
from prunebench.reports.leaderboard.retention import retention_points, sections_with_tasks
from prunebench.reports.render.blocks import one_line
from prunebench.reports.render.formatting import limits, metric_name, round_digits
from prunebench.results.statistics import Summary

# The fields of the lists of numbers, in order. `page.js` turns each list into an object with these names.
ENTRY = (
    *("section", "column", "track", "sparsity", "method", "mean", "std", "n", "low", "high"),
    *(
        "delta",
        "deltaLow",
        "deltaHigh",
        "equal",
        "equalLow",
        "equalHigh",
        "best",
        "close",
        "note",
        "values",
        "degenerate",
    ),
)
RETENTION = (
    *("section", "track", "sparsity", "method", "mean", "std", "values", "ofDense", "ofEqual"),
    *("share", "flops", "skipping", "parameters", "steps", "seconds", "speed"),
)
UNSUPPORTED = ("section", "track", "sparsity", "method", "reason")
DENSE = "dense"

# Numbers that stand for names.
Indices = Mapping[str, int]


def chart_data(page: Page) -> dict[str, Any]:
    """All data of the page as JSON values. Scores are × 100, with a few more digits than are shown."""
    with_tasks = sections_with_tasks(page)
    controls = {DENSE: False, **{method.label: bool(method.control_of) for method in page.methods}}
    references = {method.label for method in page.methods if method.reference}
    labels = sorted(controls, key=lambda label: (label != DENSE, label in references, controls[label], label))
    tracks = list(dict.fromkeys([*(track.name for section, _ in with_tasks for track in section.tracks), DENSE]))
    methods_at = {label: i for i, label in enumerate(labels)}
    tracks_at = {track: i for i, track in enumerate(tracks)}
    return {
        "entryFields": ENTRY,
        "retentionFields": RETENTION,
        "unsupportedFields": UNSUPPORTED,
        "equalTraining": page.has_equal_training,
        "tracks": tracks,
        "methods": [{"label": one_line(label), "control": controls[label]} for label in labels],
        "sections": [_section(section) for section, _ in with_tasks],
        "entries": [
            entry for i, (section, _) in enumerate(with_tasks) for entry in _entries(i, section, methods_at, tracks_at)
        ],
        "retention": [
            entry
            for i, (section, group) in enumerate(with_tasks)
            for entry in _retention(i, section, group, methods_at, tracks_at)
        ],
        "unsupported": [
            entry
            for i, (section, _) in enumerate(with_tasks)
            for entry in _unsupported(i, section, methods_at, tracks_at)
        ],
        "rankings": [_ranking(ranking, methods_at) for ranking in page.rankings],
        "reported": list(_reported(page)),
    }


def to_script(value: Any) -> str:
    """JSON that can neither end a script element nor begin a comment in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _section(section: Section) -> dict[str, Any]:
    return {
        "name": one_line(section.name),
        "title": one_line(section.title),
        "columns": [one_line(column) for column in section.columns],
        "seeds": section.seeds,
        "majority": [_points(value) for value in section.majority],
    }


def _entries(number: int, section: Section, methods: Indices, tracks: Indices) -> Iterator[list[Any]]:
    lines = [
        (track.name, level.sparsity, line) for track in section.tracks for level in track.levels for line in level.lines
    ]
    for track, sparsity, line in [*((DENSE, 0.0, line) for line in (section.dense, *section.references)), *lines]:
        note = "; ".join((*line.gaps, *map(one_line, line.reasons)))
        for column, score in enumerate(line.scores):
            head = (number, column, tracks[track], sparsity, methods[line.label])
            yield [*head, *_numbers(score), int(score.best), int(score.close), note, *_seeds(section.seeds, score)]


def _numbers(score: Score) -> Iterator[float | int | None]:
    summary = score.summary
    yield _points(summary.mean if summary else None)
    yield _points(summary.std if summary else None)
    yield summary.n if summary else 0
    yield from _limits(summary)
    for difference in (score.difference, score.difference_equal):
        yield _points(difference.mean if difference else None)
        yield from _limits(difference)


def _limits(summary: Summary | None) -> tuple[float | None, float | None]:
    bounds = limits(summary)
    return (_points(bounds.low), _points(bounds.high)) if bounds else (None, None)


def _seeds(seeds: Sequence[int], score: Score) -> tuple[list[float | None], list[int]]:
    """The value of each of the section's seeds, and the indices of the degenerate ones."""
    values = [_points(score.values.get(seed)) for seed in seeds]
    return values, [i for i, seed in enumerate(seeds) if seed in score.degenerate]


def _retention(
    number: int, section: Section, group: Sequence[Section], methods: Indices, tracks: Indices
) -> Iterator[list[Any]]:
    for entry in retention_points(section, group):
        summary = entry.place.summary
        yield [
            *(number, tracks[entry.track], entry.sparsity, methods[entry.place.label]),
            _points(summary.mean if summary else None),
            _points(summary.std if summary else None),
            [_points(entry.place.values.get(seed)) for seed in section.seeds],
            *(_points(each.mean if each else None) for each in (entry.place.of_dense, entry.place.of_equal)),
            *(_points(share) for share in (entry.share, entry.flops, entry.flops_skipping_zeros)),
            *(_rounded(amount) for amount in (entry.parameters, entry.steps, entry.seconds, entry.speed)),
        ]


def _unsupported(number: int, section: Section, methods: Indices, tracks: Indices) -> Iterator[list[Any]]:
    """The sparsities at which a method has no model, with the reason."""
    for track in section.tracks:
        for label, reasons in track.unsupported.items():
            for sparsity, reason in sorted(reasons.items()):
                yield [number, tracks[track.name], sparsity, methods[label], one_line(reason)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _points(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 4) + 0.0


def _ranking(ranking: Ranking, methods: Indices) -> dict[str, Any]:
    """Average ranks over tasks at each sparsity, for the critical-difference diagram."""
    return {
        "title": one_line(ranking.title),
        "track": ranking.track,
        "tasks": len(ranking.tasks),
        "standings": [
            {
                "sparsity": standing.sparsity,
                "ranks": [[methods[label], round(mean, 4)] for label, mean in standing.across.ranks.items()],
                "groups": [[methods[label] for label in group] for group in standing.across.groups],
                "cd": round_digits(standing.across.cd),
                "p": round_digits(standing.across.p),
                "reason": standing.across.reason,
            }
            for standing in ranking.standings
        ],
    }


def _reported(page: Page) -> Iterator[dict[str, Any]]:
    for paper in page.options.published:
        for row in paper.rows:
            for i, column in enumerate(paper.columns):
                if row.mean[i] is not None:
                    yield {
                        **{"source": paper.citation, "setting": f"{row.model}, {paper.split}, {paper.seeds}"},
                        **{"task": column.task, "metric": metric_name(column.metric)},
                        **{"method": row.label, "track": row.track},
                        **{"sparsity": 0.0 if row.track == "dense" else row.sparsity or column.sparsity},
                        **{"mean": row.mean[i], "std": row.std[i]},
                    }
