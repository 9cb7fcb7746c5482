"""Two or more methods against each other: seed by seed on every task, and over tasks.

Answers whether a difference between methods is more than noise, with intervals, effect sizes and corrected p values.

In reading order:

- `report`: the data classes of a comparison
- `methods`: which methods and rows are compared
- `scores`: the scores by method, task, sparsity, metric and seed
- `differences`: A − B on each task, and of the average over tasks
- `build`: from rows to a `Report`
- `notes`: what was left out, and what may make a score wrong
- `setting`: the setting as a page prints it
- `predictions`: McNemar's test on stored predictions
- `sentences`: the results in words
- `page`: tables and sentences as a page
- `export`: CSV and JSON
"""

from __future__ import annotations

from collections.abc import Callable

from prunebench.reports.comparison.build import INTERVALS, build
from prunebench.reports.comparison.export import to_csv, to_json
from prunebench.reports.comparison.page import blocks
from prunebench.reports.comparison.report import Report
from prunebench.reports.render.markdown import markdown

__all__ = ["FORMATS", "INTERVALS", "Report", "blocks", "build"]

FORMATS: dict[str, Callable[[Report], str]] = {
    "md": lambda report: markdown(blocks(report)),
    "csv": to_csv,
    "json": to_json,
}
