"""Rank and score of every method, by sparsity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from prunebench.reports.leaderboard.report import RANK, RETAINED, Placement, Ranking, Standing
from prunebench.reports.leaderboard.tables.columns import split_columns
from prunebench.reports.leaderboard.tables.scores import DENSE, MAJORITY, absence, unsupported_notes
from prunebench.reports.render.blocks import Bold, Table
from prunebench.reports.render.formatting import DASH, level, listing, points, spread
from prunebench.results.statistics import Summary


def ranking_tables(ranking: Ranking) -> Iterator[Table]:
    """A row for each method, a column for each sparsity, in as many tables as fit the width."""
    labels = methods_in_order(ranking)
    references = [] if ranking.rule == RANK else [DENSE, MAJORITY] if ranking.rule == RETAINED else [MAJORITY]
    names = [*references, *labels]
    columns = [_column(ranking, standing, references, labels) for standing in ranking.standings]
    parts = list(split_columns(names, columns))
    for i, part in enumerate(parts, start=1):
        yield Table(
            title=f"{ranking.title}, {ranking.track}, ranking",
            headers=(ranking.track, *(column[0] for column in part)),
            aligns="l" + "r" * len(part),
            body=tuple(zip(names, *(column[1:] for column in part), strict=True)),
            notes=ranking_notes(ranking) if i == len(parts) else (),
            rule=len(references),
        )


def methods_in_order(ranking: Ranking) -> list[str]:
    """The methods by their mean rank over the sparsities; those that lack a rank somewhere come last."""
    ranks: dict[str, list[int | None]] = {}
    for standing in ranking.standings:
        for placement in standing.placements:
            ranks.setdefault(placement.label, []).append(placement.rank)

    def key(label: str) -> tuple[int, float, str]:
        known = [rank for rank in ranks[label] if rank is not None]
        return len(ranking.standings) - len(known), fmean(known) if known else 0.0, label

    return sorted(ranks, key=key)


def _column(ranking: Ranking, standing: Standing, references: Sequence[str], labels: Sequence[str]) -> list[str]:
    reference_scores = {DENSE: points(1.0), MAJORITY: points(ranking.majority)}
    placements = {placement.label: placement for placement in standing.placements}
    # A single method has nobody to win against.
    alone = sum(placement.rank is not None for placement in standing.placements) < 2
    entries = [
        _entry(placements[label], ranking.rule, alone)
        if label in placements
        else absence(ranking.unsupported, label, standing.sparsity)
        for label in labels
    ]
    return [level(standing.sparsity), *(reference_scores[name] for name in references), *entries]


def _entry(placement: Placement, rule: str, alone: bool) -> str:
    if placement.rank is None:
        return "not ranked" if placement.summary is None else f"{amount(placement.summary, rule)} (not ranked)"
    if alone:
        return amount(placement.summary, rule)
    text = f"{rank_text(placement)} {amount(placement.summary, rule)}"
    return Bold(text) if placement.rank == 1 else text


def rank_text(placement: Placement) -> str:
    """`#1`, `#2=` for a tie, or a dash without a rank."""
    return DASH if placement.rank is None else f"#{placement.rank}{'=' if placement.tied else ''}"


def amount(summary: Summary | None, rule: str) -> str:
    """What methods are ranked by: an average rank as it is, anything else × 100."""
    if summary is None:
        return DASH
    return f"{summary.mean:.2f}" if rule == RANK else spread(summary, n=False)


def ranking_notes(ranking: Ranking) -> tuple[str, ...]:
    """Reasons why tasks or metrics are excluded, and why methods lack ranks or levels."""
    return (*ranking.notes, *_gap_notes(ranking.standings), *unsupported_notes(ranking.unsupported))


def _gap_notes(standings: Sequence[Standing]) -> Iterator[str]:
    """Why methods have no rank. Sparsities at which a method lacks the same share a sentence."""
    sparsities: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for standing in standings:
        for placement in standing.placements:
            if placement.gaps:
                sparsities.setdefault((placement.label, placement.gaps), []).append(standing.sparsity)
    for (label, gaps), levels in sorted(sparsities.items()):
        yield f"{label} at {listing(map(level, levels))} is not ranked: {'; '.join(gaps)}."
