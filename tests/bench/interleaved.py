"""Time several things in turn, round after round, and print ratios of medians. What disturbs one disturbs all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence


def compare(title: str, things: Mapping[str, Callable[[], object]], rounds: int = 9) -> None:
    """Print each thing's median milliseconds with its quartiles, and how many times the first one's median it is."""
    times: dict[str, list[float]] = {name: [] for name in things}
    for thing in things.values():
        thing()
    for _ in range(rounds):
        for name, thing in things.items():
            started = time.perf_counter()
            thing()
            times[name].append((time.perf_counter() - started) * 1e3)
    show(title, times, "ms")


def show(title: str, times: Mapping[str, Sequence[float]], unit: str) -> None:
    """Print medians, quartiles and ratios to the first of what was measured in turn."""
    first = statistics.median(next(iter(times.values())))
    print(f"{title} ({len(next(iter(times.values())))} rounds)")
    for name, values in times.items():
        low, middle, high = quartiles(values)
        print(f"  {name:40} {middle:9.2f} {unit} [{low:.2f}, {high:.2f}]  × {middle / first:.2f}")


def quartiles(values: Sequence[float]) -> list[float]:
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
