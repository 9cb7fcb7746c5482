"""A whole table: `prunebench run` against a plain script (`plain_table.py`) that gives the same table.

`python table.py [--task sentiment] [--model quick-bert] [--glue-dir FOLDER] [--seeds 2] [--rounds 1]`

Dense, and at five levels IMP and its two controls: 1 + 9 + 2 × 5 trainings a seed for either side. Seconds are those of
the whole command, from its start to its end; memory is that of all its processes at a time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from interleaved import show
from memory import measure
from plain_trainer import OPTIONS, add_options

from prunebench.results.rows import build_rows
from prunebench.runtime.devices import cores
from prunebench.store.store import Store

STRATEGIES = "imp,random-pruning,random-reinit"
Scores = dict[str, list[float]]


def prunebench(shared: list[str], folder: Path) -> tuple[float, int, Scores]:
    words = ["--strategies", STRATEGIES, "--store", str(folder / "store")]
    task = shared.index("--task")
    given = [*shared[:task], "--tasks", *shared[task + 1 :]]
    seconds, most = checked([str(Path(sys.executable).parent / "prunebench"), "run", *given, *words], folder / "said")
    store = Store.open(folder / "store")
    scores = defaultdict(list)
    for row in build_rows(store.plans(), store.record, store.failure):
        if row.metric == row.cell.metrics[0]:
            scores[row.cell.label].append(100 * row.value)
    return seconds, most, scores


def plain(shared: list[str], folder: Path, padding: str) -> tuple[float, int, Scores]:
    script = Path(__file__).with_name("plain_table.py")
    seconds, most = checked([sys.executable, str(script), *shared, "--padding", padding], folder / "said")
    scores = defaultdict(list)
    for line in (folder / "said").read_text().splitlines():
        if line.startswith('{"method"'):
            found = json.loads(line)
            if found["method"] != "imp" or str(found["level"]) in shared[shared.index("--sparsities") + 1].split(","):
                scores[found["method"]].append(found["score"])
    return seconds, most, scores


def checked(command: list[str], said: Path) -> tuple[float, int]:
    with said.open("w") as file:
        seconds, most, code = measure(command, stdout=file, stderr=subprocess.DEVNULL)
    if code:
        raise SystemExit(f"{command} failed: {code}")
    return seconds, most


WAYS = {
    "prunebench run": prunebench,
    "plain script, padded to the longest": lambda shared, folder: plain(shared, folder, "longest"),
    "plain script, padded to max_length": lambda shared, folder: plain(shared, folder, "max_length"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, task="sentiment", model="quick-bert")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sparsities", default="0.5,0.6,0.7,0.8,0.9")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    shared = []
    for name in (*OPTIONS, "task", "seeds", "sparsities"):
        if getattr(options, name) is not None:
            shared += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    seconds, memory, scores = defaultdict(list), defaultdict(list), {}
    for _ in range(options.rounds):
        for name, way in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                took, most, scores[name] = way(shared, Path(folder))
            print(f"{name}: {took:.1f} s", file=sys.stderr, flush=True)
            seconds[name].append(took)
            memory[name].append(most / 1e6)
    levels = options.sparsities.count(",") + 1
    show(
        f"{options.task}, dense and 3 methods at {levels} levels, {options.seeds} seeds, {cores()} cores", seconds, "s"
    )
    show("the most memory that all its processes held", memory, "MB")
    print("dev scores, means over seeds and levels")
    for name, found in scores.items():
        print(f"  {name:40} " + ", ".join(f"{method} {fmean(values):.1f}" for method, values in sorted(found.items())))


if __name__ == "__main__":
    main()
