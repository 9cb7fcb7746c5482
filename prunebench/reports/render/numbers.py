"""How numbers are printed: scores × 100 with two decimals, counts in full. Imports `stats`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prunebench.results.statistics import Interval, Summary, interval

NONE = "—"


def points(value: float | None) -> str:
    """A score × 100 with two decimals."""
    if value is None:
        return NONE
    return _minus(f"{100 * value:.2f}")


def loss(delta: float) -> str:
    """`2 points of 100`: the δ that non-inferiority allows."""
    return f"{100 * delta:g} point{'' if delta == 0.01 else 's'} of 100"


def spread(summary: Summary | None, n: bool = True) -> str:
    """`59.21 ± 1.02 (3)`: mean, sample standard deviation, number of seeds; one seed has no deviation."""
    if summary is None:
        return NONE
    deviation = "" if summary.std is None else f" ± {points(summary.std)}"
    return f"{points(summary.mean)}{deviation}{f' ({summary.n})' if n else ''}"


def limits(summary: Summary | None) -> Interval | None:
    """The 95 % interval of the mean, t unless another was made. Numbers that are all equal have none: a point would
    claim to be certain."""
    if summary is None or summary.minimum == summary.maximum:
        return None
    return summary.bounds or interval(summary)


def confidence(summary: Summary | None) -> str:
    """`[56.67, 61.75]`: the 95 % interval of the mean."""
    found = limits(summary)
    return f"[{points(found.low)}, {points(found.high)}]" if found else NONE


def certain(summary: Summary | None, n: int) -> str:
    """`−1.20 [−1.95, −0.45]`: a mean difference, signed, with its 95 % interval.

    The number of pairs is added where it is not the `n` of the row.
    """
    if summary is None:
        return NONE
    found = limits(summary)
    between = f" [{signed(found.low)}, {signed(found.high)}]" if found else ""
    return f"{signed(summary.mean)}{between}{'' if summary.n == n else f' ({summary.n})'}"


def difference(summary: Summary | None, n: int) -> str:
    """`−1.20 ± 0.30`: as `certain`, with the standard deviation instead of an interval."""
    if summary is None:
        return NONE
    deviation = "" if summary.std is None else f" ± {points(summary.std)}"
    return f"{signed(summary.mean)}{deviation}{'' if summary.n == n else f' ({summary.n})'}"


def signed(value: float) -> str:
    """A difference × 100 with two decimals and its sign."""
    text = _minus(f"{100 * value:+.2f}")
    return "0.00" if text.strip("+−") == "0.00" else text


def steady(value: float | None) -> float | None:
    """A number of a statistical function without its last digits, which need not be the same on every machine."""
    return None if value is None else float(f"{value:.12g}")


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def count(number: int | None) -> str:
    return NONE if number is None else f"{number:,}"


def level(sparsity: float) -> str:
    return f"{sparsity:g}"


def between(values: Iterable[float | None], show: Callable[[Any], str]) -> str:
    """The one value, or the least and the greatest: seeds need not agree in size or cost."""
    found = sorted({value for value in values if value is not None})
    texts = list(dict.fromkeys(show(value) for value in (found[:1] + found[-1:])))
    return " to ".join(texts) or NONE


def listing(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))


def seeds(numbers: Iterable[int]) -> str:
    """`seed 1`, or `seeds 1, 2`."""
    found = sorted(numbers)
    return f"seed{'s' if len(found) > 1 else ''} {listing(found)}"


def _minus(text: str) -> str:
    return "0.00" if text == "-0.00" else text.replace("-", "−")
