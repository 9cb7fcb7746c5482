"""A part carved from the training split of a task. Settings are compared on it, and the dev split stays unused.

The carved part and the rest of the training split are the data of a task of their own, `rte:carved` for `rte`, so that
a dense model is trained and scored on it like on any other task.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from functools import partial

from prunebench.errors import PrunebenchError
from prunebench.hooks.registry import Registry
from prunebench.tasks.task import DataSource, Split, Task, TaskData

SUFFIX = ":carved"
# The carved part is this share of the training split, and at most so many examples.
SHARE = Fraction(1, 5)
MOST = 2000
MIN_EXAMPLES = 10


def carve(train: Split, regression: bool = False) -> tuple[Split, Split]:
    """The rest of a training split, and the part carved from it; both keep the order of the examples.

    The part has a fifth of the examples, rounded, and at most 2000. For classification it is stratified: each class has
    its share, by largest remainders. The draw depends on nothing but the number of examples and their labels.

    Raises PrunebenchError for fewer than 10 examples.
    """
    if len(train) < MIN_EXAMPLES:
        raise PrunebenchError(f"a training split of {len(train)} examples is too small to carve a part from it")
    strata: dict[float, list[int]] = defaultdict(list)
    for index, label in enumerate(train.labels):
        strata[0.0 if regression else label].append(index)
    groups = [strata[label] for label in sorted(strata)]
    counts = _counts([len(group) for group in groups], min(MOST, round(SHARE * len(train))))
    rng = random.Random(f"carve {len(train)}")
    carved = sorted(index for group, count in zip(groups, counts, strict=True) for index in rng.sample(group, count))
    rest = sorted(set(range(len(train))) - set(carved))
    return train.choose(rest), train.choose(carved)


def _counts(sizes: list[int], total: int) -> list[int]:
    """How many examples of each stratum make `total`, in proportion to their sizes, by largest remainders."""
    exact = [Fraction(size * total, sum(sizes)) for size in sizes]
    counts = [int(quota) for quota in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts


def derive(task: Task) -> Task:
    """The task whose evaluation split is the part carved from the training split of `task`."""
    return replace(
        task,
        name=f"{task.name}{SUFFIX}",
        doc=f"A part of the training split of {task.name}.",
        load=partial(_load, task),
        evaluations=("validation",),
        split="carved from train",
    )


def _load(task: Task, source: DataSource) -> TaskData:
    rest, carved = carve(task.load(source).train, task.is_regression)
    return TaskData(rest, {"validation": carved})


def base_name(name: str) -> str:
    """The name of the registered task: `rte` of `rte:carved`, too."""
    return name.removesuffix(SUFFIX)


def find_task(name: str, registry: Registry) -> Task:
    """The task of that name, which may be one with a carved part (`rte:carved`)."""
    task: Task = registry.get("tasks", base_name(name))
    return task if name == task.name else derive(task)
