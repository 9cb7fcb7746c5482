"""What a comparison comes to, in plain words. Imports `model` and below."""

from __future__ import annotations

from collections.abc import Iterator

from prunebench.reports.comparison.report import Across, Measured, Ranked, Report
from prunebench.reports.leaderboard.section import METRICS
from prunebench.reports.render.numbers import NONE, level, listing, points
from prunebench.results.statistics.comparison import ALIKE, ALPHA, BETTER, FEW, LEAST_PAIRS, WORSE, Comparison, least_p
from prunebench.results.statistics.summary import INTERVALS, Interval


def probability(p: float | None) -> str:
    """`0.0625`, or `<0.0001`."""
    if p is None:
        return NONE
    return "<0.0001" if p < 1e-4 else f"{p:.4f}"


def signed(value: float) -> str:
    """A difference × 100 with its sign; nothing has none."""
    text = points(value)
    return f"+{text}" if value > 0 and text != "0.00" else text


def between(found: Interval | None) -> str:
    return NONE if found is None else f"{signed(found.low)} to {signed(found.high)}"


def title(found: Measured) -> str:
    """The metric as a page prints it, with the evaluation where a task has several."""
    place = found.place
    suffix = found.pairs[0][0].cell.suffix(place.evaluation)
    return f"{METRICS.get(place.metric, place.metric)} {suffix}".strip()


def sentence(found: Measured, family: int) -> str:
    """What the seeds show of one task, sparsity and metric, among `family` comparisons."""
    return f"At {level(found.place.sparsity)}, {title(found)}: {_said(found, family)}"


def _said(found: Measured, family: int) -> str:
    made, a, b = found.comparison, found.a, found.b
    assert made.summary is not None
    mean = made.summary.mean
    match made.verdict():
        case verdict if verdict == FEW:
            return f"{_many(made.n, 'seed')}, too few to call anything ({LEAST_PAIRS} at least)."
        case verdict if verdict == ALIKE:
            same = f"{a} is {points(abs(mean))} points {'above' if mean > 0 else 'below'} {b} on each of {made.n} seeds"
            return f"{same}; without any spread a t test cannot judge that."
        case verdict if verdict in (BETTER, WORSE):
            by = f"{a} is {verdict} than {b} by {points(abs(mean))} points"
            return f"{by} (95 % interval {between(made.interval)}, {_corrected(made.holm.t, family)})."
    if made.effect is None:
        return f"{a} and {b} have the same score on each of {made.n} seeds."
    shown = f"{a} − {b} {signed(mean)}, 95 % interval {between(made.interval)}"
    return f"no difference is shown ({shown}){_hidden(made, family)}."


def _hidden(made: Comparison, family: int) -> str:
    """What keeps a difference from being shown: the correction, or the seeds that there are."""
    if made.p.t is not None and made.p.t < ALPHA:
        return f"; alone it would be (p = {probability(made.p.t)}), among {family} comparisons it is not"
    return f"; {made.n} seeds that scatter so would have shown about {points(made.detectable)} points"


def _corrected(p: float | None, family: int) -> str:
    return f"p = {probability(p)}{f' after Holm for {family} comparisons' if family > 1 else ''}".replace("= <", "< ")


def across(found: Across, family: int) -> str:
    """What the tasks show at one sparsity."""
    made = found.comparison
    assert made.summary is not None
    where = f"At {level(found.sparsity)}, {made.n} tasks ({listing(made.pairs)})"
    difference = f"{found.a} − {found.b} {signed(made.summary.mean)} on average"
    verdict = made.verdict("wilcoxon")
    if verdict == FEW:
        return f"{where}: {difference}; too few tasks to call anything ({LEAST_PAIRS} at least)."
    if verdict in (BETTER, WORSE):
        by = _corrected(made.holm.wilcoxon, family)
        return f"{where}: {found.a} is {verdict} than {found.b} ({difference}; Wilcoxon's {by})."
    least = least_p(made.n)
    limit = f", and could not be below {probability(least)} with {made.n} tasks" if least > ALPHA else ""
    return f"{where}: no difference is shown ({difference}; Wilcoxon's p = {probability(made.p.wilcoxon)}{limit})."


def ranking(found: Ranked) -> str:
    """What ranks over tasks show at one sparsity."""
    made = found.ranking
    if made.reason:
        return f"No test ({made.reason}): all share the first rank."
    f = "infinite" if made.f is None else f"{made.f:.2f}"
    tests = (
        f"Friedman's χ² = {made.chi2:.2f}, p = {probability(made.p)} (Iman and Davenport's F = {f}, "
        f"p = {probability(made.f_p)}) over {len(made.blocks)} tasks".replace("= <", "< ")
    )
    if not made.rejects:
        return f"{tests}: no method can be told from another, and all share the first rank."
    none = " Here none do." if len(made.groups) == 1 else ""
    return (
        f"{tests}. Two methods are told apart by average ranks that differ by the critical difference {made.cd:.2f} or "
        f"more (Nemenyi, α = {made.alpha}).{none}"
    )


RANKS = (
    "The blocks are tasks, with the mean over metrics and then over seeds as a score; rank 1 is the best. Methods that "
    "share a letter cannot be told apart, and the first column is 1 + the number of methods that are better for "
    "certain. Each sparsity is tested by itself, and not corrected for the others."
)


def about(report: Report) -> Iterator[str]:
    """How to read the tables, and what so few seeds cannot show."""
    yield (
        "Differences are of the first method minus the second, over the seeds that both have, × 100, with the "
        f"{INTERVALS[report.interval]} interval of their mean (two-sided, 95 %). d_z is Cohen's effect size for pairs: "
        "mean / std of the differences (ddof = 1)."
    )
    corrected = f", after Holm's correction for all {report.tests} comparisons here" if report.tests > 1 else ""
    yield (
        "All p are two-sided: of the paired t test, of Wilcoxon's signed ranks, and of the mean among all flips of the "
        f"differences' signs. What is called better or worse is decided by the t test at {ALPHA}{corrected}. The last "
        "column is the least difference that a t test of so many seeds with this spread finds four times in five, "
        "before any correction."
    )
    for n in sorted({found.comparison.n for found in report.measured}):
        if n >= LEAST_PAIRS and least_p(n) > ALPHA:
            yield (
                f"With {n} seeds neither Wilcoxon's test nor the flips of signs can go below p = "
                f"{probability(least_p(n))}, however great a difference is: that they show none says nothing."
            )


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
