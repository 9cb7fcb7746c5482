"""`prunebench transfer`: masks that were found on one task, trained on the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli.execute import Wish, command_line, conclude, execute, execution_options, preview
from prunebench.cli.options import announce, plan_options, read_suite, registry_of, running_of
from prunebench.cli.selecting import bundle_option
from prunebench.errors import PrunebenchError

if TYPE_CHECKING:
    from prunebench.hooks.registry import Registry
    from prunebench.planning.suite import Suite
    from prunebench.reports.transfer import Grid, Question


@click.command()
@plan_options
@execution_options
@bundle_option
@click.option("--sources", default="", help="Tasks to find masks on, comma separated; by default all of the suite.")
@click.option("--targets", default="", help="Tasks to train them on; by default all of the suite.")
@click.option("--strategy", default="imp", show_default=True, help="The method that finds the masks.")
@click.option(
    "--sparsity", type=float, default=0.7, show_default=True, help="The fraction of units that a mask removes."
)
@click.option(
    "--controls",
    help="For comparison on each target: by default random-pruning of its own mask and, where weights go, "
    "magnitude-init, which is the mask that θ0 alone gives. none: no controls.",
)
@click.option("--delta", default=1.0, show_default=True, help="Points that a non-inferior mask may lose.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; without it nothing is written.")
@click.option("--format", "formats", default="md,csv,svg,png", show_default=True, help="What to write; also pdf.")
@click.option("--dry-run", is_flag=True, help="Say what it would run, share and cost, and stop.")
@click.pass_context
def transfer(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    retry_failed: bool,
    checkpoint_minutes: float | None,
    bundle: Path | None,
    delta: float,
    out: Path | None,
    formats: str,
    dry_run: bool,
    **options: Any,
) -> None:
    """Train each task's mask on the other tasks.

    The mask that a method finds on a source task, under θ0 and a fresh head, is trained on each target, and compared
    with the dense model and the own mask of the target at the same seed. What `run` has done before is not done again.
    """
    from prunebench.reports import transfer as analysis
    from prunebench.reports.leaderboard import loss_of
    from prunebench.reports.render import plots

    kinds, loss = plots.parse_formats(formats, analysis.TEXTS), loss_of(delta)
    registry = registry_of(ctx, plugins)
    running = running_of(options, registry)
    asked = {name: options.pop(name) for name in ("sources", "targets", "strategy", "sparsity", "controls")}
    chosen, question = _question(suite, options, asked, registry)
    announce(chosen)
    if bundle is not None:
        _show(*_bundled(bundle, question, registry, loss), out, kinds)
        return
    from prunebench.planning import experiment
    from prunebench.results.rows import stored

    made = analysis.plan(experiment.roots(replace(chosen, tasks=question.masks), registry), question, registry)
    wish = Wish(store, running, retry_failed, checkpoint_minutes)
    if dry_run:
        preview(made, chosen, registry, wish)
        return
    done = execute(made, chosen, registry, wish, "transfer")
    plan = {"format": 1, "suite": chosen.name, "command": "", "written": "", "cells": done.cells}
    _show(analysis.build(stored([plan], done.place), question, loss), command_line(), out, kinds)
    conclude(done)


def _show(grid: Grid, command: str, out: Path | None, kinds: tuple[str, ...]) -> None:
    from prunebench.reports import transfer as analysis

    click.echo(f"\n{analysis.terminal(grid)}\n")
    if out is None:
        click.echo(f"Nothing is written; --out DIR writes {', '.join(kinds)} there")
    else:
        click.echo(f"Written: {', '.join(map(str, analysis.write(grid, out, kinds, command)))}")


def _bundled(path: Path, question: Question, registry: Registry, loss: float) -> tuple[Grid, str]:
    """The grid of what a bundle holds of the question, and the commands that made it."""
    from prunebench.recipes.options import label
    from prunebench.reports import transfer as analysis
    from prunebench.results.rows import stored
    from prunebench.sharing.bundle.reader import open_bundle

    place = open_bundle(path)
    meant = label(registry.strategy(question.strategy)), question.sparsity
    rows = [
        row
        for row in stored(place.plans("transfer"), place)
        if row.cell.task in question.targets
        and (row.cell.is_dense or (row.cell.options["of"], row.cell.sparsity) == meant)
    ]
    lacking = set(question.targets) - {row.cell.task for row in rows if row.cell.mask_from}
    if lacking:
        raise PrunebenchError(
            f"{path.name} holds no transfer of {question.strategy} at {question.sparsity:g} to {sorted(lacking)[0]}",
            "`prunebench bundle --transfers` puts in those of a store",
        )
    commands = dict.fromkeys(command for _, command in sorted({(row.cell.written, row.cell.command) for row in rows}))
    return analysis.build(rows, question, loss), "\n".join(commands)


def _question(
    suite: str | None, options: dict[str, Any], asked: dict[str, Any], registry: Registry
) -> tuple[Suite, Question]:
    """The suite, and the question that is asked of it."""
    from prunebench.recipes.options import split_list
    from prunebench.reports.transfer import Question, default_controls

    sources, targets = (tuple(dict.fromkeys(split_list(asked[name]))) for name in ("sources", "targets"))
    if sources and targets and suite is None and options.get("tasks") is None:
        options["tasks"] = ",".join(dict.fromkeys((*targets, *sources)))
    chosen = read_suite(suite, options, registry)
    for task in (*sources, *targets):
        registry.get("tasks", task)
    controls = asked["controls"]
    if controls is None:
        found = default_controls(asked["strategy"], registry)
    else:
        found = () if controls.strip() == "none" else tuple(dict.fromkeys(split_list(controls)))
    question = Question(sources or chosen.tasks, targets or chosen.tasks, asked["strategy"], asked["sparsity"], found)
    if question.sources == question.targets and len(question.sources) < 2:
        raise PrunebenchError(
            f"there is nothing to transfer: {question.sources[0]!r} is the only task",
            "--sources and --targets name some",
        )
    return chosen, question
