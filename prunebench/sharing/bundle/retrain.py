"""Train random cells of a bundle once more, in a store that is thrown away, and add to the verdict what comes out."""

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
from prunebench.sharing.bundle import rerun
from prunebench.sharing.bundle.archive import shown
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.rerun import Comparison
from prunebench.sharing.bundle.verify import Verdict
from prunebench.store.schema import Cell, Location
from prunebench.store.store import Store


@dataclass(frozen=True)
class RetrainOptions:
    """How many cells are trained again, drawn by which seed, where model and data lie, and the allowed distance."""

    number: int
    seed: int | None = None
    model: str | None = None
    glue_dir: str | None = None
    tolerance: float = 0.1


def retrain(bundle: Bundle, verdict: Verdict, registry: Registry, options: RetrainOptions, console: Console) -> None:
    """Train cells again, and add to the verdict what comes out. Raises PrunebenchError if too few can be trained."""
    obstacles = rerun.Obstacles(bundle, verdict.trees, registry, verdict.without_data, options.model)
    reasons = Counter(obstacles.of(cell) for cell in bundle.cells)
    for reason, number in sorted(reasons.items()):
        if reason:
            console.warn(f"not for a rerun: {number} cells: {shown(reason)}")
    able = [cell for cell in bundle.cells if not obstacles.of(cell)]
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    drawn = rerun.draw(able, options.number, seed)
    if len(drawn) < options.number:
        raise PrunebenchError(
            f"{options.number} cells were to be trained again, and {len(drawn)} can be here", "see above"
        )
    console.say(f"rerun:    {options.number} of {len(able)} cells, drawn with --seed {seed}")
    for cell in drawn:
        console.say(shown(f"          {cell.label} at {cell.sparsity:g} on {cell.task}, seed {cell.seed}"))
    comparisons = _train(bundle, verdict, registry, drawn, options, console)
    verdict.wrong += [line for comparison in comparisons for line in comparison.wrong]
    most, middle, wrong = rerun.drifted(comparisons, options.tolerance)
    verdict.wrong += [wrong] if wrong else []
    exact = sum(comparison.exact for comparison in comparisons)
    if exact:
        verdict.held.append(f"{exact} records were made again bit for bit: the same hardware, threads and versions")
    if exact < len(comparisons):
        verdict.held.append(
            f"{len(comparisons) - exact} records were made again on other hardware, threads or versions: their counts"
            f" are the same, and their scores at most {most:.4f} away, half of them at most {middle:.4f}"
        )


def _train(
    bundle: Bundle,
    verdict: Verdict,
    registry: Registry,
    drawn: Sequence[Cell],
    options: RetrainOptions,
    console: Console,
) -> list[Comparison]:
    """Run the plan of these cells in a temporary store, and compare each record."""
    with tempfile.TemporaryDirectory(prefix="prunebench-verify-") as folder:
        store = Store.create(Path(folder) / "store")
        where = Location(model=options.model, glue_dir=options.glue_dir)
        plan = rerun.plan(bundle, verdict.trees, drawn, registry, where)
        todo = jobs_to_run(plan, store.snapshot([]))
        dispatch = scheduler.Dispatch(where, registry.files)
        with _executor(registry, rerun.threads(bundle, drawn)) as executor, console.watch(todo) as display:
            report = scheduler.run(todo, executor, store, display, dispatch)
        for branch, reason in report.failures.items():
            console.warn(shown(f"failed: {branch}: {reason}"))
        if report.unexpected is not None:
            raise report.unexpected
        keys = rerun.keys(drawn)
        return [rerun.compare(bundle, verdict.trees, key, store, options.tolerance) for key in keys]


def _executor(registry: Registry, threads: int | None) -> Executor:
    """One worker process with as many threads as the records name: with others, sums round differently."""
    executor: Executor = registry.get("executors", "processes").make(Request(1, cpus=threads))
    return executor
