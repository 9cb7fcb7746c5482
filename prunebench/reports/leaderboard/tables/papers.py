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
    return [f"{row.method} ({REPORTED})" for row in paper.rows]


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
    tasks = [other.task for other in paper.columns]
    metric = f" {metric_name(entry.metric)}" if tasks.count(entry.task) > 1 else ""
    return f"{entry.task}{metric}{'' if entry.sparsity is None else f' {level(entry.sparsity)}'}"


def _reported(row: Reported, column: int) -> str:
    mean = row.mean[column]
    if mean is None:
        return DASH
    return f"{mean:.1f}" + (f" ± {row.std[column]:.1f}" if row.std else "")


def describe_paper(paper: Paper) -> str:
    """The setting in which a paper's numbers were measured, in a sentence or two."""
    metrics = dict.fromkeys(f"{entry.task} {metric_name(entry.metric)}" for entry in paper.columns)
    return (
        f"{REPORTED.capitalize()}, not measured here, and never ranked: {paper.citation}, {paper.url}. Model "
        f"{paper.model}, split {paper.split}, {paper.seeds} seeds, × 100; {paper.spread}. Sparsity: "
        f"{paper.denominator}. Metrics: {listing(metrics)}."
    )
