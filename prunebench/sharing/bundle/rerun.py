"""Cells of a bundle as a plan that trains them again, and the comparison of the new records with those of the bundle.

On the same processor, with the same number of threads and the same libraries, training is reproducible bit for bit, and
everything must come out equal. Elsewhere sums round differently and a training drifts. Then the counts must be equal,
each score must be within a tolerance, and of five or more records half must be within a fifth of it, so that not all
scores can be raised a little. (Two threads instead of one moved nine of ten scores of each task of leaderboards/quick
by at most 0.003 to 0.018, and one of its 186 scores by 0.069.)
"""

from __future__ import annotations

import functools
import random
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import ENGINE, Node, Plan
from prunebench.pruning import bitmask
from prunebench.sharing.bundle import checks
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.schema import CellLine
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.schema import Cell, Location, PhaseEntry, Record
from prunebench.store.store import Store

# Two runs whose environments agree in these do the same arithmetic.
SAME_ARITHMETIC = ("hardware", "threads", "platform", "torch", "transformers", "numpy")
# The median distance of fewer records is no reason to refuse a bundle.
MIN_RECORDS = 5


def draw(cells: Sequence[CellLine], number: int, seed: int) -> list[CellLine]:
    """That many random cells, or all if there are fewer; a seed always gives the same ones."""
    # A run and a transfer share their dense cells, which only the plan tells apart.
    ordered = sorted(cells, key=lambda cell: (cell.key, cell.label, cell.sparsity, cell.plan))
    return random.Random(seed).sample(ordered, min(number, len(ordered)))


class Obstacles:
    """Why cells of a bundle cannot be trained here. `model` is the folder of their encoder, by default its name."""

    def __init__(
        self, bundle: Bundle, trees: Trees, registry: Registry, without_data: Collection[str], model: str | None
    ) -> None:
        self.bundle = bundle
        self.trees = trees
        self.without_data = without_data
        self.model_obstacle = functools.cache(functools.partial(_model_obstacle, registry=registry, model=model))
        self.is_installed = functools.cache(lambda label: checks.is_installed(bundle, label, registry))

    def of(self, cell: Cell) -> str:
        """The first reason, or "" if the cell can be trained."""
        if cell.key not in self.bundle.records:
            return "the bundle holds no result, because it failed"
        lineage = self.trees.nodes[cell.key].lineage()
        experiment = lineage[0].experiment
        for node in lineage:
            if node.experiment.task in self.without_data:
                return f"the data of {node.experiment.task} is not available"
            if node.strategy and not self.is_installed(node.strategy):
                return f"{node.strategy} is not installed with the code that the bundle declares"
        return self.model_obstacle(experiment.model.name, experiment.model.fingerprint, experiment.device)


def _model_obstacle(name: str, fingerprint: str, device: str, *, registry: Registry, model: str | None) -> str:
    """Why a model cannot be trained on a device here, or ""."""
    from prunebench.models.loading import model_source
    from prunebench.runtime import devices

    try:
        devices.check_device(device)
        source = model_source(model or name, registry)
    except PrunebenchError as error:
        return f"its model or device is not available: {error.message}; --model names the folder of a model"
    if source.fingerprint != fingerprint:
        return f"the model {source.name!r} here is {source.fingerprint}, but the bundle's is {fingerprint}"
    return ""


def plan(bundle: Bundle, trees: Trees, cells: Sequence[Cell], registry: Registry, where: Location) -> Plan:
    """A plan of these cells only, with the keys of the bundle."""
    moving = [label for label in bundle.manifest.strategies if _moves(label, registry)]
    # Trees that adopt masks come after the trees that make them.
    making, adopting = (Trees(bundle.manifest.strategies, registry) for _ in range(2))
    for cell in cells:
        path = trees.nodes[cell.key].path()
        source = path[0].mask_source
        mask = _copy(making, source.path(), moving) if source else None
        leaf = _copy(adopting if source else making, path, moving)
        leaf.scored = True
        if mask:
            first = leaf.path()[0]
            first.inputs = {each: mask for each in first.step.phase.inputs} if first.step else {}
    return Plan([*making.roots.values(), *adopting.roots.values()], [], where)


def _moves(label: str, registry: Registry) -> bool:
    try:
        return hasattr(registry.strategy(label), "prune")
    except PrunebenchError:
        return False


def _copy(trees: Trees, path: Sequence[Node], moving: Sequence[str]) -> Node:
    entries = [PhaseEntry(**node.step.data, strategy=node.strategy) for node in path if node.step]
    return trees.add(path[0].experiment, entries, moving)


def keys(cells: Sequence[Cell]) -> list[str]:
    """The keys of the records of these cells and of their trainings."""
    return list(dict.fromkeys(key for cell in cells for key in cell.record_keys))


@dataclass(frozen=True)
class Comparison:
    """A new record against the one of the bundle: what is wrong with it, and the largest distance of a score.

    `exact` tells whether everything had to be equal bit for bit.
    """

    key: str
    exact: bool
    faults: list[str]
    distance: float


def compare(bundle: Bundle, trees: Trees, key: str, store: Store, tolerance: float) -> Comparison:
    """Compare the record in `store`, which was made again, with the record in the bundle."""
    old, new = bundle.records[key], store.record(key)
    if new is None:
        return Comparison(key, False, [f"the record {key} could not be made again"], 0.0)
    exact = _does_same_arithmetic(old, new)
    distance = max(
        abs(value - new.evaluations[name].metrics[metric])
        for name, scores in old.evaluations.items()
        for metric, value in scores.metrics.items()
    )
    faults = [*_compare_counts(old, new), *(_compare_bits(bundle, trees, old, new, store) if exact else ())]
    if distance > (0 if exact else tolerance):
        faults.append(f"has scores that are {distance:.4f} away")
    return Comparison(key, exact, [f"the record {key}, made again, {fault}" for fault in faults], distance)


def _does_same_arithmetic(old: Record, new: Record) -> bool:
    """Whether results must be equal. Never on a GPU, which does not always add numbers in the same order."""
    same = all(str(old.environment.get(name)) == str(new.environment.get(name)) for name in SAME_ARITHMETIC)
    return same and old.experiment.device == "cpu" and old.experiment.code.partition(",")[0] == f"engine {ENGINE}"


def _compare_counts(old: Record, new: Record) -> Iterator[str]:
    for name in ("steps", "tokens"):
        if getattr(old, name) != getattr(new, name):
            yield f"has {getattr(new, name)} {name} instead of {getattr(old, name)}"
    for name in ("unit", "units", "pruned", "encoder_weights", "budget", "cost_pruned"):
        if getattr(old.sparsity, name) != getattr(new.sparsity, name):
            yield f"says {name} {getattr(new.sparsity, name)} instead of {getattr(old.sparsity, name)}"
    if old.parameters.total != new.parameters.total:
        yield f"has {new.parameters.total} parameters instead of {old.parameters.total}"


def _compare_bits(bundle: Bundle, trees: Trees, old: Record, new: Record, store: Store) -> Iterator[str]:
    """Compare what is equal bit for bit under the same arithmetic: predictions, sizes and masks."""
    predictions = bundle.predictions(old.key)
    for evaluation, array in store.predictions(new.key).items():
        if not np.array_equal(array, predictions[evaluation]):
            yield f"has other predictions for {evaluation}"
    if old.sparsity != new.sparsity or old.parameters != new.parameters:
        yield "has other sizes"
    if old.flops not in (None, new.flops):
        yield "has other FLOPs"
    for node in trees.nodes[old.key].path():
        if node.phase is None or not node.phase.finds_mask:
            continue
        mask_key = node.phase.mask_from or node.key
        mask = store.load("masks", mask_key, bitmask.summary)
        if mask != bundle.masks[mask_key].model_dump(exclude={"key"}):
            yield f"has another mask {mask_key}"


def drift(comparisons: Iterable[Comparison], tolerance: float) -> tuple[float, float, str]:
    """The largest and the median distance of the records that need not be equal, and what is wrong with it, or ""."""
    distances = [comparison.distance for comparison in comparisons if not comparison.exact]
    if not distances:
        return 0.0, 0.0, ""
    median, allowed = statistics.median(distances), tolerance / 5
    fault = f"half of the scores that were made again are at least {median:.4f} away, expected at most {allowed:g}"
    return max(distances), median, fault if len(distances) >= MIN_RECORDS and median > allowed else ""


def threads(bundle: Bundle, cells: Sequence[Cell]) -> int | None:
    """The number of threads that most of these cells were trained with; the smaller one of a tie."""
    values = [bundle.records[cell.key].environment.get("threads") for cell in cells]
    counts = Counter(value for value in values if isinstance(value, int))
    return max(sorted(counts), key=counts.__getitem__) if counts else None
