"""How long it takes to draw a leaderboard of 50,400 cells: from records in memory to each of its files.

`python rendering.py [rounds]`: 9 tasks × 20 methods × 10 levels × 28 seeds of made-up scores, with the dense runs.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections import defaultdict
from pathlib import Path

from interleaved import show

sys.path.append(str(Path(__file__).parents[1]))
from lab import Lab

from prunebench.reports.leaderboard import FORMATS, build
from prunebench.reports.leaderboard.averages import GLUE


def made() -> Lab:
    """Hand-made records, as the tests of pages have them."""
    lab, generator = Lab(), random.Random(0)
    for task in GLUE:
        for seed in range(28):
            lab.done(task, "dense", 0.0, seed, *(generator.uniform(0.7, 0.8) for _ in range(2)))
            for method in range(20):
                for level in range(1, 11):
                    scores = (generator.uniform(0.5, 0.8) for _ in range(2))
                    lab.done(task, f"method-{method:02}", level / 20, seed, *scores)
    return lab


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    lab = made()
    times = defaultdict(list)
    for _ in range(rounds):
        clock = [time.perf_counter()]
        rows = lab.rows()
        clock.append(time.perf_counter())
        page = build(rows)
        clock.append(time.perf_counter())
        for _, draw in FORMATS.values():
            draw(page)
            clock.append(time.perf_counter())
        for name, (start, end) in zip(("rows", "page", *FORMATS), itertools.pairwise(clock), strict=True):
            times[name].append(end - start)
        times["all of it"].append(clock[-1] - clock[0])
    print(f"{len(lab.cells):,} cells, {len(rows):,} rows")
    show("drawing a leaderboard", {"all of it": times.pop("all of it"), **times}, "s")


if __name__ == "__main__":
    main()
