"""Bootstrap intervals of means in place of t intervals, for `--interval bootstrap`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from prunebench.reports.leaderboard.report import Level, Line, Score, Section
from prunebench.results.statistics import Summary, bootstrap
from prunebench.results.statistics.summary import differences


def with_bootstrap(section: Section) -> Section:
    """The section with a bootstrap interval for every mean and every difference."""
    tracks = tuple(replace(track, levels=tuple(map(_level, track.levels))) for track in section.tracks)
    references = tuple(map(_line, section.references))
    return replace(section, dense=_line(section.dense), tracks=tracks, references=references)


def _level(level: Level) -> Level:
    return replace(level, lines=tuple(map(_line, level.lines)))


def _line(line: Line) -> Line:
    return replace(line, scores=tuple(map(_score, line.scores)))


def _score(score: Score) -> Score:
    summary = score.summary
    return replace(
        score,
        summary=summary and replace(summary, bounds=bootstrap(score.values.values())),
        difference=_difference(score.difference, score.values, score.dense),
        difference_equal=_difference(score.difference_equal, score.values, score.equal),
    )


def _difference(summary: Summary | None, values: Mapping[int, float], dense: Mapping[int, float]) -> Summary | None:
    return summary and replace(summary, bounds=bootstrap(differences(values, dense).values()))
