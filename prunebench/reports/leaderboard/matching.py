"""The largest sparsity at which each method still matches the dense model, by four criteria."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prunebench.reports.leaderboard.report import Line, Match, Section, Track
from prunebench.results.statistics import Interval
from prunebench.results.statistics.matching import STRICT, Values, largest_matching

# The scores of a level that cannot match.
Pair = tuple[Values, Values, Interval | None]
NOTHING: Pair = {}, {}, None


def with_matching(section: Section, delta: float) -> Section:
    """The section with the matching sparsities of each track."""
    tracks = tuple(replace(track, matching=tuple(_matches(section, track, delta))) for track in section.tracks)
    return replace(section, tracks=tracks)


def _matches(section: Section, track: Track, delta: float) -> Iterator[Match]:
    """A match for each method and metric. Lines with gaps never match: the missing seeds may be the bad ones.

    Nothing matches a dense model that has learnt nothing.
    """
    by_label: dict[str, dict[float, Line]] = {}
    for level in track.levels:
        for line in level.lines:
            by_label.setdefault(line.label, {})[level.sparsity] = line
    for label, lines in sorted(by_label.items()):
        from_theta0 = {sparsity for sparsity, line in lines.items() if not line.gaps and _from_theta0(line)}
        for i, column in enumerate(section.columns):
            scores = {sparsity: _pair(line, i) if section.learnt[i] else NOTHING for sparsity, line in lines.items()}
            strict = largest_matching(scores, delta)[STRICT] or 0.0
            tickets = [sparsity for sparsity in from_theta0 if 0 < sparsity <= strict]
            yield Match(
                label,
                column,
                largest_matching(scores, delta),
                bool(from_theta0) if any(line.outcomes for line in lines.values()) else None,
                max(tickets, default=None),
            )


def _pair(line: Line, column: int) -> Pair:
    score = line.scores[column]
    if line.gaps:
        return NOTHING
    estimate = score.crossed.difference_equal if score.reference is score.equal else score.crossed.difference
    return score.values, score.reference, estimate.interval() if estimate else None


def _from_theta0(line: Line) -> bool:
    return bool(line.outcomes) and all(outcome.from_theta0 for outcome in line.outcomes)
