"""The tables of rankings, of what matches, of the checklist and of papers. Imports `tables` and below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from prunebench.reports.leaderboard.model import RANK, RETAINED, Check, Match, Place, Ranking, Section, Standing, Track
from prunebench.reports.leaderboard.published import Paper, Reported
from prunebench.reports.leaderboard.tables import DENSE, MAJORITY, abreast
from prunebench.reports.render.blocks import Bold, Table
from prunebench.reports.render.formatting import METRICS, NONE, level, listing, loss, points, spread
from prunebench.results.statistics import Summary
from prunebench.results.statistics.matching import CRITERIA

HELD = {True: "yes", None: "in part", False: "no"}
REPORTED = "reported"
TICKET = "winning ticket"


def ranking(found: Ranking) -> Iterator[Table]:
    """Rank and what is ranked by: a row for each method, a column for each sparsity."""
    labels = in_order(found)
    references = [] if found.rule == RANK else [DENSE, MAJORITY] if found.rule == RETAINED else [MAJORITY]
    names = [*references, *labels]
    columns = [_column(found, standing, references, labels) for standing in found.standings]
    parts = list(abreast(names, columns))
    for i, part in enumerate(parts, start=1):
        yield Table(
            title=f"{found.title}, {found.track}, ranking",
            headers=(found.track, *(column[0] for column in part)),
            aligns="l" + "r" * len(part),
            body=tuple(zip(names, *(column[1:] for column in part), strict=True)),
            notes=(*found.notes, *gaps(found.standings)) if i == len(parts) else (),
            rule=len(references),
        )


def in_order(found: Ranking) -> list[str]:
    """The methods of a ranking by their mean rank over the sparsities, those without some rank last."""
    ranks: dict[str, list[int | None]] = {}
    for standing in found.standings:
        for place in standing.places:
            ranks.setdefault(place.label, []).append(place.rank)

    def key(label: str) -> tuple[int, float, str]:
        known = [rank for rank in ranks[label] if rank is not None]
        return len(found.standings) - len(known), fmean(known) if known else 0.0, label

    return sorted(ranks, key=key)


def _column(found: Ranking, standing: Standing, references: Sequence[str], labels: Sequence[str]) -> list[str]:
    known = {DENSE: points(1.0), MAJORITY: points(found.majority)}
    places = {place.label: place for place in standing.places}
    # The only one is no winner.
    alone = sum(place.rank is not None for place in standing.places) < 2
    entries = [_entry(places.get(label), found.rule, alone) for label in labels]
    return [level(standing.sparsity), *(known[name] for name in references), *entries]


def _entry(place: Place | None, rule: str, alone: bool) -> str:
    if place is None:
        return NONE
    if place.rank is None:
        return "not ranked" if place.summary is None else f"{amount(place.summary, rule)} (not ranked)"
    if alone:
        return amount(place.summary, rule)
    text = f"{position(place)} {amount(place.summary, rule)}"
    return Bold(text) if place.rank == 1 else text


def position(place: Place) -> str:
    """`#1`, `#2=` where it is tied, or a dash where there is no rank."""
    return NONE if place.rank is None else f"#{place.rank}{'=' if place.tied else ''}"


def amount(summary: Summary | None, rule: str) -> str:
    """What is ranked by: an average rank as it is, everything else × 100."""
    if summary is None:
        return NONE
    return f"{summary.mean:.2f}" if rule == RANK else spread(summary, n=False)


def gaps(standings: Sequence[Standing]) -> Iterator[str]:
    """Why a method has no rank, with all sparsities where it lacks the same."""
    lacking: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for standing in standings:
        for place in standing.places:
            if place.gaps:
                lacking.setdefault((place.label, place.gaps), []).append(standing.sparsity)
    for (label, gaps), sparsities in sorted(lacking.items()):
        yield f"{label} at {listing(map(level, sparsities))} is not ranked: {'; '.join(gaps)}."


def matching(section: Section, track: Track) -> Table:
    """The largest sparsity that matches by each criterion: a row for each method and metric."""
    several = len(section.columns) > 1
    tickets = any(line.outcomes for entry in track.levels for line in entry.lines)
    body = [
        (
            match.label,
            *(match.column,) * several,
            *(_largest(match.largest[name], match.holes[name]) for name in CRITERIA),
            *(_ticket(match),) * tickets,
        )
        for match in track.matching
    ]
    return Table(
        title=f"{section.title}, {track.name}, largest matching sparsity",
        headers=("method", *("metric",) * several, *CRITERIA, *(TICKET,) * tickets),
        aligns="l" + "l" * several + "r" * (len(CRITERIA) + tickets),
        body=tuple(body),
    )


def criteria(delta: float) -> tuple[str, ...]:
    """Every criterion in a sentence, with the δ of this page."""
    said = [f"{name}: {CRITERIA[name]}" for name in CRITERIA]
    return (
        *said,
        f"Here δ is {loss(delta)}. A dash: no sparsity matches; in brackets: smaller ones that do not.",
        f"A {TICKET} matches strictly and was trained from θ0; n/a: the method does not train from θ0. Rows with gaps "
        "match nothing.",
    )


def _largest(sparsity: float | None, holes: Sequence[float]) -> str:
    if sparsity is None:
        return NONE
    return f"{level(sparsity)} (not {listing(map(level, holes))})" if holes else level(sparsity)


def _ticket(match: Match) -> str:
    if not match.ticketed:
        return "n/a"
    return NONE if match.ticket is None else level(match.ticket)


def checklist(found: Sequence[Check]) -> Table:
    """Every question with its answer."""
    body = tuple((check.what, HELD[check.held], check.found) for check in found)
    return Table("Reporting checklist", ("what reviewers ask for", "here", "found"), "llp", body)


def paper(found: Paper) -> Iterator[Table]:
    """The rows of a paper, each marked as reported, as many of its columns abreast as there is room."""
    names, columns = _names(found), _columns(found)
    yield from (_side_by_side(found, names, part) for part in abreast(names, columns))


def whole(found: Paper) -> Table:
    """The rows of a paper with all columns in one table."""
    return _side_by_side(found, _names(found), _columns(found))


def _names(found: Paper) -> list[str]:
    return [f"{row.method} ({REPORTED})" for row in found.rows]


def _columns(found: Paper) -> list[list[str]]:
    return [[_head(found, i), *(_reported(row, i) for row in found.rows)] for i in range(len(found.columns))]


def _side_by_side(found: Paper, names: Sequence[str], columns: Sequence[list[str]]) -> Table:
    return Table(
        title=found.citation,
        headers=("method", *(column[0] for column in columns)),
        aligns="l" + "r" * len(columns),
        body=tuple(zip(names, *(column[1:] for column in columns), strict=True)),
    )


def _head(found: Paper, column: int) -> str:
    entry = found.columns[column]
    tasks = [other.task for other in found.columns]
    metric = f" {METRICS.get(entry.metric, entry.metric)}" if tasks.count(entry.task) > 1 else ""
    return f"{entry.task}{metric}{'' if entry.sparsity is None else f' {level(entry.sparsity)}'}"


def _reported(row: Reported, column: int) -> str:
    mean = row.mean[column]
    if mean is None:
        return NONE
    return f"{mean:.1f}" + (f" ± {row.std[column]:.1f}" if row.std else "")


def setting(found: Paper) -> str:
    """Under what a paper's numbers were made, in a sentence."""
    metrics = dict.fromkeys(f"{entry.task} {METRICS.get(entry.metric, entry.metric)}" for entry in found.columns)
    return (
        f"{REPORTED.capitalize()}, not measured here, and never ranked: {found.citation}, {found.url}. Model "
        f"{found.model}, split {found.split}, {found.seeds} seeds, × 100; {found.spread}. Sparsity: "
        f"{found.denominator}. Metrics: {listing(metrics)}."
    )
