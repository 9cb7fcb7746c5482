"""`prunebench run`: everything that the store cannot answer for, and then the leaderboard."""

from __future__ import annotations

import shlex
from typing import Any

import click

from prunebench.cli.execute import Done, Wish, conclude, execute, execution_options, keep_option
from prunebench.cli.options import announce, read_suite, registry_of, running_of, suite_options


@click.command()
@suite_options
@execution_options
@keep_option
@click.pass_context
def run(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    retry_failed: bool,
    checkpoint_minutes: float | None,
    keep_models: bool,
    **options: Any,
) -> None:
    """Run a suite, or what the options say.

    In the end it shows the results. SUITE is a name or a TOML file; options win over the file. With neither a suite nor
    tasks it is `quick`, which needs no download and takes minutes. Every result is stored once and for all: the same
    command again goes on where the last one stopped, and a command that asks for more runs only what is new.
    """
    registry = registry_of(ctx, plugins)
    running = running_of(options, registry)
    chosen = read_suite(suite, options, registry)
    announce(chosen)
    from prunebench.planning import experiment
    from prunebench.store.store import RUN

    wish = Wish(store, running, retry_failed, checkpoint_minutes)
    made = experiment.plan(chosen, registry)
    keep = {cell.leaf for cell in made.cells} if keep_models else ()
    done = execute(made, chosen, registry, wish, RUN, keep)
    show(done, store)
    conclude(done)


def show(done: Done, store: str) -> None:
    """Show the results of the plan, and say where they lie."""
    from prunebench.reports.leaderboard import terminal
    from prunebench.results.rows import stored

    plan = {"format": 1, "suite": "", "command": "", "written": "", "cells": done.cells}
    found = stored([plan], done.place)
    click.echo(f"\n{terminal(found)}\n")
    if any(row.status == "done" for row in found):
        pages = f"prunebench leaderboard --store {shlex.quote(store)} --out leaderboards/NAME"
        click.echo(f"Results: {store}. Pages and tables: {pages}")
