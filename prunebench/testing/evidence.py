"""What checks look at: short runs of the strategies, made when a check first needs them, and shared by all checks.

Each strategy has a run of its own in this process. Everything that compares a strategy with itself runs all strategies
together, which is ten times as fast: in two worker processes, after another seed, and on the other families. The worker
processes come first: a strategy that ends its process is not called in this one.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from prunebench.errors import PrunebenchError
from prunebench.execution.executors.resources import Resources
from prunebench.execution.session import forget_plugins
from prunebench.hooks.registry import Registry
from prunebench.planning.methods import Method
from prunebench.pruning import masks
from prunebench.reports.views import Results
from prunebench.runtime import progress
from prunebench.store.schema import Record
from prunebench.testing.check import Inapplicable
from prunebench.testing.models import write_tiny_model
from prunebench.testing.runs import run_tiny
from prunebench.testing.state import changed_state, module_state, watched_generators
from prunebench.testing.tasks import write_tiny_task

# The grid of the runs: the unpruned model, the level of all comparisons, and a high one.
LEVEL = 0.5
LEVELS = (0.0, LEVEL, 0.9)
SEED, OTHER_SEED = 1, 2
# No call of a strategy on the tiny model takes longer, on a busy machine either.
SECONDS = 30.0
DEATH = "its worker died"
IN_PROCESS = Resources(executor="here", cpus_per_job=1, strategy_timeout=SECONDS)


@dataclass(frozen=True)
class CellEvidence:
    """What a cell came to: its record, mask and logits, or the reason why there are none."""

    key: str
    record: Record | None
    failure: str = ""
    mask: Mapping[str, Tensor] = field(default_factory=dict)
    logits: np.ndarray | None = None

    def difference(self, other: CellEvidence) -> str:
        """What differs in the bits of mask, loss and logits, in a few words, or "" if nothing does."""
        units = sum(int((keep != other.mask[name]).sum()) for name, keep in self.mask.items())
        if units:
            return f"{units} of {masks.units(self.mask)} units have another mask"
        if self.record is None or other.record is None or self.logits is None or other.logits is None:
            return "one of them was not scored"
        if self.record.loss != other.record.loss:
            return f"the loss is {self.record.loss} and {other.record.loss}"
        if not np.array_equal(self.logits, other.logits):
            return f"logits differ by {np.abs(self.logits - other.logits).max():.3g}"
        return ""


Cells = dict[tuple[str, float, int], CellEvidence]


@dataclass(frozen=True)
class OwnRun:
    """The run of one strategy in this process: its cells by sparsity, and what its code left behind in Python."""

    cells: Mapping[float, CellEvidence]
    output: tuple[str, ...]
    used_generators: tuple[str, ...]
    changed_state: tuple[str, ...]


class Evidence:
    """The runs of some strategies, in a temporary folder that lasts as long as this object."""

    def __init__(self, methods: Sequence[Method], registry: Registry) -> None:
        self.methods = list(methods)
        self.registry = registry
        self._folder = Path(tempfile.mkdtemp(prefix="prunebench-check-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._number = 0
        self._own: dict[str, OwnRun] = {}
        self._families: dict[str, Cells] = {}
        self._models: dict[str, Path] = {}
        self._tasks: dict[bool, Path] = {}

    def levels(self, method: Method) -> list[float]:
        """The levels of the grid that the method has, or those that it names itself; 0 if it prunes nothing."""
        if not method.prunes:
            return [0.0]
        return [level for level in self._all_levels if not method.unsupported(level)]

    def level(self, method: Method) -> float:
        """The level at which runs are compared."""
        levels = self.levels(method)
        return LEVEL if LEVEL in levels else levels[0]

    @functools.cached_property
    def _all_levels(self) -> list[float]:
        named = [level for method in self.methods for level in getattr(method.base.strategy, "levels", ())]
        return sorted({*LEVELS, *named})

    def plan_fault(self, method: Method) -> str:
        """Why a recipe of the method cannot be planned, or ""."""
        try:
            for level in self.levels(method):
                method.steps(level)
        except PrunebenchError as error:
            return str(error)
        return ""

    def check_plan(self, method: Method) -> None:
        """Raise Inapplicable for a method that cannot be planned."""
        if self.plan_fault(method):
            raise Inapplicable("its recipe cannot be planned")

    def own(self, method: Method) -> OwnRun:
        """The run of the method alone, in this process, over its levels.

        Raises Inapplicable for a method that ends its process.
        """
        self.check_alive(method)
        if method.label not in self._own:
            # The next job imports the plugin's file anew, so that its module is the one that is looked at here.
            forget_plugins()
            state, lines = module_state(type(method.strategy)), list[str]()
            with progress.temporary_listener(lambda report: lines.append(report.text)), watched_generators() as used:
                cells = self._run([method], self.levels(method))
            self._own[method.label] = OwnRun(
                {level: cell for (_, level, _), cell in cells.items()},
                tuple(dict.fromkeys(filter(None, lines))),
                tuple(used),
                tuple(changed_state(state, type(method.strategy))),
            )
        return self._own[method.label]

    def fresh(self, method: Method) -> CellEvidence:
        """The cell of the method in one of two new worker processes, `--jobs 2`."""
        self.check_plan(method)
        return self._fresh[method.label, self.level(method), SEED]

    def again(self, method: Method) -> CellEvidence:
        """The same cell in this process, after one of another seed, with other labels in dev."""
        self.check_alive(method)
        return self._again[method.label, self.level(method), SEED]

    def again_with_the_same_labels(self, method: Method) -> CellEvidence:
        """The same cell in this process, after one of another seed."""
        self.check_alive(method)
        return self._run([method], [self.level(method)], seeds=(OTHER_SEED, SEED))[
            method.label, self.level(method), SEED
        ]

    def interrupted(self, method: Method) -> tuple[CellEvidence, int]:
        """The same cell where each training was interrupted after its first step, and the number of interruptions.

        With `checkpoint_minutes=0` every step is saved, and the next run on the same store goes on from there.
        """
        self.check_alive(method)
        store, jobs = self._new_folder(), set[str]()

        def interrupt(report: progress.Progress) -> None:
            # A training reports its last step before the callbacks of that step act.
            if report.step and not report.score and report.job not in jobs:
                jobs.add(report.job)
                raise KeyboardInterrupt

        with progress.temporary_listener(interrupt):
            while True:
                interrupts = len(jobs)
                try:
                    cells = self._run([method], [self.level(method)], store=store, checkpoint_minutes=0)
                    break
                except KeyboardInterrupt:
                    if len(jobs) == interrupts:
                        raise
        return cells[method.label, self.level(method), SEED], len(jobs)

    def family(self, method: Method, family: str) -> CellEvidence:
        """The cell on a model of another family."""
        self.check_alive(method)
        if family not in self._families:
            self._families[family] = self._run(self._alive, self._shared_levels(self._alive), family=family)
        return self._families[family][method.label, self.level(method), SEED]

    @functools.cached_property
    def _fresh(self) -> Cells:
        resources = Resources(jobs=2, cpus_per_job=1, strategy_timeout=SECONDS)
        methods = [method for method in self.methods if not self.plan_fault(method)]
        return self._run(methods, self._shared_levels(methods), resources=resources)

    @functools.cached_property
    def _again(self) -> Cells:
        methods = self._alive
        return self._run(methods, self._shared_levels(methods), seeds=(OTHER_SEED, SEED), plant=True)

    @functools.cached_property
    def _alive(self) -> list[Method]:
        cells = self._fresh
        return [
            method
            for method in self.methods
            if not self.plan_fault(method) and DEATH not in cells[method.label, self.level(method), SEED].failure
        ]

    def check_alive(self, method: Method) -> None:
        """Raise Inapplicable for a method that ends its process, or has no plan."""
        self.check_plan(method)
        if method not in self._alive:
            raise Inapplicable("it ended the worker process, so it is not called in this one")

    def _shared_levels(self, methods: Sequence[Method]) -> list[float]:
        return sorted({self.level(method) for method in methods if method.prunes} or {LEVEL})

    def _model(self, family: str) -> Path:
        if family not in self._models:
            self._models[family] = write_tiny_model(self._new_folder(), family)
        return self._models[family]

    def _task(self, plant: bool) -> Path:
        if plant not in self._tasks:
            self._tasks[plant] = write_tiny_task(self._new_folder(), plant=plant)
        return self._tasks[plant]

    def _new_folder(self) -> Path:
        self._number += 1
        return self._folder / str(self._number)

    def _run(
        self,
        methods: Sequence[Method],
        levels: Sequence[float],
        *,
        seeds: tuple[int, ...] = (SEED,),
        family: str = "bert",
        plant: bool = False,
        store: Path | None = None,
        resources: Resources = IN_PROCESS,
        checkpoint_minutes: float | None = None,
    ) -> Cells:
        # Whatever strategies print is for the run of their own, which has a listener too.
        with _unchanged_threads(), progress.temporary_listener(lambda report: None):
            results = run_tiny(
                [method.label for method in methods],
                levels,
                model=self._model(family),
                task=self._task(plant),
                store=store or self._new_folder(),
                seeds=",".join(map(str, seeds)) + ",",
                resources=resources,
                plugins=self.registry.files,
                checkpoint_minutes=checkpoint_minutes,
            )
        return _cells(results)


def _cells(results: Results) -> Cells:
    assert results.run is not None
    store = results.store
    cells: Cells = {}
    for cell in results.run.plan.cells:
        record = store.record(cell.key)
        failure = results.failures.get(f"{cell.label} at {cell.sparsity:g} on {cell.task}, seed {cell.seed}", "")
        cells[cell.label, cell.sparsity, cell.seed] = CellEvidence(
            cell.key,
            record,
            failure,
            store.load("masks", cell.mask, masks.unpack) if record and cell.mask else {},
            store.logits(cell.key)["validation"] if record else None,
        )
    return cells


@contextmanager
def _unchanged_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
