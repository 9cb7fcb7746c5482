"""The values of examples in what methods are ranked by, and the error over seeds and examples that follows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from prunebench.reports.leaderboard.report import RATIO, RETAINED, Line, Placement, Section
from prunebench.reports.leaderboard.score import Score
from prunebench.results.statistics.best import MIN_SEEDS
from prunebench.results.statistics.crossed import Estimate, average_of_all, over_seeds
from prunebench.results.statistics.examples import ExampleValues, mean_of_columns
from prunebench.results.statistics.ratio import retained_by_example
from prunebench.results.statistics.summary import TOLERANCE

NO_BETTER = "no better than the majority class"
NOT_CERTAIN = "not better than the majority class for certain"


def with_examples(
    placement: Placement,
    sparsity: float,
    lines: Mapping[str, Mapping[tuple[float, str], Line]],
    columns: Sequence[tuple[Section, int]],
    rule: str,
) -> Placement:
    """The placement with the values of examples of each task, and with the error of its mean where all have values.

    `lines` are those of the track by task, and `columns` the metrics that count.
    """
    seeds = list(placement.values)
    runs = "equal" if placement.of_equal is not None else "dense"
    tasks: dict[str, list[ExampleValues | None]] = {}
    for section, i in columns:
        line = lines[section.name].get((sparsity, placement.label))
        tasks.setdefault(section.name, []).append(_values(line.scores[i], rule, runs, seeds) if line else None)
    joint = {task: mean_of_columns(group) for task, group in tasks.items()}
    examples = {task: values for task, values in joint.items() if values is not None}
    mean = average_of_all(None if values is None else values.estimate(seeds) for values in joint.values())
    if placement.summary is None or mean is None:
        return replace(placement, examples=examples)
    # Values of examples are single floats, and the mean of scores is exact.
    return replace(placement, examples=examples, crossed=replace(mean, mean=placement.summary.mean))


def above_chance(placement: Placement, majority: float | None) -> Placement:
    """The placement, which is not ranked unless it beats the majority class for certain.

    Such methods have nothing to be ranked by, and their spread would hide the differences of others. With fewer than
    three seeds nothing is certain: then the mean decides.
    """
    summary = placement.summary
    if placement.gaps or summary is None or majority is None:
        return placement
    if summary.mean <= majority + TOLERANCE:
        return replace(placement, gaps=(NO_BETTER,))
    estimate = placement.crossed or _over_seeds(placement)
    if summary.n < MIN_SEEDS or estimate is None or estimate.interval().low > majority:
        return placement
    return replace(placement, gaps=(NOT_CERTAIN,))


def _over_seeds(placement: Placement) -> Estimate | None:
    """The mean of the tasks with its error over seeds; None where a task has a single seed."""
    return average_of_all(over_seeds([*values.values()]) for values in placement.by_task.values())


def _values(score: Score, rule: str, runs: str, seeds: Collection[int]) -> ExampleValues | None:
    examples = score.examples
    if examples is None:
        return None
    if rule not in (RETAINED, RATIO):
        return examples.own
    reference = getattr(examples, runs)
    if reference is None or (rule == RETAINED and examples.majority is None):
        return None
    majority = 0.0 if rule == RATIO or examples.majority is None else examples.majority
    return retained_by_example(examples.own, reference, majority, seeds)
