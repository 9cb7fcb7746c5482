"""What a ranking leaves out, and which methods it compares with plain dense, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunebench.reports.leaderboard.report import Section, Standing
from prunebench.reports.render.formatting import listing


def excluded_note(columns: Sequence[tuple[Section, int]]) -> Iterator[str]:
    if columns:
        names = listing(f"{section.name} {section.columns[i]}" for section, i in columns)
        yield (
            f"Excluded for all methods: {names}. No dense run beats the majority class there for certain, so there is "
            "nothing that pruning could lose."
        )


def unequal_note(group: Sequence[Section], standings: Sequence[Standing]) -> Iterator[str]:
    """A note on methods that are compared with dense, on a page that has dense runs of equal training."""
    labels = {
        each.label for standing in standings for each in standing.placements if each.of_dense and not each.of_equal
    }
    if labels and any(section.references for section in group):
        yield (
            f"Compared with dense: {listing(sorted(labels))}. "
            "Not every task and seed has a dense run of equal training."
        )
