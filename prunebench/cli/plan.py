"""`prunebench plan`: what a run would do, what it shares, and what it would cost."""

from __future__ import annotations

from typing import Any

import click

from prunebench.cli.help import GroupedCommand
from prunebench.cli.options import keep_option, pop_resources, retry_option, suite_options


@click.command(cls=GroupedCommand)
@suite_options
@retry_option
@keep_option
def plan(**options: Any) -> None:
    """Print what `run` would do, and what it would cost.

    With the same words as `run`: what that would run, share, and take from the store.
    """
    from prunebench import api
    from prunebench.execution.display import Console

    resources = pop_resources(options)
    if api.plan(resources=resources, console=Console(), **options).is_left:
        click.echo("Run it with the same words: prunebench run …")
