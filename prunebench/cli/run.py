"""`prunebench run`: everything that the store cannot answer for, and then the leaderboard."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from prunebench.cli.options import read_suite, registry_of, suite_options
from prunebench.errors import PrunebenchError


@click.command()
@suite_options
@click.option("--jobs", "slots", type=click.IntRange(min=1), default=1, show_default=True, help="How many at a time.")
@click.option("--executor", help="Where jobs run: here (default for one job), processes (default for more).")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    executor: str | None,
    slots: int,
    **options: Any,
) -> None:
    """Run a SUITE (a name or a TOML file) or what the options say; options win over the file.

    Every result is stored once and for all: the same command again goes on where the last one stopped, and a command
    that asks for more runs only what is new.
    """
    registry = registry_of(ctx, plugins)
    chosen = read_suite(suite, options, registry)
    spec = registry.get("executors", executor or ("processes" if slots > 1 else "here"))
    from prunebench import bench, jobs, roots
    from prunebench.cli.display import counted, make_display
    from prunebench.store import Store

    place = Store.create(store)
    made = roots.plan(chosen, registry)
    todo = jobs.to_run(made, place)
    for line in [*place.complaints, *counted(made, jobs.count(made, todo, place))]:
        click.echo(line)
    cells = [cell.to_json() for cell in made.cells]
    place.add_plan(cells, chosen.name, "prunebench " + shlex.join(sys.argv[1:]))
    if not todo:
        click.echo(f"Nothing is left to run: every result is in {store}")
        return finish(place, store, cells, bench.Report())
    with spec.make(slots) as pool, make_display(todo) as display:
        report = bench.run(todo, pool, place, registry.files, display, slots)
    finish(place, store, cells, report)


def finish(place: Any, store: str, cells: list[dict[str, Any]], report: Any) -> None:
    """Show this plan's results, where they lie, and what went wrong."""
    from prunebench.leaderboard import terminal
    from prunebench.results import rows

    plan = {"format": 1, "suite": "", "command": "", "written": "", "cells": cells}
    click.echo("\n" + terminal(rows([plan], place.record, place.failure)))
    for where, reason in report.failures.items():
        click.echo(f"failed: {where}: {reason}", err=True)
    if report.unexpected is not None:
        raise report.unexpected
    if report.failures:
        raise PrunebenchError(
            f"{len(report.failures)} jobs failed and {report.skipped} that start from them were not run",
            "the reasons stand above and, with their tracebacks, in the store's failures/; "
            "the same command tries them again",
        )
    click.echo(f"Results: {store}. Pages and tables: prunebench leaderboard --store {store} --out leaderboards/NAME")
