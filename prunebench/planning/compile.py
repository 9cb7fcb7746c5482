"""Methods, levels and experiments become a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import Node, Plan, PlannedCell, RecipeStep, add_leaf
from prunebench.planning.methods import Method
from prunebench.runtime.memory import without_collection
from prunebench.store.schema import Experiment, Location, MethodInfo


@without_collection()
def compile_plan(
    experiments: Iterable[Experiment],
    strategies: Sequence[str],
    levels: Mapping[str, tuple[float, ...]],
    registry: Registry,
    where: Location,
) -> Plan:
    """The plan of `strategies` at the `levels` of each task, for every experiment. Dense is part of every plan.

    `where` says where model and data lie. Recipes are made once for each set of levels, not for each experiment.
    """
    methods = [Method(text, registry) for text in dict.fromkeys(["dense", *strategies])]
    recipes = {each: list(_recipes(methods, each)) for each in set(levels.values())}
    plan = Plan([], [], where)
    for experiment in experiments:
        tree = Node(experiment.key, experiment)
        plan.trees.append(tree)
        task = registry.get("tasks", experiment.task)
        splits = (task.benchmark, task.split, task.metrics, task.evaluations)
        for method, sparsity, steps in recipes[levels[experiment.task]]:
            check_rewinds(steps, experiment, method.label)
            purpose = f"{method.label} {sparsity:g}" if sparsity else method.label
            plan.cells.append(PlannedCell(method, sparsity, add_leaf(tree, steps, purpose), *splits))
    return plan


def _recipes(
    methods: Sequence[Method], levels: tuple[float, ...]
) -> Iterator[tuple[MethodInfo, float, list[RecipeStep]]]:
    """All methods at all levels that they have. What they lack is part of their descriptions.

    Raises PrunebenchError for a method that has none of the levels.
    """
    for method in methods:
        requested = levels if method.prunes else (0.0,)
        reasons = {f"{level:g}": reason for level in requested if (reason := method.unsupported(level))}
        if len(reasons) == len(requested):
            raise PrunebenchError(f"{method.label}: {next(iter(reasons.values()))}", "choose other --sparsities")
        info = method.info.model_copy(update={"unsupported": reasons}) if reasons else method.info
        for level in requested:
            if f"{level:g}" not in reasons:
                yield info, level, method.steps(level)


def check_rewinds(steps: Sequence[RecipeStep], experiment: Experiment, who: str) -> None:
    """Raise where a recipe rewinds to a step that a training of the task does not have."""
    late = [step.phase.rewinds_to for step in steps if (step.phase.rewinds_to or 0) > experiment.steps]
    if late:
        raise PrunebenchError(
            f"{who!r} rewinds to step {late[0]}",
            f"a training of {experiment.task!r} has {experiment.steps} steps by this protocol",
        )
