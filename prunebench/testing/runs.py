"""Real runs on the tiny model and task, in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from prunebench import api
from prunebench.execution.executors.resources import Resources
from prunebench.reports.views import Results
from prunebench.testing.tasks import TASK

# Trainings of two steps: enough for a mask that moves, a checkpoint between two steps, and an optimiser with a past.
SHORT = {"train_limit": "16", "eval_limit": "8", "epochs": "1", "batch_size": "8", "lr": "1e-3"}
STEPS = 2
IN_PROCESS = Resources(executor="here")


def run_tiny(
    strategies: str | Iterable[str | type | Any],
    sparsities: str | Sequence[float],
    *,
    model: Path,
    task: Path,
    store: Path,
    seeds: str = "1,",
    resources: Resources = IN_PROCESS,
    plugins: Sequence[str] = (),
    **options: Any,
) -> Results:
    """Run strategies on a folder of `write_tiny_model` and one of `write_tiny_task`, and return the results.

    Trainings have 2 steps unless `options`, those of `prunebench.run`, say otherwise. Nothing is printed, and a method
    that fails is in `failures` of the results.
    """
    return api.run(
        strategies=strategies,
        sparsities=sparsities,
        tasks=TASK,
        seeds=seeds,
        model=str(model),
        glue_dir=str(task),
        device="cpu",
        precision="fp32",
        store=store,
        resources=resources,
        plugins=plugins,
        progress=False,
        **(SHORT | options),
    )
