"""Masks that were found on one task, trained on another (Chen et al. 2020, section 4.1): the plan, and what comes out.

Torch-free.
"""

from __future__ import annotations

from prunebench.analysis.transfer.grid import Grid, build
from prunebench.analysis.transfer.page import terminal
from prunebench.analysis.transfer.plan import Question, default_controls, plan
from prunebench.analysis.transfer.write import TEXTS, write

__all__ = ["TEXTS", "Grid", "Question", "build", "default_controls", "plan", "terminal", "write"]
