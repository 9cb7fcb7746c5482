"""Which dense runs a ranking compares with: those of equal training, or the plain ones. One decision for all methods.

Methods train for different lengths, and a dense model that trains longer is often better. Say imp trains once after its
last rewind and magnitude twice. Compared with dense runs of equal training, each with its own, both are judged alike.
Compared with plain dense, both are, too. But if one had the one and the other had the other, their shares would have
nothing in common, and neither would their ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from prunebench.reports.leaderboard.report import Line, Placement, Section
from prunebench.reports.render.formatting import listing

# A metric: its section, and its column there.
Column = tuple[Section, int]
# The lines of one track: by task, then by sparsity and label.
Lines = Mapping[str, Mapping[tuple[float, str], Line]]


def every_method_has_equal(lines: Lines, columns: Sequence[Column]) -> bool:
    """Whether every method has a dense run of equal training for each task, sparsity and seed that has a dense run."""
    return not _without_equal(lines, columns)


def _without_equal(lines: Lines, columns: Sequence[Column]) -> set[str]:
    """The methods that lack a dense run of equal training somewhere."""
    return {
        label
        for section, i in columns
        for (_, label), line in lines[section.name].items()
        if line.scores[i].values.keys() & line.scores[i].dense.keys() - line.scores[i].equal.keys()
    }


def with_other_dense(placements: Sequence[Placement], equal: bool) -> list[Placement]:
    """The placements at one sparsity with the share of the dense runs that they are not ranked by.

    None of them has it where both kinds of dense runs are the same for all methods.
    """
    if all(each.of_equal in (None, each.of_dense) for each in placements):
        return list(placements)
    return [replace(each, other=("dense", each.of_dense) if equal else ("equal", each.of_equal)) for each in placements]


def unequal_note(lines: Lines, columns: Sequence[Column], references: bool) -> Iterator[str]:
    """A note that all methods are compared with plain dense, on a page that has `references` of equal training."""
    without = _without_equal(lines, columns)
    if without and references:
        yield (
            "All methods are compared with plain dense: not every task and seed has a dense run as long as the "
            f"training of {listing(sorted(without))}."
        )
