"""Masks that were found on one task, trained on another (Chen et al. 2020, section 4.1): the plan, and what comes out.

Torch-free.
"""

from __future__ import annotations

from prunebench.planning.transfer import Question, default_controls
from prunebench.planning.transfer import plan_transfer as plan
from prunebench.reports.transfer.grid import Grid, build
from prunebench.reports.transfer.page import terminal
from prunebench.reports.transfer.write import TEXTS, write

__all__ = ["TEXTS", "Grid", "Question", "build", "default_controls", "plan", "terminal", "write"]
