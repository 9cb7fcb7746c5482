"""How often the statistics of pages are wrong where the truth is known: false verdicts and ranks, and coverage.

Draws are of scores as benchmarks have them: right or wrong on examples of different difficulty that all seeds share,
with an effect of each seed, rounded to one example; in some draws a seed collapses to the majority class. No method is
better than another, so that each verdict is a false one.

    python calibration.py [--draws 2000]
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from prunebench.results.statistics.best import separate
from prunebench.results.statistics.comparison import ALPHA, compare, family
from prunebench.results.statistics.crossed import Estimate, average, crossed, over_seeds, rounding_floor
from prunebench.results.statistics.matching import matches
from prunebench.results.statistics.ratio import retained

MAJORITY = 0.53


def answers(rng: np.random.Generator, methods: int, seeds: int, examples: int, collapse: float = 0.0) -> np.ndarray:
    """Whether each is right, shape (methods, seeds, examples), for models that are right on 70 % of all texts.

    A text is right with a probability of its own, which a seed moves for all texts alike, and a method's training for
    each text; a share `collapse` of the trainings predicts the majority class.
    """
    difficulty = rng.normal(1.1, 1.5, (1, 1, examples))
    seed = rng.normal(0, 0.1, (methods, seeds, 1))
    chance = 1 / (1 + np.exp(-(difficulty + seed + rng.normal(0, 0.7, (methods, seeds, examples)))))
    right = rng.random(chance.shape) < chance
    majority = rng.random(examples) < MAJORITY
    fallen = rng.random((methods, seeds, 1)) < collapse
    return np.where(fallen, majority, right).astype(float)


def truth() -> float:
    """The probability to be right on a new text with a new seed, by 4 million draws."""
    rng = np.random.default_rng(1)
    logit = rng.normal(1.1, 1.5, 4_000_000) + rng.normal(0, 0.1, 4_000_000) + rng.normal(0, 0.7, 4_000_000)
    return float((1 / (1 + np.exp(-logit))).mean())


def by_seed(right: np.ndarray) -> list[dict[int, float]]:
    return [dict(enumerate(scores.tolist())) for scores in right.mean(axis=2)]


def false_ranks(right: np.ndarray) -> bool:
    """Tukey with seeds as blocks: whether any of the methods has a rank below the first."""
    scores = {str(i): values for i, values in enumerate(by_seed(right))}
    separation = separate(scores, floor=rounding_floor(right.shape[2]) / np.sqrt(2))
    return separation is not None and max(separation.ranks().values()) > 1


def false_ranks_by_pairs(right: np.ndarray, floor: bool) -> bool:
    """Paired t tests of all pairs with Holm's correction, as 0.1 had them, or with a floor for the spread."""
    scores = by_seed(right)
    least = rounding_floor(right.shape[2]) if floor else 0.0
    comparisons = family([compare(a, b, least) for a, b in itertools.combinations(scores, 2)])
    return any((c.holm.t is None and floor is False) or (c.holm.t or 1.0) < ALPHA for c in comparisons)


def covers(estimate: Estimate | None, value: float) -> bool:
    interval = estimate.interval() if estimate else None
    return interval is not None and interval.low <= value <= interval.high


def rates(check: Callable[[np.random.Generator], bool], draws: int) -> float:
    return 100 * sum(check(np.random.default_rng(draw)) for draw in range(draws)) / draws


def checks(value: float) -> Iterator[tuple[str, Callable[[np.random.Generator], bool]]]:
    for n, examples, collapse in itertools.product((3, 5, 10), (277, 1043), (0.0, 0.2)):
        setting = f"{n} seeds, {examples} texts{', a fifth collapsed' if collapse else ''}"

        def draw(rng: np.random.Generator, k: int, n: int = n, m: int = examples, c: float = collapse) -> np.ndarray:
            return answers(rng, k, n, m, c)

        yield (
            f"false rank, 6 methods, {setting}: t and Holm",
            lambda rng, d=draw: false_ranks_by_pairs(d(rng, 6), False),
        )
        yield (
            f"false rank, 6 methods, {setting}: with the floor",
            lambda rng, d=draw: false_ranks_by_pairs(d(rng, 6), True),
        )
        yield f"false rank, 6 methods, {setting}: Tukey", lambda rng, d=draw: false_ranks(d(rng, 6))
        if collapse:
            continue
        yield (
            f"coverage of a score, {setting}: seeds alone",
            lambda rng, d=draw: covers(over_seeds(d(rng, 1)[0].mean(axis=1).tolist()), value),
        )
        yield f"coverage of a score, {setting}: crossed", lambda rng, d=draw: covers(crossed(d(rng, 1)[0]), value)

        def difference(rng: np.random.Generator, d: Callable[..., np.ndarray] = draw) -> np.ndarray:
            a, b = d(rng, 2)
            return a - b

        yield (
            f"coverage of a difference, {setting}: seeds alone",
            lambda rng, d=difference: covers(over_seeds(d(rng).mean(axis=1).tolist()), 0.0),
        )
        yield f"coverage of a difference, {setting}: crossed", lambda rng, d=difference: covers(crossed(d(rng)), 0.0)

        def ratio(rng: np.random.Generator, d: Callable[..., np.ndarray] = draw) -> bool:
            method, dense = by_seed(d(rng, 2))
            return covers(retained(method, dense, MAJORITY), 1.0)

        yield f"coverage of the share retained, {setting}", ratio
        for name in ("strict", "each-seed", "one-std", "non-inferior"):
            yield (
                f"a method like dense matches, {setting}: {name}",
                lambda rng, d=draw, name=name: bool(matches(*by_seed(d(rng, 2)))[name]),
            )
    for n, tasks in itertools.product((3, 5, 10), (1, 5, 9)):

        def mean(rng: np.random.Generator, n: int = n, tasks: int = tasks) -> bool:
            parts = [crossed(answers(rng, 1, n, 400)[0]) for _ in range(tasks)]
            return covers(average(part for part in parts if part), value)

        yield f"coverage of an average, {n} seeds, {tasks} tasks", mean


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws
    print(f"{draws} draws; each rate has a standard error of at most {50 / draws**0.5:.1f} %")
    for name, check in checks(truth()):
        print(f"  {name:<78}{rates(check, draws):6.1f} %", flush=True)


if __name__ == "__main__":
    main()
