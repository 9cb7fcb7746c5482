"""Train cells of a bundle again, in a temporary store, and add the result to the verdict."""

from __future__ import annotations

import secrets
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.execution import scheduler
from prunebench.execution.display import Console
from prunebench.execution.executors.base import Request
from prunebench.hooks.registry import Registry
from prunebench.planning.jobs import jobs_to_run
from prunebench.sharing.bundle import agreement, rerun
from prunebench.sharing.bundle.agreement import Agreement
from prunebench.sharing.bundle.archive import printable
from prunebench.sharing.bundle.checks import cell_name
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.schema import CellLine
from prunebench.sharing.bundle.verify import Verdict
from prunebench.store.schema import Location
from prunebench.store.store import Store


@dataclass(frozen=True)
class RetrainOptions:
    """How many cells to train again, the seed that draws them, where model and data are, and the largest distance.

    `download` allows to ask the hub for the model that the bundle names.
    """

    number: int
    seed: int | None = None
    model: str | None = None
    glue_dir: str | None = None
    tolerance: float = 0.1
    download: bool = False


def retrain(bundle: Bundle, verdict: Verdict, registry: Registry, options: RetrainOptions, console: Console) -> None:
    """Train cells again, and add the result to `verdict`. Raises PrunebenchError if too few cells can be trained."""
    obstacles = rerun.Obstacles(bundle, verdict.trees, registry, verdict.without_data, options.model, options.download)
    reasons = [obstacles.of(cell) for cell in bundle.cells]
    for reason, number in sorted(Counter(filter(None, reasons)).items()):
        console.warn(f"not for a rerun: {number} cells: {printable(reason)}")
    candidates = [cell for cell, reason in zip(bundle.cells, reasons, strict=True) if not reason]
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    cells = rerun.draw(bundle, candidates, options.number, seed)
    if len(cells) < options.number:
        raise PrunebenchError(
            f"cannot train {options.number} cells again: only {len(cells)} can be trained here", "see above"
        )
    console.say(f"rerun:    {options.number} of {len(candidates)} cells, drawn with --seed {seed}")
    for cell in cells:
        console.say(printable(f"          {cell_name(cell)}"))
    trained = rerun.with_dense(cells, candidates)
    locations = obstacles.locations(options.glue_dir)
    result = _train(bundle, verdict, registry, trained, locations, options.tolerance, console)
    verdict.wrong += result.wrong
    verdict.confirmed += result.confirmed
    verdict.retrained = len(trained)


def _train(
    bundle: Bundle,
    verdict: Verdict,
    registry: Registry,
    cells: Sequence[CellLine],
    locations: dict[str, Location],
    tolerance: float,
    console: Console,
) -> Agreement:
    """Run the plan of these cells in a temporary store, and compare each record."""
    with tempfile.TemporaryDirectory(prefix="prunebench-verify-") as folder:
        store = Store.create(Path(folder) / "store")
        plan = rerun.plan(bundle, verdict.trees, cells, registry, locations)
        jobs = jobs_to_run(plan, store.snapshot([]))
        dispatch = scheduler.Dispatch(plan.location, registry.files)
        with _executor(registry, rerun.threads(bundle, cells)) as executor, console.watch(jobs) as display:
            report = scheduler.run(jobs, executor, store, display, dispatch)
        for branch, reason in report.failures.items():
            console.warn(printable(f"failed: {branch}: {reason}"))
        if report.unexpected is not None:
            raise report.unexpected
        comparisons = [agreement.compare(bundle, verdict.trees, key, store) for key in rerun.keys(cells)]
        dense = [cell.key for cell in cells if cell.is_plain_dense]
        by_key = {cell.key: cell for cell in cells}
        gains = [(cell.label, agreement.gain(bundle, cell, store)) for cell in by_key.values()]
        return agreement.judge(
            comparisons, dense, [(label, value) for label, value in gains if value is not None], tolerance
        )


def _executor(registry: Registry, threads: int | None) -> Executor:
    """One worker process with as many threads as the records name: with others, sums round differently."""
    executor: Executor = registry.get("executors", "processes").make(Request(1, cpus=threads))
    return executor
