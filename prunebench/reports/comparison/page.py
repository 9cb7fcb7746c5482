"""A comparison from top to bottom as blocks of text. Imports `words` and below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunebench.reports.comparison import sentences
from prunebench.reports.comparison.report import Across, Examples, Measured, Ranked, Report
from prunebench.reports.render.blocks import Block, Caution, Heading, Paragraph, Table
from prunebench.reports.render.numbers import NONE, level, listing, points
from prunebench.results.statistics.ranks import Ranking

MCNEMAR = (
    "McNemar's exact test of two runs of one seed on the same examples: how many both have right, the first alone, the "
    "second alone, and neither. It speaks of these two trained models and of examples like these. Another seed may "
    "show otherwise: whether a method is better is for the seeds to say, above."
)


def blocks(report: Report) -> Iterator[Block]:
    """The whole document."""
    every = [*report.methods, *([report.reference] if report.reference else [])]
    yield Heading(1, f"{listing(every[:-1])} and {every[-1]} compared")
    yield Table("Setting", ("setting", "value"), "ll", report.setting)
    yield from map(Caution, report.warnings)
    yield from map(Paragraph, sentences.about(report))
    yield from map(Paragraph, report.notes)
    pairs = list(dict.fromkeys((found.a, found.b) for found in report.measured))
    for a, b in pairs:
        yield Heading(2, f"{a} − {b}")
        measured = [found for found in report.measured if (found.a, found.b) == (a, b)]
        for task in dict.fromkeys(found.place.task for found in measured):
            yield from _task(a, b, task, [found for found in measured if found.place.task == task], report)
        yield from _across(a, b, [found for found in report.across if (found.a, found.b) == (a, b)], report)
    if report.ranked:
        yield Heading(2, "Ranks over tasks")
        yield Paragraph(sentences.RANKS)
        for entry in report.ranked:
            yield from _ranks(entry)


def _task(a: str, b: str, task: str, measured: Sequence[Measured], report: Report) -> Iterator[Block]:
    benchmark, split = measured[0].place.benchmark, measured[0].pairs[0][0].cell.split
    where = split if benchmark in ("", "GLUE") else f"{benchmark}, {split}"
    title = f"{a} − {b}: {task} ({where})"
    yield Heading(3, title)
    yield Table(
        title=title,
        headers=(
            *("sparsity", "metric", "seeds", a, b, "difference", "95 % interval", "d_z", "p (t)", "p (Wilcoxon)"),
            *("p (flips)", "p (t, Holm)", "could show"),
        ),
        aligns="rl" + "r" * 11,
        body=tuple(_row(found) for found in measured),
        notes=tuple(sentences.sentence(found, report.tests) for found in measured),
    )
    yield from _examples([found for found in report.examples if (found.a, found.b, found.place.task) == (a, b, task)])


def _row(found: Measured) -> tuple[str, ...]:
    made = found.comparison
    assert made.summary is not None
    return (
        level(found.place.sparsity),
        sentences.title(found),
        str(made.n),
        points(found.mean_a),
        points(found.mean_b),
        sentences.signed(made.summary.mean),
        sentences.between(made.interval),
        NONE if made.effect is None else f"{made.effect:.2f}".replace("-", "−"),
        *map(sentences.probability, (made.p.t, made.p.wilcoxon, made.p.permutation, made.holm.t)),
        points(made.detectable),
    )


def _examples(found: Sequence[Examples]) -> Iterator[Block]:
    if found:
        yield Paragraph(MCNEMAR)
        first = found[0]
        yield Table(
            title=f"{first.a} and {first.b} on the examples of {first.place.task}",
            headers=("sparsity", "split", "seed", "both", first.a, first.b, "neither", "p (McNemar)", "p (Holm)"),
            aligns="rl" + "r" * 7,
            body=tuple(
                (
                    level(entry.place.sparsity),
                    entry.place.split,
                    str(entry.seed),
                    *(str(getattr(entry.counts, name)) for name in ("both", "only_a", "only_b", "neither")),
                    sentences.probability(entry.counts.p),
                    sentences.probability(entry.holm),
                )
                for entry in found
            ),
        )


def _across(a: str, b: str, found: Sequence[Across], report: Report) -> Iterator[Block]:
    if found:
        title = f"{a} − {b}: over tasks ({listing(sorted({split for entry in found for split in entry.splits}))})"
        yield Heading(3, title)
        yield Table(
            title=title,
            headers=("sparsity", "tasks", "difference", "d_z", "p (Wilcoxon)", "p (Wilcoxon, Holm)"),
            aligns="r" * 6,
            body=tuple(_across_row(entry) for entry in found),
            notes=tuple(sentences.across(entry, len(report.across)) for entry in found),
        )


def _across_row(entry: Across) -> tuple[str, ...]:
    made = entry.comparison
    assert made.summary is not None
    return (
        level(entry.sparsity),
        str(made.n),
        sentences.signed(made.summary.mean),
        NONE if made.effect is None else f"{made.effect:.2f}".replace("-", "−"),
        sentences.probability(made.p.wilcoxon),
        sentences.probability(made.holm.wilcoxon),
    )


def _ranks(entry: Ranked) -> Iterator[Block]:
    title = f"Ranks over tasks at sparsity {level(entry.sparsity)} ({listing(entry.splits)})"
    yield Heading(3, title)
    made = entry.ranking
    yield Table(
        title=title,
        headers=("rank", "method", "average rank", "not told apart"),
        aligns="rlrl",
        body=tuple(
            (str(made.places[name]), name, f"{made.ranks[name]:.2f}", _letters(made, name)) for name in made.ranks
        ),
        notes=(sentences.ranking(entry),),
    )


def _letters(made: Ranking, name: str) -> str:
    """The groups that the method stands in, the best being a, each at its place: what shares a letter is one column."""
    letters = (chr(ord("a") + i % 26) * (1 + i // 26) for i in range(len(made.groups)))
    return " ".join(letter if name in group else "·" for letter, group in zip(letters, made.groups, strict=True))
