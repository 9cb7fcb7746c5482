"""What a pruned model attends to, beside the dense model of the same task and seed (Clark et al. 2019).

Maps of single texts, and measures of every head over the dev split.

In reading order:

- `result`: the data classes, and the definitions of the measures
- `measure`: maps and measures of one model
- `look`: the two models of a store, loaded and measured
- `page`: the tables of the page and of the terminal
- `plots`: the pictures
- `files`: everything written to a folder
"""

from __future__ import annotations

from prunebench.reports.attention.files import TEXTS, write
from prunebench.reports.attention.page import terminal
from prunebench.reports.attention.result import Comparison

__all__ = ["TEXTS", "Comparison", "terminal", "write"]
