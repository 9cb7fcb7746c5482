"""Statistics over seeds and tasks: plain numbers in, plain numbers out. Torch-free; imports nothing of the project.

`summary` (mean, spread, intervals), `matching` (is it as good as dense?), `comparison` (is A better than B?) and
`ranks` (which methods can be told apart over several tasks?).
"""

from __future__ import annotations

from prunebench.results.statistics.summary import (
    BOOTSTRAP,
    INTERVALS,
    Interval,
    Summary,
    T,
    bootstrap,
    interval,
    paired,
    summarise,
)

__all__ = ["BOOTSTRAP", "INTERVALS", "Interval", "Summary", "T", "bootstrap", "interval", "paired", "summarise"]
