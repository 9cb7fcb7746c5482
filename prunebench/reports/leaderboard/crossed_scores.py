"""Errors of scores over seeds and examples, where the labels and predictions of the runs are known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from prunebench.reports.examples import Examples
from prunebench.reports.leaderboard.score import Crossed, Part, Score, ScoreExamples
from prunebench.results.rows import Row
from prunebench.results.statistics.crossed import Estimate, average_of_all, crossed
from prunebench.results.statistics.examples import ExampleValues, mean_of_columns


class SectionExamples:
    """The values of examples of the rows of one section, and of the dense rows that each is compared with."""

    def __init__(self, rows: Sequence[Row], examples: Examples) -> None:
        self._examples = examples
        references = [row for row in rows if row.cell.is_dense and row.value is not None]
        self._dense = {_pair(row): row for row in references if row.cell.is_plain_dense}
        self._equal: dict[tuple[Any, ...], Row] = {
            (_pair(row), row.equal_trainings): row for row in references if row.equal_trainings
        }

    def of(self, rows: Sequence[Row]) -> ScoreExamples | None:
        """The values of one metric of a line; None without those of every seed."""
        done = [row for row in rows if row.value is not None]
        own = self._values({row.cell.seed: row for row in done})
        if own is None:
            return None
        dense = {row.cell.seed: other for row in done if (other := self._dense.get(_pair(row)))}
        equal = {row.cell.seed: other for row in done if (other := self._equal.get((_pair(row), row.equal_trainings)))}
        return ScoreExamples(own, self._values(dense), self._values(equal), self._examples.majority(done[0]))

    def _values(self, rows: Mapping[int, Row]) -> ExampleValues | None:
        arrays = {seed: self._examples.values(row) for seed, row in rows.items()}
        known = {seed: array for seed, array in arrays.items() if array is not None}
        if not known or len(known) < len(arrays) or len({len(array) for array in known.values()}) > 1:
            return None
        evaluation = next(iter(rows.values())).evaluation
        return ExampleValues(known, ((evaluation, len(next(iter(known.values())))),))


def _pair(row: Row) -> tuple[Any, ...]:
    """What a row has in common with the dense rows of its column."""
    return row.cell.setting, row.cell.seed, row.evaluation, row.metric


def with_crossed(score: Score) -> Score:
    """The score with its errors over seeds and examples; those that cannot be computed stay None."""
    parts = list(score.parts.values()) or [Part(score.values, score.floor, score.examples)]
    known = [part.examples for part in parts if part.examples is not None]
    if score.summary is None or len(known) < len(parts):
        return score
    floors = [part.floor for part in parts]
    seeds = list(score.values)
    own = [each.own.estimate(seeds) for each in known]
    above = [_above(each, seeds, floor) for each, floor in zip(known, floors, strict=True)]
    differences = {
        name: [
            each.own.difference(reference, _common(score, runs), floor) if (reference := getattr(each, runs)) else None
            for each, floor in zip(known, floors, strict=True)
        ]
        for name, runs in (("difference", "dense"), ("difference_equal", "equal"))
    }
    estimates = {"score": own, "above": above, **differences}
    exact = {"score": score.summary, "difference": score.difference, "difference_equal": score.difference_equal}
    averages = {name: average_of_all(group) for name, group in estimates.items()}
    # Values of examples are single floats, and the mean of scores is exact.
    return replace(
        score,
        crossed=Crossed(
            **{
                name: replace(each, mean=summary.mean) if each and (summary := exact.get(name)) else each
                for name, each in averages.items()
            }
        ),
    )


def _common(score: Score, runs: str) -> Collection[int]:
    return sorted(score.values.keys() & getattr(score, runs).keys())


def _above(examples: ScoreExamples, seeds: Collection[int], floor: float) -> Estimate | None:
    """How far the score is above the majority class on the same examples."""
    table = examples.own.table(seeds)
    return None if table is None or examples.majority is None else crossed(table - examples.majority, floor)


def joint_examples(scores: Sequence[Score]) -> ScoreExamples | None:
    """The values of examples in the mean of several metrics of one line."""
    known = [score.examples for score in scores if score.examples is not None]
    own = mean_of_columns([each.own for each in known]) if len(known) == len(scores) else None
    if own is None:
        return None
    dense, equal = (mean_of_columns([getattr(each, runs) for each in known]) for runs in ("dense", "equal"))
    majorities = [
        ExampleValues({0: each.majority}, each.own.blocks) if each.majority is not None else None for each in known
    ]
    majority = mean_of_columns(majorities)
    return ScoreExamples(own, dense, equal, None if majority is None else np.asarray(majority.by_seed[0]))
