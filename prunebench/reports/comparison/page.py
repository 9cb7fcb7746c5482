"""A comparison as a page: headings, tables and sentences from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunebench.reports.comparison import sentences
from prunebench.reports.comparison.report import (
    AverageComparison,
    ExampleComparison,
    Report,
    SeedComparison,
    TaskComparison,
    TaskRanking,
)
from prunebench.reports.render.blocks import Block, Caution, Heading, Paragraph, Table
from prunebench.reports.render.formatting import DASH, level, listing, percent, points, signed
from prunebench.results.statistics.bayes import probabilities
from prunebench.results.statistics.comparison import Comparison
from prunebench.results.statistics.crossed import Estimate
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
        yield from _seeds([entry for entry in over_seeds if entry.condition.task == task], report)
        yield from _examples([entry for entry in over_examples if entry.condition.task == task])
    averages = [entry for entry in report.averages if (entry.a, entry.b) == (a, b)]
    yield from _averages(averages, report)
    over_tasks = [entry for entry in report.over_tasks if (entry.a, entry.b) == (a, b)]
    yield from _tasks(over_tasks, len(report.over_tasks))


def _seeds(entries: Sequence[SeedComparison], report: Report) -> Iterator[Block]:
    """Two methods on one task."""
    first = entries[0]
    crossed = any(entry.comparison.crossed for entry in report.over_seeds)
    benchmark, split = first.condition.benchmark, first.pairs[0][0].cell.split
    where = split if benchmark in ("", "GLUE") else f"{benchmark}, {split}"
    title = f"{first.a} − {first.b}: {first.condition.task} ({where})"
    yield Heading(3, title)
    yield Table(
        title=title,
        headers=(
            *("sparsity", "metric", "seeds", first.a, first.b, "difference"),
            *(("95 %, seeds", "95 %, seeds and examples") if crossed else ("95 % interval",)),
            *("d_z", "p (t)", *("p (t, examples)",) * crossed, "p (Wilcoxon)", "p (sign flips)"),
            *("p (t, examples, Holm)" if crossed else "p (t, Holm)", "detectable"),
        ),
        aligns="rl" + "r" * (11 + 2 * crossed),
        body=tuple(_seed_row(entry, crossed) for entry in entries),
        notes=tuple(sentences.seed_verdict(entry, report.tests) for entry in entries),
    )
    if report.rope is not None:
        errors = [
            ((level(entry.condition.sparsity), sentences.metric_name(entry)), entry.comparison.error)
            for entry in entries
        ]
        yield from _probabilities(title, ("sparsity", "metric"), errors, report.rope)


def _probabilities(
    title: str, heads: tuple[str, ...], errors: Sequence[tuple[tuple[str, ...], Estimate | None]], rope: float
) -> Iterator[Block]:
    """The posterior of each difference."""
    body = []
    for names, error in errors:
        answer = probabilities(error, rope) if error else None
        shares = (answer.worse, answer.same, answer.better) if answer else (None, None, None)
        body.append((*names, *(DASH if share is None else percent(share) for share in shares)))
    yield Table(
        title=f"{title}, probabilities",
        headers=(*heads, "worse", f"same (± {points(rope)})", "better"),
        aligns="r" + "l" * (len(heads) - 1) + "rrr",
        body=tuple(body),
    )


def _averages(entries: Sequence[AverageComparison], report: Report) -> Iterator[Block]:
    """Two methods on the average over the tasks of each benchmark."""
    for benchmark in dict.fromkeys(entry.benchmark for entry in entries):
        group = [entry for entry in entries if entry.benchmark == benchmark]
        title = f"{group[0].a} − {group[0].b}: average over tasks ({benchmark})"
        yield Heading(3, title)
        yield Table(
            title=title,
            headers=("sparsity", "tasks", "difference", "95 % interval", "p (t)", "p (t, Holm)"),
            aligns="r" * 6,
            body=tuple(
                (
                    level(entry.sparsity),
                    str(len(entry.tasks)),
                    signed(entry.error.mean),
                    sentences.limits(entry.error.interval()),
                    sentences.probability(entry.p),
                    sentences.probability(entry.holm),
                )
                for entry in group
            ),
            notes=tuple(sentences.average_verdict(entry, len(report.averages)) for entry in group),
        )
        if report.rope is not None:
            errors = [((level(entry.sparsity),), entry.error) for entry in group]
            yield from _probabilities(title, ("sparsity",), errors, report.rope)


def _seed_row(entry: SeedComparison, crossed: bool) -> tuple[str, ...]:
    comparison = entry.comparison
    assert comparison.summary is not None
    p = comparison.p
    own = comparison.error.interval() if comparison.crossed and comparison.error else None
    return (
        level(entry.condition.sparsity),
        sentences.metric_name(entry),
        str(comparison.n),
        points(entry.mean_a),
        points(entry.mean_b),
        signed(comparison.summary.mean),
        sentences.limits(comparison.interval),
        *(sentences.limits(own),) * crossed,
        _effect(comparison),
        *map(sentences.probability, (p.t, *(p.crossed,) * crossed, p.wilcoxon, p.permutation)),
        sentences.probability(comparison.holm.crossed),
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
