"""How fast models predict, where that is known: other work on the machine may have run at the same time.

A speed is known if its 95 % t interval over the seeds reaches at most a tenth of it to each side. Three seeds at 98,
100 and 102 examples per second are enough: 4.30 · 2/√3 = 5.0. At 90, 100 and 110 they are not: that is 24.8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prunebench.results.rows import Outcome
from prunebench.results.statistics import summarise
from prunebench.results.statistics.summary import Summary, t_quantile

# The half-width of an interval, as a share of the mean, up to which a speed is known.
TENTH = 0.1


@dataclass(frozen=True)
class Speed:
    """The mean and the sample standard deviation over seeds, of examples per second or of a multiple of them."""

    mean: float
    std: float


def measured_speed(outcomes: Sequence[Outcome]) -> Speed | None:
    """Examples per second over the seeds; None if it is not known, or was measured on several kinds of machines."""
    summary = _summary(outcomes)
    return Speed(summary.mean, summary.std or 0.0) if summary and _known(summary) else None


def relative_speed(outcomes: Sequence[Outcome], dense: Sequence[Outcome]) -> Speed | None:
    """The speed as a multiple of the dense model's, under the same conditions for the multiple."""
    own, other = _summary(outcomes), _summary(dense)
    if own is None or other is None or len(_machines([*outcomes, *dense])) > 1 or not _known(own, other):
        return None
    # The delta method: relative variances of a quotient add up.
    spread = math.hypot(_relative_std(own), _relative_std(other))
    return Speed(own.mean / other.mean, own.mean / other.mean * spread)


def _summary(outcomes: Sequence[Outcome]) -> Summary | None:
    speeds = [outcome.speed for outcome in outcomes if outcome.speed is not None]
    if len(speeds) < 2 or len(speeds) < len(outcomes) or len(_machines(outcomes)) > 1:
        return None
    return summarise(speeds)


def _machines(outcomes: Sequence[Outcome]) -> set[tuple[str | None, str | None]]:
    """The kinds of hardware and numbers of threads."""
    return {(outcome.environment.get("hardware"), outcome.environment.get("threads")) for outcome in outcomes}


def _relative_std(summary: Summary) -> float:
    return (summary.std or 0.0) / summary.mean


def _known(*summaries: Summary) -> bool:
    """Whether the quotient of these means, or a single one, is known to a tenth. The least number of seeds counts."""
    error = math.hypot(*(_relative_std(summary) / math.sqrt(summary.n) for summary in summaries))
    return t_quantile(min(summary.n for summary in summaries) - 1, 0.975) * error <= TENTH
