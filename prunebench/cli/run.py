"""`prunebench run`: everything that the store cannot answer for, and then the leaderboard."""

from __future__ import annotations

import shlex
from typing import Any

import click

from prunebench.cli.options import (
    ARGUMENTS,
    announce,
    check_executor,
    executor_of,
    read_suite,
    registry_of,
    slots_for,
    suite_options,
)
from prunebench.errors import PrunebenchError

# Another run on the same store may throw weights away that this one has planned with; hardly ever twice.
ATTEMPTS = 10


@click.command()
@suite_options
@click.pass_context
def run(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    executor: str | None,
    slots: int | None,
    **options: Any,
) -> None:
    """Run a suite, or what the options say, and show the results.

    SUITE is a name or a TOML file; options win over the file. With neither a suite nor tasks it is `quick`, which needs
    no download and takes minutes. Every result is stored once and for all: the same command again goes on where the
    last one stopped, and a command that asks for more runs only what is new.
    """
    registry = registry_of(ctx, plugins)
    chosen = read_suite(suite, options, registry)
    check_executor(registry, executor)
    announce(chosen)
    from prunebench import bench, jobs, roots
    from prunebench.cli.display import counted, make_display, many
    from prunebench.store import Store

    place = Store.create(store)
    made = roots.plan(chosen, registry)
    keys = [node.key for node in made.nodes()]
    held = place.snapshot(keys)
    todo = jobs.to_run(made, held)
    for complaint in place.complaints:
        click.echo(complaint, err=True)
    click.echo("\n".join(counted(made, jobs.count(made, todo, held))))
    cells = [cell.to_json() for cell in made.cells]
    place.add_plan(cells, chosen.name, "prunebench " + shlex.join(ctx.meta[ARGUMENTS]))
    if not todo:
        click.echo(f"Nothing is left to run: every result is in {store}")
        return finish(place, store, cells, bench.Report())
    at_once = slots_for(chosen, registry, executor, slots, len(todo))
    spec = executor_of(registry, executor, at_once)
    click.echo(f"At a time:     {many(at_once, 'job')}")
    for _ in range(ATTEMPTS):
        with spec.make(at_once) as pool, make_display(todo) as display:
            report = bench.run(todo, pool, place, registry.files, display, at_once)
        if not report.again:
            break
        click.echo("something that a job starts from is gone from the store or damaged: planning again", err=True)
        todo = jobs.to_run(made, place.snapshot(keys))
    else:
        raise PrunebenchError(
            f"what jobs start from was gone from the store {ATTEMPTS} times over",
            "another run on it may be throwing weights away: end one of them, and run the same command again",
        )
    finish(place, store, cells, report)


def finish(place: Any, store: str, cells: list[dict[str, Any]], report: Any) -> None:
    """Show this plan's results, where they lie, and what went wrong."""
    from prunebench.cli.display import many
    from prunebench.leaderboard import terminal
    from prunebench.results import stored

    plan = {"format": 1, "suite": "", "command": "", "written": "", "cells": cells}
    found = stored([plan], place)
    click.echo(f"\n{terminal(found)}\n")
    if any(row.status == "done" for row in found):
        pages = f"prunebench leaderboard --store {shlex.quote(store)} --out leaderboards/NAME"
        click.echo(f"Results: {store}. Pages and tables: {pages}")
    for where, reason in report.failures.items():
        click.echo(f"failed: {where}: {reason}", err=True)
    if report.unexpected is not None:
        raise report.unexpected
    if report.failures:
        raise PrunebenchError(
            f"{many(len(report.failures), 'failure')}, {many(report.skipped, 'job')} left out because of that",
            f"the reasons stand above, tracebacks in {place.name}/failures; the same command tries again",
        )
