"""Statistics over seeds and tasks.

Functions take and return plain numbers and know nothing about records or pages. In reading order:

`summary`     mean, spread, intervals and paired differences of the values of several seeds
`matching`    is a pruned model as good as the dense one? Four criteria
`comparison`  is one method better than another? Paired tests, effect sizes, corrections, McNemar's test
`ranks`       which of several methods can be told apart over several tasks? Friedman's and Nemenyi's tests
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
    paired_difference,
    summarise,
)

__all__ = [
    "BOOTSTRAP",
    "INTERVALS",
    "Interval",
    "Summary",
    "T",
    "bootstrap",
    "interval",
    "paired_difference",
    "summarise",
]
