"""Masks that were found on one task, trained on another (Chen et al. 2020, section 4.1): the plan, and what comes out.

Torch-free.
"""

from __future__ import annotations

from prunebench.planning.transfer import Question, default_controls, plan
from prunebench.reports.transfer.files import TEXTS, write
from prunebench.reports.transfer.grid import Grid, build
from prunebench.reports.transfer.page import terminal

__all__ = ["TEXTS", "Grid", "Question", "build", "default_controls", "plan", "terminal", "write"]
