"""Numbers as text: scores × 100 with two decimals, counts in full, sparsities as short as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from prunebench.results.statistics import Interval, Summary, interval

DASH = "—"
# How metrics are printed; the others are printed under their own name.
METRICS = {"f1": "F1", "pearson": "Pearson", "spearmanr": "Spearman", "matthews_correlation": "Matthews"}


# The least value of a metric. The greatest is 1.
LOWEST = {"accuracy": 0.0, "f1": 0.0, "pearson": -1.0, "spearmanr": -1.0, "matthews_correlation": -1.0}


def lowest_score(metric: str) -> float:
    """The least value that a metric can have; −∞ for a metric of a plugin, of which that is not known."""
    return LOWEST.get(metric, -math.inf)


def metric_name(metric: str) -> str:
    return METRICS.get(metric, metric)


def points(value: float | None) -> str:
    """A score × 100 with two decimals."""
    if value is None:
        return DASH
    return _minus(f"{100 * value:.2f}")


def loss(delta: float) -> str:
    """`2 points of 100`: the loss δ that non-inferiority allows."""
    return f"{100 * delta:g} point{'' if delta == 0.01 else 's'} of 100"


def spread(summary: Summary | None, n: bool = True) -> str:
    """`59.21 ± 1.02 (3)`: mean, sample standard deviation, number of seeds. A single seed has no deviation."""
    if summary is None:
        return DASH
    deviation = "" if summary.std is None else f" ± {points(summary.std)}"
    return f"{points(summary.mean)}{deviation}{f' ({summary.n})' if n else ''}"


def limits(summary: Summary | None) -> Interval | None:
    """The 95 % interval of the mean: `summary.bounds`, or the t interval if there are none.

    None where it would be a point, which claims certainty.
    """
    bounds = summary and (summary.bounds or interval(summary))
    return bounds if bounds and bounds.low < bounds.high else None


def cut(interval: Interval | None, lowest: float) -> Interval | None:
    """The part of an interval that a score can have: from `lowest` to 1."""
    return interval and Interval(min(max(interval.low, lowest), 1.0), max(min(interval.high, 1.0), lowest))


def brackets(interval: Interval | None) -> str:
    """`[56.67, 61.75]`: an interval of a score."""
    return f"[{points(interval.low)}, {points(interval.high)}]" if interval else DASH


def signed_brackets(interval: Interval | None) -> str:
    """`[−1.95, −0.45]`: an interval of a difference."""
    return f"[{signed(interval.low)}, {signed(interval.high)}]" if interval else DASH


def difference_with_interval(summary: Summary | None, n: int) -> str:
    """`−1.20 [−1.95, −0.45]`: a mean difference, signed, with its 95 % interval.

    The number of pairs is added if it is not the row's `n`.
    """
    if summary is None:
        return DASH
    bounds = limits(summary)
    interval_text = f" {signed_brackets(bounds)}" if bounds else ""
    return f"{signed(summary.mean)}{interval_text}{'' if summary.n == n else f' ({summary.n})'}"


def difference(summary: Summary | None, n: int) -> str:
    """`−1.20 ± 0.30`: as `difference_with_interval`, with the standard deviation in place of the interval."""
    if summary is None:
        return DASH
    deviation = "" if summary.std is None else f" ± {points(summary.std)}"
    return f"{signed(summary.mean)}{deviation}{'' if summary.n == n else f' ({summary.n})'}"


def signed(value: float) -> str:
    """A difference × 100 with two decimals and its sign."""
    text = _minus(f"{100 * value:+.2f}")
    return "0.00" if text.strip("+−") == "0.00" else text


def round_digits(value: float | None) -> float | None:
    """A number to 12 significant digits. The last digits of statistical functions differ between machines."""
    return None if value is None else float(f"{value:.12g}")


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def count(number: int | None) -> str:
    return DASH if number is None else f"{number:,}"


def level(sparsity: float) -> str:
    return f"{sparsity:g}"


def value_range(values: Iterable[float | None], show: Callable[[Any], str]) -> str:
    """The value if all are equal, otherwise the least and the greatest: seeds may differ in size or cost."""
    known = sorted({value for value in values if value is not None})
    texts = list(dict.fromkeys(show(value) for value in (known[:1] + known[-1:])))
    return " to ".join(texts) or DASH


def listing(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))


def seeds(numbers: Iterable[int]) -> str:
    """`seed 1`, or `seeds 1, 2`."""
    ordered = sorted(numbers)
    return f"seed{'s' if len(ordered) > 1 else ''} {listing(ordered)}"


def _minus(text: str) -> str:
    return "0.00" if text == "-0.00" else text.replace("-", "−")
