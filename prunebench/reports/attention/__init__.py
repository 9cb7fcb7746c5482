"""What a pruned model attends to, beside the dense model of the same task and seed (Clark et al. 2019).

Maps of single texts, and measures of every head over the dev split.

In reading order:

- `result`: the data classes, and the definitions of the measures
- `measure`: maps and measures of one model
- `build`: the two models of a store, loaded and measured
- `page`: the tables of the page and of the terminal
- `plots`: the pictures
- `files`: everything written to a folder
- `workflow`: train the two models once more from stored masks, and compare them
"""

from __future__ import annotations

from prunebench.reports.attention.files import TEXT_FORMATS, write
from prunebench.reports.attention.page import terminal
from prunebench.reports.attention.result import AttentionComparison

__all__ = ["TEXT_FORMATS", "AttentionComparison", "terminal", "write"]
