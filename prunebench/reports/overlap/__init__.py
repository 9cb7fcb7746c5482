"""How far masks of tasks, seeds and methods overlap, how they spread over the encoder, and which heads they leave.

Torch-free.
"""

from __future__ import annotations

from prunebench.reports.overlap.files import TEXTS, write
from prunebench.reports.overlap.found import choose, masks
from prunebench.reports.overlap.page import terminal
from prunebench.reports.overlap.report import Report, report

__all__ = ["TEXTS", "Report", "choose", "masks", "report", "terminal", "write"]
