"""`prunebench plan`: what a run would do, what it shares, and what it would cost."""

from __future__ import annotations

from typing import Any

import click

from prunebench.cli.options import announce, check_executor, read_suite, registry_of, slots_for, suite_options


@click.command()
@suite_options
@click.pass_context
def plan(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    executor: str | None,
    slots: int | None,
    **options: Any,
) -> None:
    """Print what `run` would do, and what it would cost.

    With the same words as `run`: what that would run, share, and take from the store.
    """
    registry = registry_of(ctx, plugins)
    chosen = read_suite(suite, options, registry)
    check_executor(registry, executor)
    announce(chosen)
    from prunebench import bench, jobs, roots
    from prunebench.cli.display import counted, duration
    from prunebench.plan import Plan

    made: Plan = roots.plan(chosen, registry)
    place = open_if_there(store)
    held = place.snapshot([node.key for node in made.nodes()])
    todo = jobs.to_run(made, held)
    for complaint in place.complaints:
        click.echo(complaint, err=True)
    click.echo("\n".join(counted(made, jobs.count(made, todo, held))))
    if not todo:
        click.echo(f"Nothing is left to run: everything is in {store}")
        return
    at_once = slots_for(chosen, registry, executor, slots, len(todo))
    total = bench.Clock(todo, bench.expected_seconds(place), at_once).total()
    cost = "unknown until each task has been trained once" if total is None else f"about {duration(total)}"
    click.echo(f"Expected cost: {cost}\nRun it with the same words: prunebench run …")


def open_if_there(name: str) -> Any:
    """The store, or an empty view of the place where one could be."""
    from prunebench import places
    from prunebench.store import Store

    place = places.at(name)
    return Store.open(name) if place.exists("store.json") else Store(place)
