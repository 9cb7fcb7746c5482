"""Time several things in turn, round after round, and print ratios of medians. What disturbs one disturbs all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


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
    first = statistics.median(next(iter(times.values())))
    print(f"{title} ({rounds} rounds)")
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"  {name:40} {middle:9.2f} ms [{low:.2f}, {high:.2f}]  × {middle / first:.2f}")
