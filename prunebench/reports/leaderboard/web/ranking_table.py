"""The rankings as rows for the HTML template."""

from __future__ import annotations

from dataclasses import dataclass

from prunebench.reports.leaderboard.level_sizes import size_rows
from prunebench.reports.leaderboard.ranking import methods_in_order
from prunebench.reports.leaderboard.report import RANK, RATIO, RETAINED, Placement, Ranking
from prunebench.reports.leaderboard.tables.rankings import amount, is_alone, leader, rank_text, ranking_notes
from prunebench.reports.leaderboard.tables.scores import DENSE, MAJORITY, absence
from prunebench.reports.render.formatting import level, points


@dataclass(frozen=True)
class RankingCell:
    """An entry of a ranking.

    fill: how far a bar fills the cell, in percent.
    first: whether the method is the best one of several.
    position: where the method stands in its column, for sorting.
    """

    rank: str
    text: str
    fill: float = 0.0
    first: bool = False
    position: int = 0


@dataclass(frozen=True)
class RankingTable:
    """A ranking with a row for each method and a column for each sparsity. `references` are rows above those."""

    title: str
    track: str
    levels: tuple[str, ...]
    references: tuple[tuple[str, tuple[str, ...]], ...]
    rows: tuple[tuple[str, tuple[RankingCell, ...]], ...]
    notes: tuple[str, ...]


def ranking_table(ranking: Ranking) -> RankingTable:
    columns = {
        standing.sparsity: {each.label: (i, each) for i, each in enumerate(standing.placements)}
        for standing in ranking.standings
    }
    count = len(ranking.standings)
    references = [(DENSE, [points(1.0)] * count)] if ranking.rule in (RETAINED, RATIO) else []
    if ranking.majority is not None:
        references.append((MAJORITY, [points(ranking.majority)] * count))
    references += size_rows([(standing.sparsity, standing.sizes) for standing in ranking.standings])
    return RankingTable(
        title=ranking.title,
        track=ranking.track,
        levels=tuple(level(standing.sparsity) for standing in ranking.standings),
        references=tuple((name, tuple(texts)) for name, texts in references),
        rows=tuple(
            (
                label,
                tuple(
                    _cell(column, label, ranking)
                    if label in column
                    else RankingCell("", absence(ranking.unsupported, label, sparsity), position=len(column))
                    for sparsity, column in columns.items()
                ),
            )
            for label in methods_in_order(ranking)
        ),
        notes=ranking_notes(ranking),
    )


def _cell(column: dict[str, tuple[int, Placement]], label: str, ranking: Ranking) -> RankingCell:
    position, placement = column[label]
    text = amount(placement, ranking.rule)
    bar = (
        0.0 if ranking.rule == RANK or placement.summary is None else min(100.0, max(0.0, 100 * placement.summary.mean))
    )
    placements = [other for _, other in column.values()]
    known = placement.summary is not None and (placement.rank is None or not is_alone(placements))
    rank = rank_text(placement) if known else ""
    return RankingCell(rank, text, round(bar, 1), label == leader(placements, ranking), position)
