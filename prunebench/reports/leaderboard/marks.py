"""Which scores are marked at a sparsity, and on which metrics the dense model has learnt anything to mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from prunebench.reports.leaderboard.report import Level, Line, Score, Section
from prunebench.results.statistics.best import MIN_SEEDS, TaskScores, separate
from prunebench.results.statistics.crossed import Estimate, average, over_seeds


def with_marks(section: Section, delta: float) -> Section:
    """The section with its best scores and those close to them, at each sparsity, in the metrics that were learnt."""
    section = replace(section, learnt=tuple(map(_beats, section.dense.scores, section.majority)))
    tracks = tuple(
        replace(track, levels=tuple(_marked(section, entry, delta) for entry in track.levels))
        for track in section.tracks
    )
    return replace(section, tracks=tracks)


def _beats(score: Score, majority: float | None) -> bool:
    """Whether a score is above the majority class: for certain, as far as there are enough seeds to say so."""
    summary = score.summary
    if summary is None or majority is None:
        return summary is not None
    estimate = _estimate(score)
    if summary.n < MIN_SEEDS or estimate is None:
        return summary.mean > majority
    return estimate.interval().low > majority


def _estimate(score: Score) -> Estimate | None:
    """The mean with its error, with a floor as for a difference; None for a single seed."""
    parts = [over_seeds([*values.values()], floor) for values, floor in parts_of(score).values()]
    known = [part for part in parts if part is not None]
    return average(known) if known and len(known) == len(parts) else None


def parts_of(score: Score) -> Mapping[str, tuple[Mapping[int, float], float]]:
    """The values and the floor of each task that a score averages, or its own."""
    return score.parts or {"": (score.values, score.floor)}


def _marked(section: Section, entry: Level, delta: float) -> Level:
    complete = [line for line in entry.lines if not line.gaps]
    marks = [
        _marks({line.label: line.scores[i] for line in complete}, majority, delta) if learnt else ("", set[str]())
        for i, (majority, learnt) in enumerate(zip(section.majority, section.learnt, strict=True))
    ]
    return replace(entry, lines=tuple(line if line.gaps else _with(line, marks) for line in entry.lines))


def _with(line: Line, marks: Sequence[tuple[str, set[str]]]) -> Line:
    scores = (
        replace(score, best=line.label == best, close=line.label in close and line.label != best)
        for score, (best, close) in zip(line.scores, marks, strict=True)
    )
    return replace(line, scores=tuple(scores))


def _marks(scores: Mapping[str, Score], majority: float | None, delta: float) -> tuple[str, set[str]]:
    """The method with the highest mean, and those that cannot be told apart from it and are less than δ behind.

    None of them where the best is at the majority class.
    """
    separation = separate(task_scores({label: parts_of(score) for label, score in scores.items()}))
    if separation is None or not _beats(scores[separation.best], majority):
        return "", set()
    return separation.best, separation.inseparable(delta)


def task_scores(parts: Mapping[str, Mapping[str, tuple[Mapping[int, float], float]]]) -> list[TaskScores]:
    """What `separate` takes, from the values and the floor of a difference by method and task."""
    tasks = dict.fromkeys(task for by_task in parts.values() for task in by_task)
    # The floor is that of a difference, which has twice the variance of a score.
    return [
        TaskScores(
            {label: by_task[task][0] if task in by_task else {} for label, by_task in parts.items()},
            max((by_task[task][1] for by_task in parts.values() if task in by_task), default=0.0) / 2**0.5,
        )
        for task in tasks
    ]
