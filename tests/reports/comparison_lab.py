"""Hand-made results to compare, and what the tests of the comparison share.

`PYTHONPATH=tests python tests/reports/comparison_lab.py` writes the golden files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from commands import invoke
from lab import Lab

from prunebench.reports.comparison import FORMATS, Report, build
from prunebench.reports.comparison.report import SeedComparison
from prunebench.results.rows import Row

GOLDEN = Path(__file__).parents[1] / "golden" / "compare"
# Evaluations as they were named when the golden files were written.
MNLI = ["validation_matched", "validation_mismatched"]


def compare_lab() -> Lab:
    """IMP and magnitude on three tasks, each with another outcome, and two more methods."""
    lab = Lab()
    rte = {
        ("dense", 0.0): (0.60, 0.62, 0.64, 0.61, 0.63),
        ("imp", 0.3): (0.61, 0.62, 0.66, 0.63, 0.64),
        ("magnitude", 0.3): (0.51, 0.54, 0.56, 0.52, 0.54),
        ("random-pruning", 0.3): (0.50, 0.51, 0.50, 0.52, 0.50),
        ("imp", 0.5): (0.57, 0.58, 0.59, 0.60, 0.55),
        ("magnitude", 0.5): (0.56, 0.59, 0.58, 0.57, 0.57),
        ("random-pruning", 0.5): (0.50, 0.51, 0.50, 0.52, 0.50),
        ("imp", 0.9): (0.53, 0.53, 0.53, 0.53, 0.53),
        ("magnitude", 0.9): (0.53, 0.53, 0.53, 0.53, 0.53),
    }
    mrpc = {
        ("dense", 0.0): ((0.84, 0.88), (0.85, 0.89), (0.86, 0.90)),
        ("imp", 0.3): ((0.83, 0.88), (0.84, 0.88), (0.85, 0.88)),
        ("magnitude", 0.3): ((0.80, 0.86), (0.82, 0.87), None),
        ("random-pruning", 0.3): ((0.70, 0.80), (0.71, 0.81), (0.32, 0.0)),
        ("imp", 0.5): ((0.80, 0.85), (0.81, 0.86), (0.82, 0.87)),
        ("magnitude", 0.5): ((0.77, 0.82), (0.76, 0.81), (0.80, 0.85)),
        ("random-pruning", 0.5): ((0.68, 0.81), (0.68, 0.81), (0.68, 0.81)),
    }
    mnli = {
        ("dense", 0.0): ((0.80, 0.81), (0.81, 0.82), (0.82, 0.83)),
        ("imp", 0.3): ((0.80, 0.81), (0.81, 0.82), (0.82, 0.83)),
        ("magnitude", 0.3): ((0.79, 0.80), (0.80, 0.81), (0.81, 0.82)),
        ("random-pruning", 0.3): ((0.60, 0.60), (0.61, 0.63), (0.62, 0.61)),
    }
    for task, values in (("rte", rte), ("mrpc", mrpc), ("mnli", mnli)):
        changes = {"evaluations": MNLI} if task == "mnli" else {}
        for (label, sparsity), by_seed in values.items():
            for seed, value in enumerate(by_seed):
                if value is None:
                    lab.plan(task, label, sparsity, seed, **changes)
                else:
                    several = value if isinstance(value, tuple) else (value,)
                    degenerate = ["f1"] if 0.0 in several else []
                    lab.done(task, label, sparsity, seed, *several, degenerate=degenerate, **changes)
    for seed in range(5):
        lab.done("rte", "heads", 0.25, seed, 0.6)
    return lab


def report(rows: list[Row] | None = None, *methods: str, **options: Any) -> Report:
    """A comparison of IMP and magnitude in `compare_lab`, unless other rows or methods are named."""
    return build(compare_lab().rows() if rows is None else rows, methods or ("imp", "magnitude"), **options)


def golden() -> Report:
    return report(None, "imp", "magnitude", "random-pruning", reference="dense")


def at(result: Report, task: str, sparsity: float, metric: str = "accuracy") -> SeedComparison:
    return next(
        entry
        for entry in result.over_seeds
        if (entry.condition.task, entry.condition.sparsity, entry.condition.metric) == (task, sparsity, metric)
    )


def page(result: Report) -> str:
    return FORMATS["md"](result)


def numbers(result: Report) -> list[Any]:
    return [(entry.condition, entry.comparison.p, entry.comparison.holm) for entry in result.over_seeds]


def write_store(lab: Lab, folder: Path) -> Path:
    from prunebench.store.store import Store

    store = Store.create(folder)
    lab.write(store)
    return folder


def run(*arguments: str | Path) -> Any:
    """`prunebench compare` with these arguments."""
    from prunebench.cli.compare import compare

    return invoke(compare, [str(argument) for argument in arguments])


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, render in FORMATS.items():
        (GOLDEN / f"compare.{name}").write_text(render(golden()), encoding="utf-8")
