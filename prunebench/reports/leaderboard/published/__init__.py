"""Scores that others published, to be shown beside measured ones.

`scores.csv` has a row for each number, and `sources.toml` says where they come from. None of them was measured by this
project; pages mark them as reported and never rank them. Scores are × 100, as printed there.

`dense_scores`  what is published of a dense model
`papers`        the rows of a source, as a table
"""

from prunebench.reports.leaderboard.published.papers import ALL, Column, Paper, Reported, names, papers
from prunebench.reports.leaderboard.published.scores import PublishedScore, Source, dense_scores, scores, sources

__all__ = [
    "ALL",
    "Column",
    "Paper",
    "PublishedScore",
    "Reported",
    "Source",
    "dense_scores",
    "names",
    "papers",
    "scores",
    "sources",
]
