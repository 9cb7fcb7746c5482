"""A comparison as a page: headings, tables and sentences from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunebench.reports.comparison import sentences
from prunebench.reports.comparison.report import (
    ExampleComparison,
    Report,
    SeedComparison,
    TaskComparison,
    TaskRanking,
)
from prunebench.reports.render.blocks import Block, Caution, Heading, Paragraph, Table
from prunebench.reports.render.formatting import DASH, level, listing, points, signed
from prunebench.results.statistics.comparison import Comparison
from prunebench.results.statistics.ranks import Ranking

MCNEMAR = (
    "McNemar's exact test of two runs of one seed on the same examples: how many examples both get right, only the "
    "first, only the second, and neither. It is about these two trained models and examples like these. Another seed "
    "may give another result, so whether a method is better is for the comparison over seeds to say."
)


def blocks(report: Report) -> Iterator[Block]:
    """The whole page."""
    methods = [*report.methods, *([report.reference] if report.reference else [])]
    yield Heading(1, f"Comparison of {listing(methods[:-1])} and {methods[-1]}")
    yield Table("Setting", ("setting", "value"), "ll", report.setting)
    if report.verification:
        yield Paragraph(report.verification)
    yield from map(Caution, report.warnings)
    yield from map(Paragraph, sentences.introduction(report))
    yield from map(Paragraph, report.notes)
    for a, b in dict.fromkeys((entry.a, entry.b) for entry in report.over_seeds):
        yield Heading(2, f"{a} − {b}")
        yield from _pair(a, b, report)
    if report.rankings:
        yield Heading(2, "Ranks over tasks")
        yield Paragraph(sentences.RANKS)
        for ranking in report.rankings:
            yield from _ranks(ranking)


def _pair(a: str, b: str, report: Report) -> Iterator[Block]:
    """Two methods: first each task, then over tasks."""
    over_seeds = [entry for entry in report.over_seeds if (entry.a, entry.b) == (a, b)]
    over_examples = [entry for entry in report.over_examples if (entry.a, entry.b) == (a, b)]
    for task in dict.fromkeys(entry.condition.task for entry in over_seeds):
        yield from _seeds([entry for entry in over_seeds if entry.condition.task == task], report.tests)
        yield from _examples([entry for entry in over_examples if entry.condition.task == task])
    over_tasks = [entry for entry in report.over_tasks if (entry.a, entry.b) == (a, b)]
    yield from _tasks(over_tasks, len(report.over_tasks))


def _seeds(entries: Sequence[SeedComparison], tests: int) -> Iterator[Block]:
    """Two methods on one task."""
    first = entries[0]
    benchmark, split = first.condition.benchmark, first.pairs[0][0].cell.split
    where = split if benchmark in ("", "GLUE") else f"{benchmark}, {split}"
    title = f"{first.a} − {first.b}: {first.condition.task} ({where})"
    yield Heading(3, title)
    yield Table(
        title=title,
        headers=(
            *("sparsity", "metric", "seeds", first.a, first.b, "difference", "95 % interval", "d_z", "p (t)"),
            *("p (Wilcoxon)", "p (sign flips)", "p (t, Holm)", "detectable"),
        ),
        aligns="rl" + "r" * 11,
        body=tuple(map(_seed_row, entries)),
        notes=tuple(sentences.seed_verdict(entry, tests) for entry in entries),
    )


def _seed_row(entry: SeedComparison) -> tuple[str, ...]:
    comparison = entry.comparison
    assert comparison.summary is not None
    p = comparison.p
    return (
        level(entry.condition.sparsity),
        sentences.metric_name(entry),
        str(comparison.n),
        points(entry.mean_a),
        points(entry.mean_b),
        signed(comparison.summary.mean),
        sentences.limits(comparison.interval),
        _effect(comparison),
        *map(sentences.probability, (p.t, p.wilcoxon, p.permutation, comparison.holm.t)),
        points(comparison.detectable),
    )


def _effect(comparison: Comparison) -> str:
    return DASH if comparison.effect is None else f"{comparison.effect:.2f}".replace("-", "−")


def _examples(entries: Sequence[ExampleComparison]) -> Iterator[Block]:
    if entries:
        yield Paragraph(MCNEMAR)
        first = entries[0]
        yield Table(
            title=f"{first.a} and {first.b} on the examples of {first.condition.task}",
            headers=(
                *("sparsity", "split", "seed", "both right", f"only {first.a}", f"only {first.b}", "neither"),
                *("p (McNemar)", "p (Holm)"),
            ),
            aligns="rl" + "r" * 7,
            body=tuple(map(_example_row, entries)),
        )


def _example_row(entry: ExampleComparison) -> tuple[str, ...]:
    counts = entry.counts
    return (
        level(entry.condition.sparsity),
        entry.condition.split,
        str(entry.seed),
        *map(str, (counts.both, counts.only_a, counts.only_b, counts.neither)),
        sentences.probability(counts.p),
        sentences.probability(entry.holm),
    )


def _tasks(entries: Sequence[TaskComparison], tests: int) -> Iterator[Block]:
    """Two methods over tasks."""
    if entries:
        first = entries[0]
        splits = sorted({split for entry in entries for split in entry.splits})
        title = f"{first.a} − {first.b}: over tasks ({listing(splits)})"
        yield Heading(3, title)
        yield Table(
            title=title,
            headers=("sparsity", "tasks", "difference", "d_z", "p (Wilcoxon)", "p (Wilcoxon, Holm)"),
            aligns="r" * 6,
            body=tuple(map(_task_row, entries)),
            notes=tuple(sentences.task_verdict(entry, tests) for entry in entries),
        )


def _task_row(entry: TaskComparison) -> tuple[str, ...]:
    comparison = entry.comparison
    assert comparison.summary is not None
    return (
        level(entry.sparsity),
        str(comparison.n),
        signed(comparison.summary.mean),
        _effect(comparison),
        sentences.probability(comparison.p.wilcoxon),
        sentences.probability(comparison.holm.wilcoxon),
    )


def _ranks(entry: TaskRanking) -> Iterator[Block]:
    title = f"Ranks over tasks at sparsity {level(entry.sparsity)} ({listing(entry.splits)})"
    yield Heading(3, title)
    ranking = entry.ranking
    yield Table(
        title=title,
        headers=("rank", "method", "average rank", "group"),
        aligns="rlrl",
        body=tuple(
            (str(ranking.places[method]), method, f"{rank:.2f}", _letters(ranking, method))
            for method, rank in ranking.ranks.items()
        ),
        notes=(sentences.rank_verdict(entry),),
    )


def _letters(ranking: Ranking, method: str) -> str:
    """The groups of a method as letters, `a` for the best group. Each letter has a position of its own: `a ·`, `· b`.

    After `z` come `aa`, `bb` and so on.
    """
    letters = (chr(ord("a") + i % 26) * (1 + i // 26) for i in range(len(ranking.groups)))
    return " ".join(letter if method in group else "·" for letter, group in zip(letters, ranking.groups, strict=True))
