"""How long it takes to plan 100 methods × 9 tasks × 10 levels × 10 seeds, and to find out what of it is to be run.

`python planning.py [rounds]`: with an empty store, so that every job is missing.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from interleaved import show

from prunebench.hooks.registry import Registry
from prunebench.planning import counting, experiment, jobs
from prunebench.planning.suite import Suite
from prunebench.runtime.memory import without_collection
from prunebench.store.schema import StoredPlan
from prunebench.store.store import Store

NINE_TASKS = """
import dataclasses
from prunebench import hookimpl
from prunebench.synthetic.tasks import quick_tasks

@hookimpl
def prunebench_tasks():
    return [dataclasses.replace(quick_tasks()[0], name=f"task-{number}") for number in range(9)]
"""
RATES = [0.1 + 0.01 * number for number in range(25)]
STRATEGIES = [
    text
    for imp in (f"imp[rate={rate:.2f}]" for rate in RATES)
    for text in (imp, f"random-pruning[of={imp}]", f"random-reinit[of={imp}]", f"layer-shuffle[of={imp}]")
]


def suite(strategies: list[str], seeds: int) -> Suite:
    return Suite(
        tasks=tuple(f"task-{number}" for number in range(9)),
        strategies=tuple(strategies),
        sparsities={"": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)},
        seeds=tuple(range(seeds)),
        model="quick-bert",
    )


def once(registry: Registry, store: Store) -> tuple[dict[str, float], str]:
    """Seconds, and how large the plan is. It is gone before the next one is made, as it is with each command."""
    gc.collect()
    started = time.perf_counter()
    plan = experiment.plan(suite(STRATEGIES, 10), registry)
    planned = time.perf_counter()
    held = store.snapshot([node.key for node in plan.nodes()])
    todo = jobs.jobs_to_run(plan, held)
    found = time.perf_counter()
    counting.count(plan, todo, held)
    with without_collection():
        cells = [cell.to_cell() for cell in plan.cells]
        store.add_plan(StoredPlan(strategies=plan.strategies(registry), cells=cells))
    ended = time.perf_counter()
    size = f"{len(plan.cells):,} cells, {sum(1 for _ in plan.nodes()):,} phases, {len(todo):,} jobs"
    parts = {"plan": planned - started, "jobs": found - planned, "counted and kept in the store": ended - found}
    return {"all": ended - started, **parts}, size


def main() -> None:
    times = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "nine.py"
        plugin.write_text(NINE_TASKS)
        registry = Registry([plugin])
        store = Store.create(Path(folder) / "store")
        experiment.plan(suite(["imp"], 1), registry)  # the model's files are digested once in a process
        for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 5):
            took, size = once(registry, store)
            for name, seconds in took.items():
                times[name].append(seconds)
    print(size)
    show("planning", times, "s")


if __name__ == "__main__":
    main()
