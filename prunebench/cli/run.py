"""`prunebench run`: everything that the store lacks, and then the leaderboard."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from prunebench.cli.help import WHERE, GroupedCommand, Option
from prunebench.cli.options import (
    command_line,
    execution_options,
    keep_option,
    pop_resources,
    suite_options,
    wants_colour,
)

if TYPE_CHECKING:
    from prunebench.execution.profiling import Profile


@click.command(
    cls=GroupedCommand,
    examples=(
        "prunebench run quick --jobs 2",
        "prunebench run --tasks rte,mrpc --strategies imp,heads --sparsities 0.5,0.7 --seeds 3",
    ),
)
@suite_options
@execution_options
@keep_option
@click.option(
    "--debug",
    is_flag=True,
    cls=Option,
    group=WHERE,
    help="Run in this process, with the real traceback of the first error; breakpoint() works.",
)
@click.option(
    "--profile",
    "wants_profile",
    is_flag=True,
    cls=Option,
    group=WHERE,
    help="Run in this process, and show in the end what the code of each method cost: seconds and memory.",
)
def run(store: str, debug: bool, wants_profile: bool, **options: Any) -> None:
    """Run a suite, or what the options say.

    In the end it shows the results. SUITE is a name or a TOML file; options win over the file. Without a suite and
    tasks it runs `quick`, which needs no download. Results are stored for good: the same command again goes on where
    the last one stopped, and a command that asks for more runs only what is new.

    Defaults in brackets hold where SUITE has no value. Each option under Protocol makes another protocol. Results of
    different protocols, precisions or devices are never mixed in one table unless you ask for it.
    """
    from prunebench import api
    from prunebench.execution.display import Console
    from prunebench.execution.runner import raise_failures

    # Bars would draw over the prompt of a debugger.
    console = Console(quiet=debug)
    profile = _profile() if wants_profile else None
    options |= {"resources": pop_resources(options), "debug": debug, "profile": profile, "command": command_line()}
    results = api.run(store=store, progress=console, **options)
    click.echo(f"\n{results.to_text(colour=wants_colour())}\n")
    if any(row.status == "done" for row in results.rows):
        where = "" if store == api.STORE else f" --store {shlex.quote(store)}"
        click.echo(f"Stored in {store}. Pages and tables: prunebench leaderboard{where} --out DIR")
    if profile is not None:
        click.echo(f"\n{profile.to_text()}" if profile.costs else "Nothing was called: every result was stored")
    if results.run is not None:
        raise_failures(results.run, console)


def _profile() -> Profile:
    from prunebench.execution.profiling import Profile

    return Profile()
