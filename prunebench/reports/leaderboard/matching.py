"""The largest sparsities at which each method still matches dense, by every criterion. Imports `model` and `stats`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prunebench.reports.leaderboard.model import Line, Match, Section, Track
from prunebench.results.statistics.matching import failing_below, is_winning_ticket, largest_matching


def matched(section: Section, delta: float) -> Section:
    """The section with what matches in each of its tracks."""
    tracks = tuple(replace(track, matching=tuple(_matches(section, track, delta))) for track in section.tracks)
    return replace(section, tracks=tracks)


def _matches(section: Section, track: Track, delta: float) -> Iterator[Match]:
    """An entry for each method and metric. Lines with gaps match nothing: what is missing may be what failed."""
    by_label: dict[str, dict[float, Line]] = {}
    for level in track.levels:
        for line in level.lines:
            by_label.setdefault(line.label, {})[level.sparsity] = line
    for label in sorted(by_label):
        complete = {sparsity: line for sparsity, line in by_label[label].items() if not line.gaps}
        ticketed = {sparsity for sparsity, line in complete.items() if _from_theta0(line)}
        for i, column in enumerate(section.columns):
            dense = {seed: value for line in complete.values() for seed, value in line.scores[i].dense.items()}
            values = {sparsity: line.scores[i].values for sparsity, line in complete.items()}
            tickets = [level for level in ticketed if level and is_winning_ticket(values[level], dense, True)]
            yield Match(
                label,
                column,
                largest_matching(values, dense, delta),
                failing_below(values, dense, delta),
                bool(ticketed) if any(line.outcomes for line in by_label[label].values()) else None,
                max(tickets, default=None),
            )


def _from_theta0(line: Line) -> bool:
    return bool(line.outcomes) and all(outcome.from_theta0 for outcome in line.outcomes)
