"""Which scores are marked at a sparsity, and on which metrics the dense model has learnt anything to mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from prunebench.reports.leaderboard.report import Level, Line, Section
from prunebench.reports.leaderboard.score import Part, Score
from prunebench.results.statistics.best import MIN_SEEDS, TaskScores, separate
from prunebench.results.statistics.crossed import Estimate, average_of_all, over_seeds
from prunebench.results.statistics.summary import TOLERANCE


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
    above = above_majority(score, majority)
    if summary.n < MIN_SEEDS or above is None:
        return summary.mean > majority
    return above.interval().low > 0


def above_majority(score: Score, majority: float) -> Estimate | None:
    """How far a score is above the majority class, over seeds and examples where these are known; None for one seed."""
    estimate = _estimate(score)
    return score.crossed.above or (replace(estimate, mean=estimate.mean - majority) if estimate else None)


def _estimate(score: Score) -> Estimate | None:
    """The mean with its error over seeds, with a floor as for a difference; None for a single seed."""
    return average_of_all(over_seeds([*part.values.values()], part.floor) for part in parts_of(score).values())


def parts_of(score: Score) -> Mapping[str, Part]:
    """What a score averages, by task, or the score itself."""
    return score.parts or {"": Part(score.values, score.floor, score.examples)}


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

    None of them where the best is at the majority class. Methods at the majority class are not among them: constant
    predictions do not vary, and those of a method that learns with some seeds vary more than all others.
    """
    learnt = {
        label: score
        for label, score in scores.items()
        if score.summary and (majority is None or score.summary.mean > majority + TOLERANCE)
    }
    separation = separate(task_scores({label: parts_of(score) for label, score in learnt.items()}))
    if separation is None:
        # A method that is alone above the majority class has nobody to be compared with.
        best = next(iter(learnt), "") if len(learnt) == 1 < len(scores) else ""
        summary = learnt[best].summary if best else None
        alone = best and summary and summary.n >= MIN_SEEDS and _beats(learnt[best], majority)
        return (best, {best}) if alone else ("", set())
    if not _beats(scores[separation.best], majority):
        return "", set()
    return separation.best, separation.inseparable(delta)


def task_scores(parts: Mapping[str, Mapping[str, Part]]) -> list[TaskScores]:
    """What `separate` takes, from the parts of scores by method and task."""
    tasks = dict.fromkeys(task for by_task in parts.values() for task in by_task)
    # The floor is that of a difference, which has twice the variance of a score.
    return [
        TaskScores(
            {label: by_task[task].values if task in by_task else {} for label, by_task in parts.items()},
            max((by_task[task].floor for by_task in parts.values() if task in by_task), default=0.0) / 2**0.5,
            {
                label: examples.own
                for label, by_task in parts.items()
                if task in by_task and (examples := by_task[task].examples)
            },
        )
        for task in tasks
    ]
