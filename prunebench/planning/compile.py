"""Methods, levels and experiments become a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.planning.graph import Node, Plan, PlannedCell, RecipeStep, add_leaf
from prunebench.planning.levels import describe_unsupported
from prunebench.planning.methods import Method
from prunebench.recipes.phase import final_trainings
from prunebench.runtime.memory import without_collection
from prunebench.store.schema import Experiment, Location, MethodInfo

# A method at a sparsity.
Recipe = tuple[MethodInfo, float, list[RecipeStep]]


@without_collection()
def compile_plan(
    experiments: Iterable[Experiment],
    strategies: Sequence[str],
    levels: Mapping[str, tuple[float, ...]],
    registry: Registry,
    where: Location,
) -> Plan:
    """The plan of `strategies` at the `levels` of each task, for every experiment. Dense is part of every plan.

    So are the dense runs of equal training, for methods whose weights are trained from θ0 more or less than once.
    `where` says where model and data lie. Recipes are made once for each set of levels, not for each experiment.
    """
    methods = [Method(text, registry) for text in dict.fromkeys(["dense", *strategies])]
    for method in methods:
        if method.info.options.get("model") and method.info.strategy == "dense":
            raise PrunebenchError(
                f"{method.label!r} is a run of another model", f"--also-model {method.info.options['model']}"
            )
    recipes = {each: _with_equal_training(list(_recipes(methods, each)), registry) for each in set(levels.values())}
    plan = Plan([], [], where)
    for experiment in experiments:
        _add_tree(plan, experiment, recipes[levels[experiment.task]], registry)
    return plan


def add_other_model(plan: Plan, experiments: Iterable[Experiment], registry: Registry, where: Location) -> None:
    """Add the dense runs of another model to the plan, which stand beside the methods and are compared with nothing.

    Raises PrunebenchError where the model is the plan's own, or there already.
    """
    known = {tree.experiment.model.fingerprint for tree in plan.trees}
    for experiment in experiments:
        model = experiment.model
        if model.fingerprint in known:
            raise PrunebenchError(f"--also-model {where.model} names a model that the run has already")
        plan.others[model.fingerprint] = where
        method = Method(f"dense[model={model.name}]", registry)
        _add_tree(plan, experiment, [(method.info, 0.0, method.steps(0.0))], registry)


def _add_tree(plan: Plan, experiment: Experiment, recipes: Sequence[Recipe], registry: Registry) -> None:
    tree = Node(experiment.key, experiment)
    plan.trees.append(tree)
    task = registry.get("tasks", experiment.task)
    splits = (task.benchmark, task.split, task.metrics, task.evaluations)
    for method, sparsity, steps in recipes:
        check_rewinds(steps, experiment, method.label)
        purpose = f"{method.label} {sparsity:g}" if sparsity else method.label
        plan.cells.append(PlannedCell(method, sparsity, add_leaf(tree, steps, purpose), *splits))


def _with_equal_training(recipes: list[Recipe], registry: Registry) -> list[Recipe]:
    """The recipes, and behind the first, dense, the dense runs of equal training that are not among them."""
    numbers = {final_trainings([step.phase for step in steps]) for _, _, steps in recipes} - {0.0, 1.0}
    planned = {info.label for info, _, _ in recipes}
    equal = [Method(f"dense[trainings={number:.10f}]", registry) for number in sorted(numbers)]
    added = _recipes([method for method in equal if method.label not in planned], (0.0,))
    return [recipes[0], *added, *recipes[1:]]


def _recipes(methods: Sequence[Method], levels: tuple[float, ...]) -> Iterator[Recipe]:
    """All methods at all levels that they have. What they lack is part of their descriptions.

    Raises PrunebenchError for a method that has none of the levels.
    """
    for method in methods:
        requested = levels if method.prunes else (0.0,)
        reasons = {str(level): reason for level in requested if (reason := method.unsupported(level))}
        if len(reasons) == len(requested):
            missing = describe_unsupported(method.label, {float(level): why for level, why in reasons.items()})
            raise PrunebenchError(missing, "choose other --sparsities")
        info = method.info.model_copy(update={"unsupported": reasons}) if reasons else method.info
        for level in requested:
            if str(level) not in reasons:
                yield info, level, method.steps(level)


def check_rewinds(steps: Sequence[RecipeStep], experiment: Experiment, who: str) -> None:
    """Raise where a recipe rewinds to a step that a training of the task does not have."""
    late = [step.phase.rewinds_to for step in steps if (step.phase.rewinds_to or 0) > experiment.steps]
    if late:
        raise PrunebenchError(
            f"{who!r} rewinds to step {late[0]}",
            f"a training of {experiment.task!r} has {experiment.steps} steps by this protocol",
        )
