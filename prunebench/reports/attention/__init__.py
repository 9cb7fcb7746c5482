"""What a pruned model attends to, beside the dense one (Clark et al. 2019): maps of texts, and measures over dev.

Torch-free but for `measure` and `look`.
"""

from __future__ import annotations

from prunebench.reports.attention.files import TEXTS, write
from prunebench.reports.attention.page import terminal
from prunebench.reports.attention.result import Comparison

__all__ = ["TEXTS", "Comparison", "terminal", "write"]
