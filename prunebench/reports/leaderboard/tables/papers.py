"""Tables of papers, as reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunebench.reports.leaderboard.published import Paper, Reported
from prunebench.reports.leaderboard.tables.columns import split_columns
from prunebench.reports.render.blocks import Table
from prunebench.reports.render.formatting import DASH, level, listing, metric_name

REPORTED = "reported"


def paper_tables(paper: Paper) -> Iterator[Table]:
    """The rows of a paper, marked as reported, in as many tables as fit the width."""
    names, columns = _names(paper), _columns(paper)
    yield from (_paper_table(paper, names, part) for part in split_columns(names, columns))


def wide_paper_table(paper: Paper) -> Table:
    """The rows of a paper with all columns in one table."""
    return _paper_table(paper, _names(paper), _columns(paper))


def _names(paper: Paper) -> list[str]:
    several = len(paper.models) > 1
    return [f"{row.label}{f', {row.model}' if several else ''} ({REPORTED})" for row in paper.rows]


def _columns(paper: Paper) -> list[list[str]]:
    return [[_header(paper, i), *(_reported(row, i) for row in paper.rows)] for i in range(len(paper.columns))]


def _paper_table(paper: Paper, names: Sequence[str], columns: Sequence[list[str]]) -> Table:
    return Table(
        title=paper.citation,
        headers=("method", *(column[0] for column in columns)),
        aligns="l" + "r" * len(columns),
        body=tuple(zip(names, *(column[1:] for column in columns), strict=True)),
    )


def _header(paper: Paper, column: int) -> str:
    entry = paper.columns[column]
    known = [(other.task, other.evaluation) for other in paper.columns]
    evaluations = {other.evaluation for other in paper.columns if other.task == entry.task}
    metric = metric_name(entry.metric) if known.count((entry.task, entry.evaluation)) > 1 else ""
    sparsity = "" if entry.sparsity is None else level(entry.sparsity)
    return " ".join(filter(None, (entry.task, entry.evaluation if len(evaluations) > 1 else "", metric, sparsity)))


def _reported(row: Reported, column: int) -> str:
    mean = row.mean[column]
    if mean is None:
        return DASH
    return f"{mean:.1f}" + ("" if (std := row.std[column]) is None else f" ± {std:.1f}")


def describe_paper(paper: Paper) -> str:
    """The setting in which a paper's numbers were measured, in a sentence or two."""
    metrics = dict.fromkeys(
        " ".join(filter(None, (entry.task, entry.evaluation, metric_name(entry.metric) or "metric not named")))
        for entry in paper.columns
    )
    quoted = "" if paper.primary else " (quoted by others)"
    models = f"Model{'s' if len(paper.models) > 1 else ''} {listing(paper.models)}"
    return (
        f"{REPORTED.capitalize()}, not measured here, and never ranked: {paper.citation}, {paper.url}{quoted}. "
        f"{models}, split {paper.split}, {paper.seeds}, × 100; {paper.spread}. Sparsity of: {paper.denominator}. "
        f"Metrics: {listing(metrics)}."
    )
