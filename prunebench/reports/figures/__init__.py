"""Figures for papers: of a leaderboard, and of the ranks of a comparison.

No display is needed, and the same results give the same bytes.

In reading order:

- `style`: colours, markers and lines of methods, and matplotlib's settings
- `scores`: scores against sparsity, every seed, and the score retained against the parameters left
- `ranks`: critical-difference diagrams
- `leaderboard`: all figures of a leaderboard, by name
- `comparison`: the ranks of a comparison as one figure
"""

from __future__ import annotations

from prunebench.reports.figures.leaderboard import pictures, write

__all__ = ["pictures", "write"]
