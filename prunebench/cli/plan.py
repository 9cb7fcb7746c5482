"""`prunebench plan`: what a run would do, what it shares, and what it would cost."""

from __future__ import annotations

from typing import Any

import click

from prunebench.cli.execute import Wish, keep_option, preview
from prunebench.cli.options import announce, read_suite, registry_of, retry_option, running_of, suite_options


@click.command()
@suite_options
@retry_option
@keep_option
@click.pass_context
def plan(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    retry_failed: bool,
    keep_models: bool,
    **options: Any,
) -> None:
    """Print what `run` would do, and what it would cost.

    With the same words as `run`: what that would run, share, and take from the store.
    """
    registry = registry_of(ctx, plugins)
    running = running_of(options, registry)
    chosen = read_suite(suite, options, registry)
    announce(chosen)
    from prunebench.planning import experiment

    made = experiment.plan(chosen, registry)
    keep = {cell.leaf for cell in made.cells} if keep_models else ()
    if preview(made, chosen, registry, Wish(store, running, retry_failed, None), keep):
        click.echo("Run it with the same words: prunebench run …")
