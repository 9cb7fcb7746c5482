"""Does a leaderboard show the lottery ticket phenomenon? Read off its results.csv, by the first metric of each task.

`python phenomenon.py [results.csv]`. Random initialisation is `random-reinit` at sparsity 0: nothing is pruned and all
weights are drawn anew. A method matches where its mean is within one standard deviation of the dense runs' (the
relaxed criterion of Chen et al. 2020) or above; p is of a paired t-test over seeds, IMP against the control.
"""

from __future__ import annotations

import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from scipy import stats
from tabulate import tabulate

CONTROLS = ("random-pruning", "random-reinit")
Runs = dict[str, dict[str, dict[float, dict[int, float]]]]


def read(path: Path) -> Runs:
    """task → label → sparsity → seed → the first metric × 100."""
    runs: Runs = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    first: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["status"] == "done" and first.setdefault(row["task"], row["metric"]) == row["metric"]:
                seeds = runs[row["task"]][row["label"]][float(row["sparsity"])]
                seeds[int(row["seed"])] = 100 * float(row["value"])
                runs[row["task"]]["dense"][0.0][int(row["seed"])] = 100 * float(row["dense"])
                runs[row["task"]]["majority"][0.0][0] = 100 * float(row["majority"])
    return runs


def mean(seeds: dict[int, float]) -> float:
    return statistics.fmean(seeds.values())


def said(seeds: dict[int, float]) -> str:
    spread = f" ± {statistics.stdev(seeds.values()):.2f}" if len(seeds) > 1 else ""
    return f"{mean(seeds):.2f}{spread}"


def against(one: dict[int, float], other: dict[int, float]) -> str:
    """`+12.30 (p = 0.001)`: the mean difference over the seeds of both."""
    shared = sorted(one.keys() & other.keys())
    differences = [one[seed] - other[seed] for seed in shared]
    if len(shared) < 3:
        return f"{statistics.fmean(differences):+.2f}"
    if not any(differences):
        return "+0.00"
    result = stats.ttest_rel([one[seed] for seed in shared], [other[seed] for seed in shared])
    return f"{statistics.fmean(differences):+.2f} (p = {result.pvalue:.1g})"


def baselines(runs: Runs) -> str:
    rows = []
    for task, found in runs.items():
        dense, random = found["dense"][0.0], found["random-reinit"].get(0.0)
        gap = (said(random), against(dense, random)) if random else ("", "")
        rows.append((task, f"{found['majority'][0.0][0]:.2f}", said(dense), *gap))
    return tabulate(rows, ("task", "majority", "dense", "random initialisation", "dense − random"), "pipe")


def levels(found: dict[str, dict[float, dict[int, float]]]) -> str:
    dense = found["dense"][0.0]
    floor = mean(dense) - statistics.stdev(dense.values())
    rows = []
    for sparsity, imp in sorted(found["imp"].items()):
        row = [f"{sparsity:g}", said(imp), "yes" if mean(imp) >= floor else "no"]
        for control in CONTROLS:
            seeds = found[control].get(sparsity)
            row += [said(seeds), "yes" if mean(seeds) >= floor else "no", against(imp, seeds)] if seeds else [""] * 3
        rows.append(row)
    controls = [text for control in CONTROLS for text in (control, "matches", "imp − it")]
    return tabulate(rows, ("sparsity", "imp", "matches", *controls), "pipe", disable_numparse=True)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "leaderboards/quick/results.csv"
    runs = read(path)
    print(baselines(runs))
    for task, found in runs.items():
        print(f"\n{task}, dense {said(found['dense'][0.0])}:\n\n{levels(found)}")


if __name__ == "__main__":
    main()
