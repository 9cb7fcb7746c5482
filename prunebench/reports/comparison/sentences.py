"""The result of a comparison in sentences: a verdict for each row of a table, and how to read the tables."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.reports.comparison.differences import metric_names
from prunebench.reports.comparison.report import (
    AverageComparison,
    Report,
    SeedComparison,
    TaskComparison,
    TaskRanking,
)
from prunebench.reports.render.formatting import DASH, level, listing, points, signed
from prunebench.results.statistics.comparison import (
    ALPHA,
    BETTER,
    MIN_PAIRS,
    NO_SPREAD,
    TOO_FEW,
    WORSE,
    Comparison,
    smallest_p,
)
from prunebench.results.statistics.summary import INTERVALS, Interval

RANKS = (
    "Methods are ranked on each task by their score, the mean over metrics and then over seeds; rank 1 is the best. "
    "Methods that share a letter cannot be distinguished. The first column is 1 + the number of methods that are "
    "significantly better. Each sparsity is tested separately, without correction for the other sparsities."
)


def probability(p: float | None) -> str:
    """`0.0625`, or `<0.0001`."""
    if p is None:
        return DASH
    return "<0.0001" if p < 1e-4 else f"{p:.4f}"


def limits(interval: Interval | None) -> str:
    """`+8.44 to +11.16`: an interval of a difference, × 100."""
    return DASH if interval is None else f"{signed(interval.low)} to {signed(interval.high)}"


def metric_name(entry: SeedComparison) -> str:
    """The metric as pages print it, with the evaluation if the task has several."""
    condition = entry.condition
    suffixes = (entry.pairs[0][0].cell.suffix(name) for name in condition.evaluation.split(" and "))
    return f"{metric_names(condition.metric)} {' and '.join(suffixes)}".strip()


def seed_verdict(entry: SeedComparison, tests: int) -> str:
    """What the seeds show under one condition; `tests` is the number of comparisons that p is corrected for."""
    where = f"At {level(entry.condition.sparsity)}, {metric_name(entry)}"
    comparison, a, b = entry.comparison, entry.a, entry.b
    assert comparison.summary is not None
    mean, n, interval = comparison.summary.mean, comparison.n, interval_text(comparison)
    verdict = comparison.verdict()
    if verdict == TOO_FEW:
        return f"{where}: no verdict from {n} seed{'' if n == 1 else 's'}; at least {MIN_PAIRS} are needed."
    if verdict == NO_SPREAD:
        side = "above" if mean > 0 else "below"
        return (
            f"{where}: {a} is {points(abs(mean))} points {side} {b} on each of {n} seeds; a t test needs differences "
            "that vary."
        )
    if verdict in (BETTER, WORSE):
        p = _corrected(comparison.holm.crossed, tests)
        return f"{where}: {a} is {verdict} than {b} by {points(abs(mean))} points ({interval}, {p})."
    if not any(comparison.differences):
        return f"{where}: {a} and {b} have the same score on each of {n} seeds."
    return (
        f"{where}: no significant difference ({a} − {b}: {signed(mean)}, {interval}); "
        f"{_why_undecided(comparison, tests)}."
    )


def _why_undecided(comparison: Comparison, tests: int) -> str:
    """The reason for no verdict: the correction, or too few seeds for such a small difference."""
    p = comparison.p.crossed
    if p is not None and p < ALPHA:
        return f"it is significant on its own (p = {probability(p)}), but not among {tests} comparisons"
    among = f" among {tests} comparisons" if tests > 1 else ""
    return f"{comparison.n} seeds with this error can detect about {points(comparison.detectable)} points{among}"


def interval_text(comparison: Comparison) -> str:
    """`95 % interval +0.45 to +4.55`, by the error that verdicts use."""
    if comparison.crossed and comparison.error:
        return f"95 % interval over seeds and examples {limits(comparison.error.interval())}"
    return f"95 % interval {limits(comparison.interval)}"


def _corrected(p: float | None, tests: int) -> str:
    correction = f" after Holm's correction for {tests} comparisons" if tests > 1 else ""
    return f"p = {probability(p)}{correction}".replace("= <", "< ")


def task_verdict(entry: TaskComparison, tests: int) -> str:
    """What the tasks show at one sparsity; `tests` is the number of comparisons that p is corrected for."""
    comparison = entry.comparison
    assert comparison.summary is not None
    where = f"At {level(entry.sparsity)}, {comparison.n} tasks ({listing(comparison.pairs)})"
    mean = f"{entry.a} − {entry.b}: {signed(comparison.summary.mean)} on average"
    verdict = comparison.verdict("wilcoxon")
    if verdict == TOO_FEW:
        return f"{where}: no verdict, at least {MIN_PAIRS} tasks are needed ({mean})."
    if verdict in (BETTER, WORSE):
        p = _corrected(comparison.holm.wilcoxon, tests)
        return f"{where}: {entry.a} is {verdict} than {entry.b} ({mean}; Wilcoxon's {p})."
    p = f"{mean}; Wilcoxon's p = {probability(comparison.p.wilcoxon)}"
    least = smallest_p(comparison.n)
    if least * tests > ALPHA:
        among = f" among {tests} comparisons" if tests > 1 and least <= ALPHA else ""
        return (
            f"{where}: this test cannot show any difference with {comparison.n} tasks{among}, because p cannot be "
            f"below {probability(least)} ({p})."
        )
    return f"{where}: no significant difference ({p})."


def average_verdict(entry: AverageComparison, tests: int) -> str:
    """What the average over tasks shows at one sparsity; `tests` is the number of averages that p is corrected for."""
    over = "seeds and examples" if entry.crossed else "seeds"
    mean, interval = entry.error.mean, f"95 % interval over {over} {limits(entry.error.interval())}"
    where = f"At {level(entry.sparsity)}, the average of {len(entry.tasks)} tasks ({listing(entry.tasks)})"
    if entry.holm is not None and entry.holm < ALPHA:
        verdict, p = BETTER if mean > 0 else WORSE, _corrected(entry.holm, tests)
        return f"{where}: {entry.a} is {verdict} than {entry.b} by {points(abs(mean))} points ({interval}, {p})."
    p = f"p = {probability(entry.p)}"
    return f"{where}: no significant difference ({entry.a} − {entry.b}: {signed(mean)}, {interval}, {p})."


def rank_verdict(entry: TaskRanking) -> str:
    """What the ranks over tasks show at one sparsity."""
    ranking = entry.ranking
    if ranking.reason:
        return f"No test ({ranking.reason}); all methods share rank 1."
    f = "infinite" if ranking.f is None else f"{ranking.f:.2f}"
    tests = (
        f"Friedman's χ² = {ranking.chi2:.2f}, p = {probability(ranking.p)} (Iman and Davenport's F = {f}, "
        f"p = {probability(ranking.f_p)}) over {len(ranking.blocks)} tasks".replace("= <", "< ")
    )
    if not ranking.rejects:
        return f"{tests}. The methods cannot be distinguished, so all share rank 1."
    none = " No two methods differ that much." if len(ranking.groups) == 1 else ""
    return (
        f"{tests}. Two methods differ significantly if their average ranks differ by the critical difference "
        f"{ranking.cd:.2f} or more (Nemenyi, α = {ranking.alpha}).{none}"
    )


def introduction(report: Report) -> Iterator[str]:
    """How to read the tables, and what so few seeds cannot show."""
    yield (
        "Differences are the first method minus the second, × 100, over the seeds that both have, with the "
        f"{INTERVALS[report.interval]} interval of their mean (two-sided, 95 %). d_z is Cohen's effect size for paired "
        "samples: mean / std of the differences (ddof = 1)."
    )
    corrected = f", after Holm's correction for all {report.tests} comparisons here" if report.tests > 1 else ""
    yield (
        "All p values are two-sided: for the paired t test, for Wilcoxon's signed-rank test, and for the permutation "
        "test that flips the signs of the differences in all possible ways. A method is called better or worse by the "
        f"t test at {ALPHA}{corrected}{_over_examples(report)}. No deviation below that of the rounding to one example "
        "is believed. The last column is the smallest difference that this test detects four times in five, at the "
        "level that is left to each comparison by the correction."
    )
    if report.rope is not None:
        yield _bayes(report.rope)
    for n in sorted({entry.comparison.n for entry in report.over_seeds}):
        if n >= MIN_PAIRS and smallest_p(n) * report.tests > ALPHA:
            among = f" and {report.tests} comparisons" if smallest_p(n) <= ALPHA else ""
            yield (
                f"With {n} seeds, Wilcoxon's test and the sign flips cannot give a p below "
                f"{probability(smallest_p(n))}, however large the difference is. With {n} seeds{among}, these tests "
                "cannot show any difference."
            )


def _bayes(rope: float) -> str:
    """What the probabilities are, with their prior."""
    return (
        "Probabilities that the first method is worse, practically the same (within "
        f"± {points(rope)} points) and better are an alternative to p values. The prior is flat in the mean difference "
        "and in the logarithm of the deviation, so that the mean has Student's t distribution around what was "
        "observed, with the error and degrees of freedom that verdicts use. There is no correction for the number of "
        "comparisons."
    )


def _over_examples(report: Report) -> str:
    """How verdicts use examples, if they do."""
    if not any(entry.comparison.crossed for entry in report.over_seeds):
        return ""
    return (
        ", with the error over seeds and examples (of a two-way layout with Satterthwaite's degrees of freedom) "
        "wherever predictions and labels are known"
    )
