"""What `prunebench run` spends on other things than training and evaluating, and what a second job at a time gives.

`python overhead.py [--rounds 2] [--ray] [words of prunebench run, such as quick --seeds 1]`; with --ray two jobs at a
time also on a Ray cluster of their own.

The time of a run is its wall time × the jobs at a time. Of that the records say what was training, predicting (the
models' own part of evaluation), a strategy's own code, scoring, pruning and loading; the rest is planning, the start of
workers, the store, the page at the end, and workers without a job. Overhead is all but the first three.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from interleaved import show
from memory import measure

from prunebench.store.store import Store

WORK = ("train", "predict", "strategy")
BOOKKEEPING = ("score", "prune", "load")


def run(words: list[str], jobs: int, *more: str) -> tuple[float, int, dict[str, float]]:
    """Seconds of wall time, the most bytes that all processes held, and shares of the time of all jobs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).parent / "prunebench"), "run", *words]
        options = ["--jobs", str(jobs), *more, "--store", f"{folder}/store"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        wall, most, code = measure([*command, *options], **silent)
        if code:
            raise SystemExit(f"{command} failed: {code}")
        spent = [dict(record.seconds) for record in Store.open(f"{folder}/store").records()]
    for seconds in spent:
        seconds["score"] = seconds["evaluate"] - seconds["predict"]
    shares = {part: 100 * sum(each[part] for each in spent) / (wall * jobs) for part in (*WORK, *BOOKKEEPING)}
    shares["the rest"] = 100 - sum(shares.values())
    return wall, most, {**shares, "overhead": 100 - sum(shares[part] for part in WORK)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ray", action="store_true")
    options, words = parser.parse_known_args()
    ways = {"--jobs 1": (1,), "--jobs 2": (2,)}
    if options.ray:
        ways["--jobs 2 --executor ray"] = (2, "--executor", "ray", "--cpus-per-job", "1")
    walls, memory, shares = defaultdict(list), defaultdict(list), {name: defaultdict(list) for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            wall, most, parts = run(words, *way)
            print(f"{name}: {wall:.1f} s, {parts}", file=sys.stderr, flush=True)
            walls[name].append(wall)
            memory[name].append(most / 1e6)
            for part, share in parts.items():
                shares[name][part].append(share)
    show(f"prunebench run {' '.join(words)}", walls, "s")
    show("the most memory that all its processes held", memory, "MB")
    for name, found in shares.items():
        print(f"where the time of {name} went (medians)")
        for part, values in found.items():
            print(f"  {part:40} {median(values):9.2f} %")


if __name__ == "__main__":
    main()
