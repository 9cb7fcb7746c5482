"""How often the statistics of pages are wrong where the truth is known: false verdicts, ranks and bold, and coverage.

Draws are of scores as benchmarks have them: right or wrong on examples of different difficulty that all seeds share,
with an effect of each seed, rounded to one example. In some draws a fifth of the trainings collapses to the majority
class, or the methods differ in their spread: half of them vary three times as much with the seed. No method is better
than another, so that each verdict is a false one.

    python calibration.py [--draws 1000] [--only coverage]
"""

from __future__ import annotations

import argparse
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from prunebench.reports.leaderboard.marks import _marks
from prunebench.reports.leaderboard.score import Score, ScoreExamples
from prunebench.results.statistics import summarise
from prunebench.results.statistics.best import TaskScores, separate
from prunebench.results.statistics.comparison import ALPHA, compare, estimate_p, family, holm
from prunebench.results.statistics.crossed import Estimate, average, crossed, over_seeds, rounding_floor
from prunebench.results.statistics.examples import ExampleValues
from prunebench.results.statistics.matching import matches
from prunebench.results.statistics.ratio import retained, retained_by_example

MAJORITY = 0.53
METHODS = 6
# By the name of a statistic: whether it was wrong, or for intervals right.
Results = dict[str, bool]


def answers(
    rng: np.random.Generator,
    methods: int,
    seeds: int,
    examples: int,
    collapse: float = 0.0,
    spreads: tuple[float, ...] = (0.1,),
) -> np.ndarray:
    """Whether each is right, shape (methods, seeds, examples), for models that are right on 70 % of all texts.

    A text is right with a probability of its own, which a seed moves for all texts alike, and a method's training for
    each text; a share `collapse` of the trainings predicts the majority class. `spreads` are the deviations of seeds,
    which methods have in turn.
    """
    difficulty = rng.normal(1.1, 1.5, (1, 1, examples))
    scales = np.resize(spreads, methods)[:, None, None]
    seed = rng.normal(0, 0.05, (1, seeds, 1)) + rng.normal(0, 1, (methods, seeds, 1)) * scales
    chance = 1 / (1 + np.exp(-(difficulty + seed + rng.normal(0, 0.7, (methods, seeds, examples)))))
    right = rng.random(chance.shape) < chance
    majority = rng.random(examples) < MAJORITY
    fallen = rng.random((methods, seeds, 1)) < collapse
    return np.where(fallen, majority, right).astype(float)


def truth() -> float:
    """The probability to be right on a new text with a new seed, by 4 million draws."""
    rng = np.random.default_rng(1)
    normal = [rng.normal(0, deviation, 4_000_000) for deviation in (1.5, 0.05, 0.1, 0.7)]
    return float((1 / (1 + np.exp(-(1.1 + sum(normal))))).mean())


def by_seed(right: np.ndarray) -> list[dict[int, float]]:
    return [dict(enumerate(scores.tolist())) for scores in right.mean(axis=2)]


def example_values(table: np.ndarray) -> ExampleValues:
    return ExampleValues(dict(enumerate(table)), (("dev", table.shape[1]),))


def task_scores(right: np.ndarray, known: bool) -> TaskScores:
    """The scores of methods, with the values of examples if these are known."""
    scores = {str(i): values for i, values in enumerate(by_seed(right))}
    examples = {str(i): example_values(table) for i, table in enumerate(right)} if known else {}
    return TaskScores(scores, rounding_floor(right.shape[2]) / np.sqrt(2), examples)


def false_ranks(tasks: list[np.ndarray], known: bool) -> bool:
    """Whether any of the methods has a rank below the first."""
    separation = separate([task_scores(right, known) for right in tasks])
    return separation is not None and max(separation.ranks().values()) > 1


def false_ranks_by_pairs(right: np.ndarray) -> bool:
    """Paired t tests of all pairs with Holm's correction, as 0.1 had them."""
    scores = by_seed(right)
    comparisons = family([compare(a, b) for a, b in itertools.combinations(scores, 2)])
    return any(c.holm.t is None or c.holm.t < ALPHA for c in comparisons)


def false_bold(right: np.ndarray) -> bool:
    """Whether a method is bold without a mark ≈ on every other one, with any δ."""
    scores = {}
    for i, (table, values) in enumerate(zip(right, by_seed(right), strict=True)):
        examples = ScoreExamples(example_values(table), None, None, None)
        summary = summarise(values.values())
        scores[str(i)] = Score(values, summary, None, floor=rounding_floor(right.shape[2]), examples=examples)
    best, close = _marks(scores, None, 1.0)
    return bool(best) and len(close) < len(scores)


def false_verdicts(right: np.ndarray, known: bool) -> bool:
    """Whether `compare` calls some method better or worse than another: by t tests after Holm's correction."""
    floor = rounding_floor(right.shape[2])
    differences = (right[i] - right[j] for i, j in itertools.combinations(range(len(right)), 2))
    estimates = [
        crossed(table, floor) if known else over_seeds(table.mean(axis=1).tolist(), floor) for table in differences
    ]
    return any(p is not None and p < ALPHA for p in holm([estimate_p(each) for each in estimates if each]))


def covers(estimate: Estimate | None, value: float) -> bool:
    interval = estimate.interval() if estimate else None
    return interval is not None and interval.low <= value <= interval.high


def ranks_and_verdicts(rng: np.random.Generator, seeds: int, examples: int, options: dict[str, Any]) -> Results:
    """All but the first should be at most 5 %."""
    right = answers(rng, METHODS, seeds, examples, **options)
    return {
        "rank, t and Holm": false_ranks_by_pairs(right),
        "rank, seeds": false_ranks([right], False),
        "rank, crossed": false_ranks([right], True),
        "bold, crossed": false_bold(right),
        "verdict, seeds": false_verdicts(right, False),
        "verdict, crossed": false_verdicts(right, True),
    }


def averages(rng: np.random.Generator, seeds: int, tasks: int, value: float) -> Results:
    """False ranks should be at most 5 %, and coverage 94 to 96 %."""
    draws = [answers(rng, METHODS, seeds, 400) for _ in range(tasks)]
    scores = [crossed(right[0]) for right in draws]
    differences = [crossed(right[0] - right[1]) for right in draws]
    return {
        "rank, crossed": false_ranks(draws, True),
        "coverage of a score": covers(average(each for each in scores if each), value),
        "coverage of a difference": covers(average(each for each in differences if each), 0.0),
    }


def coverage(rng: np.random.Generator, seeds: int, examples: int, value: float) -> Results:
    """Those of crossed errors should be 94 to 96 %."""
    method, dense = answers(rng, 2, seeds, examples)
    majority = (rng.random(examples) < MAJORITY).astype(float)
    values = retained_by_example(example_values(method), example_values(dense), majority, range(seeds))
    difference = method - dense
    return {
        "score, seeds": covers(over_seeds(method.mean(axis=1).tolist()), value),
        "score, crossed": covers(crossed(method), value),
        "difference, seeds": covers(over_seeds(difference.mean(axis=1).tolist()), 0.0),
        "difference, crossed": covers(crossed(difference), 0.0),
        "retained, seeds": covers(retained(*by_seed(np.array([method, dense])), MAJORITY), 1.0),
        "retained, crossed": covers(values.estimate(range(seeds)) if values else None, 1.0),
    }


def criteria(rng: np.random.Generator, seeds: int) -> Results:
    """How often a method that is as good as dense matches, at one level."""
    right = answers(rng, 2, seeds, 277)
    estimate = crossed(right[0] - right[1])
    matched = matches(*by_seed(right), limits=estimate.interval() if estimate else None)
    return {name: bool(value) for name, value in matched.items()}


def settings(value: float) -> Iterator[tuple[str, str, Callable[[np.random.Generator], Results]]]:
    """The tables, the name of each of their rows, and the function that makes a draw."""
    kinds: dict[str, dict[str, Any]] = {
        "": {},
        ", a fifth collapsed": {"collapse": 0.2},
        ", unequal spreads": {"spreads": (0.1, 0.3)},
    }
    for n, m, (kind, options) in itertools.product((3, 5, 10), (277, 1043), kinds.items()):
        draw = functools.partial(ranks_and_verdicts, seeds=n, examples=m, options=options)
        yield "false ranks, bold and verdicts", f"{n} seeds, {m} texts{kind}", draw
    for n, tasks in itertools.product((3, 5, 10), (1, 5, 9)):
        draw = functools.partial(averages, seeds=n, tasks=tasks, value=value)
        yield "averages", f"{n} seeds, {tasks} task{'s' if tasks > 1 else ''}", draw
    for n, m in itertools.product((3, 5, 10), (277, 1043)):
        draw = functools.partial(coverage, seeds=n, examples=m, value=value)
        yield "coverage of 95 % intervals", f"{n} seeds, {m} texts", draw
    for n in (3, 5, 10):
        yield "a method like dense matches at one level", f"{n} seeds, 277 texts", functools.partial(criteria, seeds=n)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--only", default="", help="Only rows with this in their title: name.")
    options = parser.parse_args()
    print(f"{options.draws} draws; a rate of 5 % has a standard error of {21.8 / options.draws**0.5:.1f} %")
    table = ""
    for title, name, draw in settings(truth()):
        if options.only not in f"{title}: {name}":
            continue
        results = [draw(np.random.default_rng(i)) for i in range(options.draws)]
        if title != table:
            table = title
            print(f"\n| {title} | {' | '.join(results[0])} |\n|---|{'---:|' * len(results[0])}")
        rates = (100 * sum(result[each] for result in results) / options.draws for each in results[0])
        print(f"| {name} | {' | '.join(f'{rate:.1f} %' for rate in rates)} |", flush=True)


if __name__ == "__main__":
    main()
