"""`prunebench run`: everything that the store cannot answer for, and then the leaderboard."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli.options import (
    ARGUMENTS,
    announce,
    checkpoint_option,
    executor_of,
    read_suite,
    registry_of,
    request_for,
    retry_option,
    running_of,
    suite_options,
)
from prunebench.errors import PrunebenchError

if TYPE_CHECKING:
    from prunebench.plan import Node, Plan
    from prunebench.store import Snapshot, Store

# Another run on the same store may throw weights away that this one has planned with; hardly ever twice.
ATTEMPTS = 10


@click.command()
@suite_options
@retry_option
@checkpoint_option
@click.pass_context
def run(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    retry_failed: bool,
    checkpoint_minutes: float | None,
    **options: Any,
) -> None:
    """Run a suite, or what the options say, and show the results.

    SUITE is a name or a TOML file; options win over the file. With neither a suite nor tasks it is `quick`, which needs
    no download and takes minutes. Every result is stored once and for all: the same command again goes on where the
    last one stopped, and a command that asks for more runs only what is new.
    """
    registry = registry_of(ctx, plugins)
    running = running_of(options, registry)
    chosen = read_suite(suite, options, registry)
    announce(chosen)
    from prunebench import bench, jobs, roots
    from prunebench.cli.display import counted, make_display, many
    from prunebench.store import Store

    place = Store.create(store)
    made = roots.plan(chosen, registry)
    keys = [node.key for node in made.nodes()]
    held = place.snapshot(keys)
    failed = left_out(made, held, place, retry_failed)
    todo = jobs.to_run(made, held, failed)
    for complaint in place.complaints:
        click.echo(complaint, err=True)
    click.echo("\n".join(counted(made, jobs.count(made, todo, held, failed))))
    cells = [cell.to_json() for cell in made.cells]
    place.add_plan(cells, chosen.name, "prunebench " + shlex.join(ctx.meta[ARGUMENTS]))
    if not todo:
        click.echo(f"Nothing is left to run: {'what has not failed' if failed else 'every result'} is in {store}")
        return finish(place, store, cells, bench.Report(), failed)
    request = request_for(chosen, registry, running, len(todo))
    click.echo(f"At a time:     {many(request.jobs, 'job')}")
    for _ in range(ATTEMPTS):
        with (
            place.announced() as (before, runs),
            executor_of(registry, running.executor, request) as pool,
            make_display(todo) as display,
        ):
            todo = jobs.begun_elsewhere(todo, before, runs)
            report = bench.run(todo, pool, place, registry.files, display, request.jobs, checkpoint_minutes)
        if not report.again:
            return finish(place, store, cells, report, failed)
        click.echo("something that a job starts from is gone from the store or damaged: planning again", err=True)
        held = place.snapshot(keys)
        todo = jobs.to_run(made, held, jobs.given_up(made, held))
    raise PrunebenchError(
        f"what jobs start from was gone from the store {ATTEMPTS} times over",
        "another run on it may be throwing weights away: end one of them, and run the same command again",
    )


def left_out(made: Plan, held: Snapshot, place: Store, retry: bool) -> dict[Node, str]:
    """What failed before and is not run again, and what comes after it; nothing where it is to be tried again."""
    from prunebench import jobs

    failed = jobs.given_up(made, held)
    for node, reason in failed.items():
        if retry:
            place.forget_failure(node.key)
        elif node.key not in held.failures:
            place.add_failure(node.key, reason)
    return {} if retry else failed


def finish(place: Any, store: str, cells: list[dict[str, Any]], report: Any, failed: dict[Node, str]) -> None:
    """Show this plan's results, where they lie, and what went wrong, now or (`failed`, by node) in an earlier run."""
    from prunebench.cli.display import many
    from prunebench.jobs import describe
    from prunebench.leaderboard import terminal
    from prunebench.results import stored

    plan = {"format": 1, "suite": "", "command": "", "written": "", "cells": cells}
    found = stored([plan], place)
    click.echo(f"\n{terminal(found)}\n")
    if any(row.status == "done" for row in found):
        pages = f"prunebench leaderboard --store {shlex.quote(store)} --out leaderboards/NAME"
        click.echo(f"Results: {store}. Pages and tables: {pages}")
    for node, reason in failed.items():
        if node.parent not in failed:
            click.echo(f"failed before: {describe(node)}: {reason}", err=True)
    for where, reason in report.failures.items():
        click.echo(f"failed: {where}: {reason}", err=True)
    if report.unexpected is not None:
        raise report.unexpected
    if report.failures or failed:
        now = f"{many(len(report.failures), 'failure')}, {many(report.skipped, 'job')} left out because of that"
        before = f"{many(len(failed), 'phase')} left out that failed before"
        raise PrunebenchError(
            "; ".join([now] * bool(report.failures) + [before] * bool(failed)),
            f"the reasons stand above, tracebacks in {place.name}/failures; --retry-failed tries them again",
        )
