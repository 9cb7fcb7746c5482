"""`prunebench plan`: what a run would do, what it shares, and what it would cost."""

from __future__ import annotations

from typing import Any

import click

from prunebench.cli.options import (
    announce,
    read_suite,
    registry_of,
    request_for,
    retry_option,
    running_of,
    suite_options,
)


@click.command()
@suite_options
@retry_option
@click.pass_context
def plan(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    retry_failed: bool,
    **options: Any,
) -> None:
    """Print what `run` would do, and what it would cost.

    With the same words as `run`: what that would run, share, and take from the store.
    """
    registry = registry_of(ctx, plugins)
    running = running_of(options, registry)
    chosen = read_suite(suite, options, registry)
    announce(chosen)
    from prunebench import bench, jobs, roots
    from prunebench.cli.display import counted, duration
    from prunebench.plan import Plan

    made: Plan = roots.plan(chosen, registry)
    place = open_if_there(store)
    held = place.snapshot([node.key for node in made.nodes()])
    failed = {} if retry_failed else jobs.given_up(made, held)
    todo = jobs.to_run(made, held, failed)
    for complaint in place.complaints:
        click.echo(complaint, err=True)
    click.echo("\n".join(counted(made, jobs.count(made, todo, held, failed))))
    if not todo:
        click.echo(f"Nothing is left to run: {'what has not failed' if failed else 'everything'} is in {store}")
        return
    at_once = request_for(chosen, registry, running, len(todo)).jobs
    total = bench.Clock(todo, bench.expected_seconds(place), at_once).total()
    cost = "unknown until each task has been trained once" if total is None else f"about {duration(total)}"
    click.echo(f"Expected cost: {cost}\nRun it with the same words: prunebench run …")


def open_if_there(name: str) -> Any:
    """The store, or an empty view of the place where one could be."""
    from prunebench import places
    from prunebench.store import Store

    place = places.at(name)
    return Store.open(name) if place.exists("store.json") else Store(place)
