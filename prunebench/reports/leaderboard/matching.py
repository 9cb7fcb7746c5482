"""The largest sparsity at which each method still matches the dense model, by four criteria."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prunebench.reports.leaderboard.report import Line, Match, Section, Track
from prunebench.results.statistics.matching import failing_below, is_winning_ticket, largest_matching


def with_matching(section: Section, delta: float) -> Section:
    """The section with the matching sparsities of each track."""
    tracks = tuple(replace(track, matching=tuple(_matches(section, track, delta))) for track in section.tracks)
    return replace(section, tracks=tracks)


def _matches(section: Section, track: Track, delta: float) -> Iterator[Match]:
    """A match for each method and metric. Lines with gaps never match: the missing seeds may be the bad ones."""
    by_label: dict[str, dict[float, Line]] = {}
    for level in track.levels:
        for line in level.lines:
            by_label.setdefault(line.label, {})[level.sparsity] = line
    for label in sorted(by_label):
        complete = {sparsity: line for sparsity, line in by_label[label].items() if not line.gaps}
        from_theta0 = {sparsity for sparsity, line in complete.items() if _from_theta0(line)}
        for i, column in enumerate(section.columns):
            scores = {
                sparsity: (line.scores[i].values, line.scores[i].reference) for sparsity, line in complete.items()
            }
            tickets = [level for level in from_theta0 if level and is_winning_ticket(*scores[level], True)]
            yield Match(
                label,
                column,
                largest_matching(scores, delta),
                failing_below(scores, delta),
                bool(from_theta0) if any(line.outcomes for line in by_label[label].values()) else None,
                max(tickets, default=None),
            )


def _from_theta0(line: Line) -> bool:
    return bool(line.outcomes) and all(outcome.from_theta0 for outcome in line.outcomes)
