"""The largest sparsity at which each method matches the dense model, and what the criteria mean."""

from __future__ import annotations

from collections.abc import Mapping

from prunebench.reports.leaderboard.level_sizes import level_with_encoder
from prunebench.reports.leaderboard.report import Line, Match, Section, Track
from prunebench.reports.leaderboard.tables.scores import in_ranking_order
from prunebench.reports.render.blocks import Table
from prunebench.reports.render.formatting import DASH, loss
from prunebench.results.statistics.matching import CRITERIA

TICKET = "winning ticket"
CROSSED = "non-inferior takes the interval over seeds and examples where that is known."
EQUAL = "Where every seed has a dense run of equal training, that is the dense run of these criteria."


def matching_table(section: Section, track: Track) -> Table:
    """The largest matching sparsity by each criterion: a row for each method and metric."""
    labels = in_ranking_order(track, {match.label for match in track.matching})
    several = len(section.columns) > 1
    tickets = any(line.outcomes for entry in track.levels for line in entry.lines)
    lines: dict[str, dict[float, Line]] = {}
    for entry in track.levels:
        for line in entry.lines:
            lines.setdefault(line.label, {})[entry.sparsity] = line
    body = [
        (
            match.label,
            *(match.column,) * several,
            *(_largest(match.largest[name], lines.get(match.label, {})) for name in CRITERIA),
            *(_ticket(match, lines.get(match.label, {})),) * tickets,
        )
        for match in sorted(track.matching, key=lambda match: labels.index(match.label))
    ]
    return Table(
        title=f"{section.title}, {track.name}, largest matching sparsity",
        headers=("method", *("metric",) * several, *CRITERIA, *(TICKET,) * tickets),
        aligns="l" + "l" * several + "r" * (len(CRITERIA) + tickets),
        body=tuple(body),
    )


def describe_criteria(delta: float, equal: bool = False) -> tuple[str, ...]:
    """A sentence for each criterion, and how to read the table, with the δ of the page.

    `equal` is whether the page has dense runs of equal training.
    """
    sentences = [f"{name}: {CRITERIA[name]}" for name in CRITERIA]
    return (
        *sentences,
        *(EQUAL,) * equal,
        CROSSED,
        f"On this page δ is {loss(delta)}. Each criterion goes up from the lowest sparsity and stops at the first one "
        "that does not match; a dash means that this is the lowest.",
        f"A {TICKET} matches strictly and was trained from θ0; n/a means that the method does not train from θ0. Rows "
        "with gaps never match, and nothing matches where no dense run beats the majority class for certain.",
    )


def _largest(sparsity: float | None, lines: Mapping[float, Line]) -> str:
    return DASH if sparsity is None else level_with_encoder(sparsity, lines.get(sparsity))


def _ticket(match: Match, lines: Mapping[float, Line]) -> str:
    return _largest(match.winning_ticket, lines) if match.trains_from_theta0 else "n/a"
