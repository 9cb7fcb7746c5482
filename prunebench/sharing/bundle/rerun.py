"""Which cells of a bundle are trained again, and the plan that does so. `agreement` compares the results."""

from __future__ import annotations

import functools
import os
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import Node, Plan
from prunebench.sharing.bundle import checks
from prunebench.sharing.bundle.reader import Bundle
from prunebench.sharing.bundle.schema import CellLine
from prunebench.sharing.bundle.trees import Trees
from prunebench.store.schema import Cell, Location, Model, PhaseEntry


def draw(bundle: Bundle, cells: Sequence[CellLine], number: int, seed: int) -> list[CellLine]:
    """That many of `cells`, or all if there are fewer, in random order; a seed always gives the same ones.

    The cells of the best method of each task, track and sparsity above 0 come first, because a ranking claims these
    above all.
    """
    # A run and a transfer share their dense cells, which only the plan tells apart.
    ordered = sorted(cells, key=lambda cell: (cell.key, cell.label, cell.sparsity, cell.plan))
    best = _best_methods(bundle)
    shuffled = random.Random(seed).sample(ordered, len(ordered))
    return sorted(shuffled, key=lambda cell: cell.label != best.get(_field(cell)))[:number]


def _field(cell: CellLine) -> tuple[Any, ...]:
    return cell.plan, cell.task, cell.track, cell.sparsity


def _best_methods(bundle: Bundle) -> dict[tuple[Any, ...], str]:
    """The method with the highest mean score in each field of cells that a ranking compares."""
    scores: dict[tuple[Any, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell in bundle.cells:
        record = bundle.records.get(cell.key)
        if record is not None and cell.sparsity:
            values = [value for each in record.evaluations.values() for value in each.metrics.values()]
            scores[_field(cell)][cell.label].append(statistics.fmean(values))
    means = {
        field: {label: statistics.fmean(values) for label, values in methods.items()}
        for field, methods in scores.items()
    }
    return {field: max(sorted(methods), key=methods.__getitem__) for field, methods in means.items()}


def with_dense(cells: Sequence[CellLine], candidates: Iterable[CellLine]) -> list[CellLine]:
    """The cells, and the dense runs of the same tasks and seeds, whose drift is the measure of theirs."""
    groups = {(cell.plan, cell.task, cell.seed, cell.setting) for cell in cells}
    dense = [
        cell
        for cell in candidates
        if cell.is_plain_dense and (cell.plan, cell.task, cell.seed, cell.setting) in groups and cell not in cells
    ]
    return [*cells, *dense]


class Obstacles:
    """Why cells of a bundle cannot be trained here. `model` is the folder of their encoder.

    Without it encoders are looked up by their ids among the models of plugins and in the hub's cache, or on the hub if
    `download` is set. `folders` says where those that were found are, by fingerprint.
    """

    def __init__(
        self,
        bundle: Bundle,
        trees: Trees,
        registry: Registry,
        without_data: Collection[str],
        model: str | None,
        download: bool = False,
    ) -> None:
        self.bundle = bundle
        self.trees = trees
        self.without_data = without_data
        self.registry = registry
        self.model = model
        self.folders: dict[str, str] = {}
        self.download = download
        self._model_obstacle = functools.cache(self._find_model_obstacle)
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
        return self._model_obstacle(experiment.model, experiment.device)

    def _find_model_obstacle(self, model: Model, device: str) -> str:
        """Why a model cannot be trained on a device here, or ""."""
        from prunebench.models.loading import model_of_id, model_source
        from prunebench.runtime import devices

        try:
            devices.check_device(device)
            if self.model:
                source = model_source(self.model, self.registry)
            else:
                source = model_of_id(model.name, model.revision, self.registry, download=self.download)
        except PrunebenchError as error:
            hint = "--model names the folder of a model, and --allow-download asks the hub"
            return f"its model or device is not available: {error.message}; {hint}"
        if source.fingerprint != model.fingerprint:
            return f"the model {source.name!r} here is {source.fingerprint}, but the bundle's is {model.fingerprint}"
        self.folders[model.fingerprint] = self.model or str(source.folder)
        return ""

    def locations(self, glue_dir: str | None) -> dict[str, Location]:
        """Where models and data lie, by the fingerprint of the model."""
        return {each: Location(model=folder, glue_dir=glue_dir) for each, folder in self.folders.items()}


def plan(
    bundle: Bundle, trees: Trees, cells: Sequence[Cell], registry: Registry, locations: dict[str, Location]
) -> Plan:
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
    return Plan([*making.roots.values(), *adopting.roots.values()], [], Location(), locations)


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


def threads(bundle: Bundle, cells: Sequence[Cell]) -> int | None:
    """The number of threads that most of these cells were trained with; the smaller one of a tie.

    It is at most the number of processors here, because a bundle may claim any.
    """
    values = [bundle.records[cell.key].environment.get("threads") for cell in cells]
    counts = Counter(value for value in values if isinstance(value, int) and value > 0)
    return min(max(sorted(counts), key=counts.__getitem__), os.cpu_count() or 1) if counts else None
