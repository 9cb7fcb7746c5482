"""Rank and score of every method, by sparsity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from prunebench.reports.leaderboard.level_sizes import size_rows
from prunebench.reports.leaderboard.ranking import NO_METRIC, methods_in_order
from prunebench.reports.leaderboard.report import RANK, RATIO, RETAINED, Placement, Ranking, Standing
from prunebench.reports.leaderboard.tables.columns import split_columns
from prunebench.reports.leaderboard.tables.scores import CLOSE, DENSE, MAJORITY, absence, unsupported_notes
from prunebench.reports.render.blocks import Bold, Table
from prunebench.reports.render.formatting import DASH, level, limits, listing, points, spread
from prunebench.results.statistics.best import MIN_SEEDS

# How a placement is written in a cell, by the rule, whether it is the only one that is ranked, and whether it is best.
Entry = Callable[[Placement, str, bool, bool], str]


def ranking_tables(ranking: Ranking) -> Iterator[Table]:
    """A row for each method, a column for each sparsity, in as many tables as fit the width."""
    names, references, columns = _contents(ranking, _entry)
    parts = list(split_columns(names, columns))
    for i, part in enumerate(parts, start=1):
        yield replace(_table(ranking, names, references, part), notes=ranking_notes(ranking) if i == len(parts) else ())


def _contents(ranking: Ranking, entry: Entry) -> tuple[list[str], list[str], list[list[str]]]:
    """The names of all rows, those of the references among them, and a column for each sparsity."""
    labels = methods_in_order(ranking)
    references = [] if ranking.rule == RANK else [DENSE, MAJORITY] if ranking.rule in (RETAINED, RATIO) else [MAJORITY]
    sizes = dict(size_rows([(standing.sparsity, standing.sizes) for standing in ranking.standings]))
    columns = [_column(ranking, standing, references, labels, entry) for standing in ranking.standings]
    for i, column in enumerate(columns):
        column[1 + len(references) : 1 + len(references)] = [texts[i] for texts in sizes.values()]
    references += sizes
    return [*references, *labels], references, columns


def _table(ranking: Ranking, names: Sequence[str], references: Sequence[str], columns: Sequence[list[str]]) -> Table:
    return Table(
        title=f"{ranking.title}, {ranking.track}, ranking",
        headers=(ranking.track, *(column[0] for column in columns)),
        aligns="l" + "r" * len(columns),
        body=tuple(zip(names, *(column[1:] for column in columns), strict=True)),
        rule=len(references),
    )


def number_table(ranking: Ranking) -> Table:
    """The same for a paper, in one table however wide: numbers and marks only, without ranks and without notes."""
    names, references, columns = _contents(ranking, _number)
    return _table(ranking, names, references, columns)


def _column(
    ranking: Ranking, standing: Standing, references: Sequence[str], labels: Sequence[str], entry: Entry
) -> list[str]:
    reference_scores = {DENSE: points(1.0), MAJORITY: points(ranking.majority)}
    placements = {placement.label: placement for placement in standing.placements}
    alone, best = is_alone(standing.placements), leader(standing.placements, ranking)
    entries = [
        entry(placements[label], ranking.rule, alone, label == best)
        if label in placements
        else absence(ranking.unsupported, label, standing.sparsity)
        for label in labels
    ]
    return [level(standing.sparsity), *(reference_scores[name] for name in references), *entries]


def is_alone(placements: Iterable[Placement]) -> bool:
    """Whether fewer than two methods are ranked: a single one has nobody to win against."""
    return sum(placement.rank is not None for placement in placements) < 2


def leader(placements: Sequence[Placement], ranking: Ranking) -> str:
    """The method that is printed bold: the first one, or "" if nothing tells it apart.

    That is so if it is alone, if there are too few seeds, or if it does not beat the majority class for certain.
    """
    ranked = [(placement.label, placement.summary) for placement in placements if placement.rank is not None]
    if len(ranked) < 2 or (ranking.rule != RANK and any(not each or each.n < MIN_SEEDS for _, each in ranked)):
        return ""
    label, first = ranked[0]
    if first is None or ranking.majority is None:
        return label
    crossed = next(placement.crossed for placement in placements if placement.label == label)
    bounds = crossed.interval() if crossed else limits(first)
    return label if (bounds.low if bounds else first.mean) > ranking.majority else ""


def _entry(placement: Placement, rule: str, alone: bool, best: bool) -> str:
    if placement.rank is None:
        return "not ranked" if placement.summary is None else f"{amount(placement, rule)} (not ranked)"
    if alone:
        return amount(placement, rule)
    text = f"{rank_text(placement)} {amount(placement, rule)}"
    return Bold(text) if best else text


def _number(placement: Placement, rule: str, alone: bool, best: bool) -> str:
    """The number alone: bold, marked as inseparable from the best one, or in parentheses without a rank."""
    if placement.summary is None:
        return DASH
    std = "" if placement.summary.std is None or rule == RANK else f" ± {100 * placement.summary.std:.1f}"
    mean = placement.summary.mean if rule == RANK else 100 * placement.summary.mean
    text = f"{mean:.{2 if rule == RANK else 1}f}{std}".replace("-", "−")
    if placement.rank is None:
        return f"({text})"
    return Bold(text) if best else f"{text} {CLOSE}" if placement.rank == 1 and not alone else text


def rank_text(placement: Placement) -> str:
    """`#1`, `#2=` for a tie, or a dash without a rank."""
    return DASH if placement.rank is None else f"#{placement.rank}{'=' if placement.tied else ''}"


def amount(placement: Placement, rule: str) -> str:
    """What methods are ranked by: an average rank as it is, anything else × 100.

    The share of the other dense runs, plain ones or those of equal training, follows in brackets where they differ.
    """
    summary = placement.summary
    if summary is None:
        return DASH
    if rule == RANK:
        return f"{summary.mean:.2f}"
    text, (name, other) = spread(summary, n=False), placement.other or ("", None)
    return f"{text} ({name}: {points(other.mean)})" if other else text


def ranking_notes(ranking: Ranking) -> tuple[str, ...]:
    """Reasons why tasks or metrics are excluded, and why methods lack ranks or levels."""
    return (*ranking.notes, *_gap_notes(ranking.standings), *unsupported_notes(ranking.unsupported))


def _gap_notes(standings: Sequence[Standing]) -> Iterator[str]:
    """Why methods have no rank. Sparsities at which a method lacks the same share a sentence."""
    sparsities: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for standing in standings:
        for placement in standing.placements:
            # The ranking has a note on metrics that are excluded for all methods.
            gaps = tuple(gap for gap in placement.gaps if gap != NO_METRIC)
            if gaps:
                sparsities.setdefault((placement.label, gaps), []).append(standing.sparsity)
    for (label, gaps), levels in sorted(sparsities.items()):
        yield f"{label} at {listing(map(level, levels))} is not ranked: {'; '.join(gaps)}."
