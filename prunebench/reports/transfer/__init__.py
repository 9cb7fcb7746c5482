"""Masks found on one task and trained on another (Chen et al. 2020, section 4.1).

The report on a transfer, beside `planning.transfer`, which plans it.

In reading order:

- `grid`: the scores of each mask on each target, and which masks match or are universal
- `page`: the tables of the page and of the terminal
- `plots`: the heat map
- `files`: everything written to a folder
- `workflow`: plan the question, run what the store lacks, lay out the grid
"""

from __future__ import annotations

from prunebench.planning.transfer import Question, default_controls
from prunebench.reports.transfer.files import TEXT_FORMATS, write
from prunebench.reports.transfer.grid import Grid, build
from prunebench.reports.transfer.page import terminal

__all__ = ["TEXT_FORMATS", "Grid", "Question", "build", "default_controls", "terminal", "write"]
