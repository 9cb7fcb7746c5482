"""Answer a question of transfer: plan it, run what the store lacks, and lay out the grid; or read it from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prunebench.errors import PrunebenchError
from prunebench.execution.display import Console
from prunebench.execution.runner import RunOptions, RunResult, execute, preview
from prunebench.hooks.registry import Registry
from prunebench.planning.experiment import experiments, location
from prunebench.planning.graph import Plan
from prunebench.planning.methods import Method
from prunebench.planning.suite import Suite, resolve
from prunebench.planning.transfer import Question, default_controls, plan_transfer
from prunebench.recipes.options import split_list
from prunebench.reports.transfer.grid import Grid, build
from prunebench.results.rows import load_rows

if TYPE_CHECKING:
    from prunebench.sharing.bundle.reader import Bundle

KIND = "transfer"


def ask(
    suite: str | None,
    options: Mapping[str, Any],
    registry: Registry,
    *,
    sources: str = "",
    targets: str = "",
    strategy: str = "imp",
    sparsity: float = 0.7,
    controls: str | None = None,
) -> tuple[Suite, Question]:
    """The suite, and the question that is asked of it. `controls` is a list of names, "none", or None for the usual."""
    from_tasks, to_tasks = (tuple(dict.fromkeys(split_list(names))) for names in (sources, targets))
    changes = dict(options)
    if from_tasks and to_tasks and suite is None and options.get("tasks") is None:
        changes["tasks"] = ",".join(dict.fromkeys((*to_tasks, *from_tasks)))
    resolved = resolve(suite, changes, registry)
    for task in (*from_tasks, *to_tasks):
        registry.get("tasks", task)
    if controls is None:
        names = default_controls(strategy, registry)
    else:
        names = () if controls.strip() == "none" else tuple(dict.fromkeys(split_list(controls)))
    question = Question(from_tasks or resolved.tasks, to_tasks or resolved.tasks, strategy, sparsity, names)
    if question.sources == question.targets and len(question.sources) < 2:
        raise PrunebenchError(
            f"there is nothing to transfer: {question.sources[0]!r} is the only task",
            "--sources and --targets name some",
        )
    return resolved, question


def make_plan(suite: Suite, question: Question, registry: Registry) -> Plan:
    sources = replace(suite, tasks=question.masks)
    return plan_transfer(experiments(sources, registry), question, registry, location(suite))


def dry_run(suite: Suite, question: Question, registry: Registry, options: RunOptions, console: Console) -> None:
    """Say what `answer` would train."""
    preview(make_plan(suite, question, registry), suite, registry, options, console)


def answer(
    suite: Suite, question: Question, registry: Registry, options: RunOptions, console: Console, delta: float
) -> tuple[Grid, RunResult]:
    """Train what the store lacks, and compare every mask with the dense model and the target's own mask."""
    result = execute(make_plan(suite, question, registry), suite, registry, options, console, KIND)
    rows = load_rows([result.plan], result.store)
    return build(rows, question, delta), result


def read_bundle(bundle: Bundle, name: str, question: Question, registry: Registry, delta: float) -> tuple[Grid, str]:
    """The grid of what a bundle holds of the question, and the commands that made it."""
    method = Method(question.strategy, registry).label, question.sparsity
    rows = [
        row
        for row in load_rows(bundle.plans(KIND), bundle)
        if row.cell.task in question.targets
        and (row.cell.is_plain_dense or (row.cell.options.get("of"), row.cell.sparsity) == method)
    ]
    missing = set(question.targets) - {row.cell.task for row in rows if row.cell.mask_from}
    if missing:
        raise PrunebenchError(
            f"{name} holds no transfer of {question.strategy} at {question.sparsity:g} to {sorted(missing)[0]}",
            "`prunebench bundle --transfers` puts in those of a store",
        )
    commands = dict.fromkeys(text for _, text in sorted({(row.command.written, row.command.command) for row in rows}))
    return replace(build(rows, question, delta), verification=bundle.verification), "\n".join(commands)
