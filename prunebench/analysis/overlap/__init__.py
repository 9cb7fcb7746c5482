"""How far masks of tasks, seeds and methods overlap, how they spread over the encoder, and which heads they leave.

Torch-free.
"""

from __future__ import annotations

from prunebench.analysis.overlap.found import choose, masks
from prunebench.analysis.overlap.page import terminal
from prunebench.analysis.overlap.report import Report, report
from prunebench.analysis.overlap.write import TEXTS, write

__all__ = ["TEXTS", "Report", "choose", "masks", "report", "terminal", "write"]
