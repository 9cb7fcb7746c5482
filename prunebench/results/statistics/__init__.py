"""Statistics over seeds and tasks.

Functions take and return plain numbers and know nothing about records or pages. In reading order:

`summary`     mean, spread, intervals and paired differences of the values of several seeds
`matching`    is a pruned model as good as the dense one? Four criteria
`comparison`  is one method better than another? Paired tests, effect sizes, corrections
`mcnemar`     do two runs on the same examples differ?
`crossed`     how certain is a score for other seeds and other examples? Averages over tasks
`jackknife`   what each example contributes to a score that is no mean
`examples`    the values of examples over seeds, metrics and evaluations
`bayes`       how probable is it that one method is better, worse or practically the same?
`moderation`  variances of few degrees of freedom that learn from each other
`ratio`       what share of the dense score is retained, above chance
`best`        which methods cannot be told apart from the best? Tukey's test with an error for each pair
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
