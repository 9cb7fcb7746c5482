"""Two methods or more against each other: seed by seed on every task, and over tasks. Torch-free.

Imports `results`, `selection`, `stats`, and from `leaderboard` what text is laid out in.
"""

from __future__ import annotations

from collections.abc import Callable

from prunebench.reports.comparison.build import INTERVALS, build
from prunebench.reports.comparison.export import to_csv, to_json
from prunebench.reports.comparison.page import blocks
from prunebench.reports.comparison.report import Report
from prunebench.reports.render.markdown import markdown

__all__ = ["FORMATS", "INTERVALS", "Report", "build"]

FORMATS: dict[str, Callable[[Report], str]] = {
    "md": lambda report: markdown(blocks(report)),
    "csv": to_csv,
    "json": to_json,
}
