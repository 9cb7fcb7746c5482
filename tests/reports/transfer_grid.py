"""A hand-made transfer whose numbers are known, and what the tests of transfers share.

`PYTHONPATH=tests python tests/reports/transfer_grid.py` writes the golden files.
"""

from __future__ import annotations

from pathlib import Path

from prunebench.reports.transfer import Question, build, write
from prunebench.results.rows import Row
from prunebench.store.schema import Cell, Command, Setting, digest

GOLDEN = Path(__file__).parents[1] / "golden" / "transfer"
COMMAND = "prunebench transfer --tasks rte,mrpc,cola"
TASKS = ("rte", "mrpc", "cola")
SETTING = Setting(
    **{"model": "tiny/bert", "model_fingerprint": "", "model_revision": "", "data": "", "protocol": "glue-1"},
    **{"precision": "fp32", "device": "cpu", "prunable": "encoder", "code": ""},
)
METRICS = {"rte": ("accuracy",), "mrpc": ("accuracy", "f1"), "cola": ("matthews_correlation",)}
DENSE = {"rte": (0.60, 0.62, 0.64), "mrpc": (0.80, 0.81, 0.82), "cola": (0.50, 0.51, 0.52)}
# Differences from dense by mask and task, for three seeds.
DIFFERENCES = {
    ("rte", "rte"): (0.00, 0.01, 0.02),
    ("rte", "mrpc"): (0.01, 0.01, 0.01),
    ("rte", "cola"): (-0.01, -0.01, -0.01),
    ("mrpc", "rte"): (0.02, 0.00, 0.04),
    ("mrpc", "mrpc"): (0.00, 0.00, 0.00),
    ("mrpc", "cola"): (0.03, 0.03, 0.03),
    ("cola", "rte"): (-0.10, -0.10, -0.13),
    ("cola", "mrpc"): (-0.001, -0.001, -0.001),
    ("cola", "cola"): (-0.02, -0.02, -0.02),
    ("magnitude-init", "rte"): (-0.2, -0.3, -0.4),
    ("magnitude-init", "mrpc"): (-0.2, -0.2, -0.2),
    ("magnitude-init", "cola"): (-0.3, -0.3, -0.3),
}


def question(strategy="imp", sparsity=0.3, sources=TASKS, targets=TASKS, controls=("random-pruning", "magnitude-init")):
    return Question(sources, targets, strategy, sparsity, controls)


def make_row(task, mask, seed, value, dense, metric=None, **changes):
    label = "dense" if mask == "dense" else f"transfer[of=imp,mask={mask}]"
    cell = Cell(
        **{"unit": "weight", "track": "unstructured", "control_of": None},
        **{"source": "prunebench 0.1.0", "doc": "", "benchmark": "GLUE", "split": "dev", "trainings": ()},
        strategy=label.partition("[")[0],
        label=label,
        options={} if mask == "dense" else {"of": "imp", "mask": mask},
        task=task,
        metrics=METRICS[task],
        evaluations=("validation",),
        sparsity=0.0 if mask == "dense" else 0.7,
        seed=seed,
        key=digest(f"{task} {mask} {seed}"),
        setting=SETTING,
        mask_from="" if mask == "dense" else mask,
    )
    values = {"status": "done", "majority": 0.5, **changes}
    return Row(cell, Command(), None, "validation", metric or METRICS[task][0], value=value, dense=dense, **values)


def make_rows(differences=DIFFERENCES):
    rows = []
    for (mask, task), by_seed in differences.items():
        for seed, (dense, change) in enumerate(zip(DENSE[task], by_seed, strict=True)):
            for metric in METRICS[task]:
                # The F1 of MRPC is 0.02 above its accuracy, and changes twice as much.
                extra, factor = (0.02, 2) if metric == "f1" else (0.0, 1)
                value = dense + extra + factor * change
                rows.append(make_row(task, mask, seed, value, dense + extra, metric))
                if mask == task:
                    rows.append(make_row(task, "dense", seed, dense + extra, dense + extra, metric))
    return rows


def make_grid():
    return build(make_rows(), question(sparsity=0.7, controls=("magnitude-init",)))


def cells_by_mask(plan):
    """The cells of a plan by target and mask."""
    return {(cell.leaf.experiment.task, (cell.mask_from or "dense")): cell for cell in plan.cells}


if __name__ == "__main__":
    write(make_grid(), GOLDEN, ("md", "csv"), COMMAND)
