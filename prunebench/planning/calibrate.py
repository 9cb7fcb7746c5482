"""The plan of a calibration: dense models under each setting of a grid, scored on a part carved from train.

The cells are dense cells of tasks such as `rte:carved`, so they run, resume and are stored like any other. The dev
split of a task is not among their data, and no pruning method is among their recipes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.experiment import experiments, location
from prunebench.planning.graph import Node, Plan, PlannedCell, add_leaf
from prunebench.planning.methods import Method
from prunebench.planning.protocol_file import SHARED, Grid, ProtocolFile, TaskProtocol, Trial, select, train_fingerprint
from prunebench.planning.suite import Suite
from prunebench.recipes.options import split_list
from prunebench.store.schema import Experiment, Record
from prunebench.tasks.carving import SUFFIX, base_name, find_task
from prunebench.tasks.protocol import Protocol
from prunebench.tasks.task import Task, load_data

# The kind of the plan in a store: no leaderboard shows its cells.
KIND = "calibration"
MIN_SEEDS = 2


@dataclass(frozen=True)
class Calibration:
    """A plan, and the experiments of each task and setting of the grid, one for each seed."""

    suite: Suite
    grid: Grid
    plan: Plan
    experiments: Mapping[str, Sequence[Sequence[Experiment]]]
    leaves: Mapping[str, Node]


def plan_calibration(suite: Suite, grid: Grid, registry: Registry) -> Calibration:
    """The plan for the tasks, the model and the seeds of `suite`. Its epochs, learning rate and protocol are ignored.

    Raises PrunebenchError for fewer than two seeds, whose spread is unknown.
    """
    if len(suite.seeds) < MIN_SEEDS:
        raise PrunebenchError(f"{len(suite.seeds)} seed has no standard error", f"--seeds {MIN_SEEDS} or more")
    own = replace(suite, protocol=None, epochs=None, lr=None, eval_limit=None)
    derived = replace(own, tasks=tuple(f"{task}{SUFFIX}" for task in suite.tasks))
    by_task: dict[str, list[Experiment]] = {base_name(task): [] for task in derived.tasks}
    for experiment in experiments(derived, registry):
        by_task[base_name(experiment.task)].append(experiment)
    plan, dense = Plan([], [], location(suite)), Method("dense", registry)
    trials: dict[str, list[list[Experiment]]] = {}
    leaves: dict[str, Node] = {}
    for name, of_task in by_task.items():
        task = find_task(of_task[0].task, registry)
        trials[name] = [[_under(each, task, changes) for each in of_task] for changes in _settings(grid)]
        for experiment, changes in _with_settings(trials[name], grid):
            tree = Node(experiment.key, experiment)
            purpose = ", ".join(f"{key}={value:g}" for key, value in changes.items())
            leaf = leaves[experiment.key] = add_leaf(tree, dense.steps(0.0), purpose)
            plan.trees.append(tree)
            splits = (task.benchmark, task.split, task.metrics, task.evaluations)
            plan.cells.append(PlannedCell(dense.info, 0.0, leaf, *splits))
    return Calibration(suite, grid, plan, trials, leaves)


def parse_grid(epochs: str | None = None, lr: str | None = None, warmup: str | None = None) -> Grid:
    """The grid with these lists of numbers, `2,4`; None keeps the default values.

    Raises PrunebenchError for what is no number, or out of range.
    """
    values: dict[str, list[float]] = {}
    for name, text in {"epochs": epochs, "lr": lr, "warmup": warmup}.items():
        if text is not None:
            numbers = {_number(name, word) for word in split_list(text)}
            values[name] = sorted(int(number) if name == "epochs" else number for number in numbers)
    try:
        return Grid(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise PrunebenchError(f"bad {first['loc'][0]}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None


def _number(name: str, word: str) -> float:
    try:
        number = float(word)
        if name == "epochs" and not number.is_integer():
            raise ValueError
    except ValueError:
        expected = "whole numbers" if name == "epochs" else "numbers"
        raise PrunebenchError(f"bad {name} {word!r}", f"expected {expected}, separated by commas") from None
    return number


def _settings(grid: Grid) -> Iterator[dict[str, float]]:
    """The changes of each setting of the grid, the cheapest first."""
    for epochs, lr, warmup in itertools.product(sorted(grid.epochs), sorted(grid.lr), sorted(grid.warmup)):
        yield {"epochs": epochs, "lr": lr, "warmup": warmup}


def _with_settings(trials: Sequence[Sequence[Experiment]], grid: Grid) -> Iterator[tuple[Experiment, dict[str, float]]]:
    """All experiments with the setting of each, seed after seed: a run that stops has seen all settings alike."""
    for of_seed in zip(*trials, strict=True):
        yield from zip(of_seed, _settings(grid), strict=True)


def _under(experiment: Experiment, task: Task, changes: Mapping[str, float]) -> Experiment:
    """The same experiment with another protocol. Its sizes do not depend on what changes."""
    protocol = Protocol(**experiment.protocol).override(**changes)  # type: ignore[arg-type]
    label = protocol.label(task.protocol)
    return experiment.model_copy(update={"protocol": protocol.to_json(), "protocol_label": label})


def to_file(calibration: Calibration, records: Mapping[str, Record], registry: Registry, command: str) -> ProtocolFile:
    """The protocol file, given the records by the keys of the plan's leaves.

    The score of a model is the first metric of its task, which charts show too.
    """
    tasks = {}
    for name, trials in calibration.experiments.items():
        task = find_task(name, registry)
        metric = task.metrics[0]
        evaluations = [
            [records[calibration.leaves[each.key].key].evaluations["validation"] for each in of_setting]
            for of_setting in trials
        ]
        entries = [
            Trial.of(
                epochs=int(changes["epochs"]),
                lr=changes["lr"],
                warmup=changes["warmup"],
                steps=of_setting[0].steps,
                scores=[evaluation.metrics[metric] for evaluation in scores],
            )
            for of_setting, scores, changes in zip(trials, evaluations, _settings(calibration.grid), strict=True)
        ]
        first, best = trials[0][0], select(entries)
        tasks[name] = TaskProtocol(
            epochs=best.epochs,
            lr=best.lr,
            warmup=best.warmup,
            **{key: first.protocol[key] for key in SHARED},  # type: ignore[arg-type]
            data=train_fingerprint(load_data(task, calibration.suite.glue_dir)),
            train=first.sizes["train"],
            carved=first.sizes["validation"],
            metric=metric,
            majority=evaluations[0][0].majority[metric],
            trials=entries,
        )
    model = next(iter(calibration.experiments.values()))[0][0].model
    return ProtocolFile(
        command=command, model=model, seeds=list(calibration.suite.seeds), grid=calibration.grid, tasks=tasks
    )
