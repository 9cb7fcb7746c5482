"""Bootstrap intervals of means in place of t intervals, for `--interval bootstrap`."""

from __future__ import annotations

from dataclasses import replace

from prunebench.reports.leaderboard.report import Level, Line, Score, Section
from prunebench.results.statistics import bootstrap
from prunebench.results.statistics.summary import differences


def with_bootstrap(section: Section) -> Section:
    """The section with a bootstrap interval for every mean and every difference."""
    tracks = tuple(replace(track, levels=tuple(map(_level, track.levels))) for track in section.tracks)
    return replace(section, dense=_line(section.dense), tracks=tracks)


def _level(level: Level) -> Level:
    return replace(level, lines=tuple(map(_line, level.lines)))


def _line(line: Line) -> Line:
    return replace(line, scores=tuple(map(_score, line.scores)))


def _score(score: Score) -> Score:
    summary, difference = score.summary, score.difference
    return replace(
        score,
        summary=summary and replace(summary, bounds=bootstrap(score.values.values())),
        difference=difference
        and replace(difference, bounds=bootstrap(differences(score.values, score.dense).values())),
    )
