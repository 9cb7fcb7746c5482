"""Cells of a bundle, trained again through the plan, the jobs and the worker of any run, and compared.

On a processor of the same name with the same number of threads and the same libraries, training is the same bit for
bit, and so must be everything that comes out. Elsewhere sums round otherwise, and a training drifts: there the counts
must be the same, each score within a tolerance, and of five or more half within a fifth of it, so that not all can be
a little better. (Two threads instead of one moved nine of ten scores of each task of leaderboards/quick by at most
0.003 to 0.018, and one of the 186 by 0.069.) Imports no torch before something is run.
"""

from __future__ import annotations

import functools
import random
import statistics
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import ENGINE, Node, Plan
from prunebench.pruning import bitmask
from prunebench.recipes import phases
from prunebench.recipes.phases import Adopt, stores_mask
from prunebench.sharing.bundle import checks
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.schema import Cell, Location, PhaseEntry, Record
from prunebench.store.store import Store

# Two runs that agree in these do the same arithmetic.
ALIKE = ("hardware", "threads", "platform", "torch", "transformers", "numpy")
# Of fewer records than these, drifting ones, a median says too little to refuse a bundle.
MANY = 5


def draw(cells: Sequence[Cell], number: int, seed: int) -> list[Cell]:
    """So many of the cells at random, or all; the same ones for the same seed."""
    ordered = sorted(cells, key=lambda cell: (cell.key, cell.label, cell.sparsity))
    return random.Random(seed).sample(ordered, min(number, len(ordered)))


class Obstacles:
    """Why a cell of a bundle cannot be trained here. `model` is where its encoder lies, if not where its name says."""

    def __init__(
        self, bundle: Bundle, trees: Trees, registry: Registry, without_data: Collection[str], model: str | None
    ) -> None:
        self.bundle = bundle
        self.trees = trees
        self.without_data = without_data
        self.lacks = functools.cache(functools.partial(_lacks, registry=registry, model=model))
        self.is_here = functools.cache(lambda label: checks.same_code(bundle, label, registry))

    def of(self, cell: Cell) -> str:
        """The first reason, or "" where there is none."""
        if cell.key not in self.bundle.records:
            return "it has failed where it was made"
        path = self.trees.nodes[cell.key].lineage()
        experiment = path[0].experiment
        for node in path:
            if node.experiment.task in self.without_data:
                return f"the data of {node.experiment.task} is not at hand"
            if node.strategy and not self.is_here(node.strategy):
                return f"{node.strategy} is not here as it was there"
        return self.lacks(experiment.model.name, experiment.model.fingerprint, experiment.device)


def _lacks(name: str, fingerprint: str, device: str, *, registry: Registry, model: str | None) -> str:
    """Why nothing of that model and device can be trained here, or ""."""
    from prunebench.models.loading import model_source
    from prunebench.runtime import devices

    try:
        devices.check_device(device)
        found = model_source(model or name, registry)
    except PrunebenchError as error:
        return f"its model or device is not at hand: {error.message}; --model says where a model lies"
    if found.fingerprint != fingerprint:
        return f"the model {found.name!r} here is {found.fingerprint}, and the bundle's is {fingerprint}"
    return ""


def plan(bundle: Bundle, trees: Trees, cells: Sequence[Cell], registry: Registry, where: Location) -> Plan:
    """A plan of these cells alone, whose keys are those of the bundle."""
    moving = [label for label in bundle.manifest.strategies if _moves(label, registry)]
    finding, adopting = (Trees(bundle.manifest.strategies) for _ in range(2))
    for cell in cells:
        path = trees.nodes[cell.key].path()
        source = path[0].mask_source
        mask = _copy(finding, source.path(), moving) if source else None
        leaf = _copy(adopting if source else finding, path, moving)
        leaf.scored = True
        if mask:
            leaf.path()[0].mask_source = mask
    return Plan([*finding.roots.values(), *adopting.roots.values()], [], where)


def _moves(label: str, registry: Registry) -> bool:
    try:
        return hasattr(registry.strategy(label), "prune")
    except PrunebenchError:
        return False


def _copy(trees: Trees, path: Sequence[Node], moving: Sequence[str]) -> Node:
    entries = [PhaseEntry(**phases.to_json(node.phase), strategy=node.strategy) for node in path if node.phase]
    return trees.add(path[0].experiment, entries, moving)


def keys(cells: Sequence[Cell]) -> list[str]:
    """The records of these cells and of the trainings on their way."""
    return list(dict.fromkeys(key for cell in cells for key in cell.record_keys))


@dataclass(frozen=True)
class Comparison:
    """What came out of a record that was made again: what is wrong, and the largest distance of a score.

    `exact` says that every bit had to be the same.
    """

    key: str
    exact: bool
    wrong: list[str]
    distance: float


def compare(bundle: Bundle, trees: Trees, key: str, store: Store, tolerance: float) -> Comparison:
    """A record of the bundle and the one that was made again in `store`, where it must be."""
    there, here = bundle.lines[key].record, store.record(key)
    if here is None:
        return Comparison(key, False, [f"the record {key} could not be made again"], 0.0)
    exact = _is_alike(there, here)
    distance = max(
        abs(value - here.evaluations[name].metrics[metric])
        for name, scores in there.evaluations.items()
        for metric, value in scores.metrics.items()
    )
    wrong = [*_counts(there, here), *(_bits(bundle, trees, key, store) if exact else ())]
    if distance > (0 if exact else tolerance):
        wrong.append(f"has scores that are {distance:.4f} away")
    return Comparison(key, exact, [f"the record {key}, made again, {what}" for what in wrong], distance)


def _is_alike(there: Record, here: Record) -> bool:
    """On a GPU sums are not always taken in the same order, so that only a processor is held to every bit."""
    same = all(str(there.environment.get(name)) == str(here.environment.get(name)) for name in ALIKE)
    return same and there.experiment.device == "cpu" and there.experiment.code.partition(",")[0] == f"engine {ENGINE}"


def _counts(there: Record, here: Record) -> Iterator[str]:
    said, found = there.model_dump(), here.model_dump()
    for what in ("steps", "tokens"):
        if said[what] != found[what]:
            yield f"has {found[what]} {what} instead of {said[what]}"
    for part, names in {"sparsity": ("unit", "units", "pruned", "encoder_weights"), "parameters": ("total",)}.items():
        for name in names:
            if said[part][name] != found[part][name]:
                yield f"counts {found[part][name]} {name} instead of {said[part][name]}"


def _bits(bundle: Bundle, trees: Trees, key: str, store: Store) -> Iterator[str]:
    """What must be the same to the last bit where the arithmetic is: predictions, masks, sizes."""
    there, here = bundle.lines[key].record, store.record(key)
    assert here is not None
    bundled = bundle.predictions(key)
    for name, predictions in store.predictions(key).items():
        if not np.array_equal(predictions, bundled[name]):
            yield f"has other predictions for {name}"
    if there.sparsity != here.sparsity or there.parameters != here.parameters:
        yield "has other sizes"
    for node in trees.nodes[key].path():
        asked = node.phase.mask if isinstance(node.phase, Adopt) else node.key
        if node.phase is None or not stores_mask(node.phase):
            continue
        found = store.load("masks", asked, bitmask.summary)
        if found != bundle.masks[asked].model_dump(exclude={"key"}):
            yield f"has another mask {asked}"


def drifted(compared: Iterable[Comparison], tolerance: float) -> tuple[float, float, str]:
    """Of the records that need not be exact, the largest and the median distance; what is wrong with these, or ""."""
    distances = [comparison.distance for comparison in compared if not comparison.exact]
    if not distances:
        return 0.0, 0.0, ""
    middle = statistics.median(distances)
    wrong = f"half of the scores that were made again are {middle:.4f} away, and at most {tolerance / 5:g} is allowed"
    return max(distances), middle, wrong if len(distances) >= MANY and middle > tolerance / 5 else ""


def threads(bundle: Bundle, cells: Sequence[Cell]) -> int | None:
    """The number of threads that most of these cells were trained with."""
    numbers = [bundle.lines[cell.key].record.environment.get("threads") for cell in cells]
    found = [number for number in numbers if isinstance(number, int)]
    return max(sorted(set(found)), key=found.count) if found else None
