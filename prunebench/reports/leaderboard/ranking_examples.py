"""The values of examples in what methods are ranked by, and the error over seeds and examples that follows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from prunebench.reports.leaderboard.report import RATIO, RETAINED, Line, Placement, Section
from prunebench.reports.leaderboard.score import Score
from prunebench.results.statistics.crossed import average
from prunebench.results.statistics.examples import ExampleValues, mean_of_columns
from prunebench.results.statistics.ratio import retained_by_example


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
    estimates = [values.estimate(seeds) for values in examples.values()]
    known = [estimate for estimate in estimates if estimate is not None]
    if placement.summary is None or not known or len(known) < len(tasks):
        return replace(placement, examples=examples)
    # Values of examples are single floats, and the mean of scores is exact.
    return replace(placement, examples=examples, crossed=replace(average(known), mean=placement.summary.mean))


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
