"""`prunebench doctor`: what this installation can use, and whether a store is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prunebench.cli.complaints import complain
from prunebench.cli.options import plugin_option, registry_of, store_option
from prunebench.errors import PrunebenchError
from prunebench.runtime.text import clean

if TYPE_CHECKING:
    from prunebench.store.store import Store


@click.command()
@store_option
@plugin_option
@click.pass_context
def doctor(ctx: click.Context, store: str, plugins: tuple[str, ...]) -> None:
    """Show versions and plugins, and check a store.

    Every file of the store is read, and plans, records, logits, labels, masks and weights are compared with one
    another. Damaged files are set aside, and computed again by the next run that needs them; a lost store.json is
    written anew. The exit status is 1 if anything is wrong.
    """
    from prunebench.execution import diagnostics

    registry = registry_of(ctx, plugins)
    click.echo("\n".join(diagnostics.installation()))
    click.echo("\n".join(diagnostics.plugins(registry)))
    wrong = [
        f"plugin {plugin.name} ({plugin.source}) is broken: {plugin.error}" for plugin in registry.broken_plugins()
    ]
    wrong += _check_store(store)
    complain(wrong, "wrong: ")
    if wrong:
        number = f"{len(wrong)} things are" if len(wrong) > 1 else "1 thing is"
        click.echo(f"{number} wrong, see above", err=True)
        ctx.exit(1)
    click.echo("Nothing is wrong. Try it: prunebench run smoke")


def _check_store(name: str) -> list[str]:
    """Print what a store holds, and return what is wrong with it."""
    from prunebench.store.inspection import inspect

    wrong: list[str] = []
    view = _open(name, wrong)
    if view is None:
        return wrong
    if not view.exists:
        click.echo(f"store:      none in {name} yet")
        return wrong
    inspection = inspect(view)
    click.echo(f"store:      {view.name}: {inspection}")
    if not view.is_sealed:
        click.echo("            of an earlier version, without checksums; the next run adds them")
    for reason, number in inspection.failures.items():
        click.echo(clean(f"failed:     {number} × {reason}"))
    return wrong + inspection.complaints


def _open(name: str, wrong: list[str]) -> Store | None:
    """The store, with a new head where that was damaged or missing; None where it cannot be read."""
    from prunebench.store import backends, heads
    from prunebench.store.files import HEAD
    from prunebench.store.store import Store

    try:
        backend = backends.at(name)
        backend.check()
        try:
            if heads.is_headless(backend):
                wrong.append(f"{backend.location(HEAD)} is missing")
                wrong[-1] += f": {heads.rebuild(backend)}"
            elif backend.exists(HEAD):
                heads.read(backend)
        except heads.HeadDamaged as error:
            wrong.append(error.message)
            wrong[-1] += f": {heads.rebuild(backend)}"
        return Store.view(name)
    except PrunebenchError as error:
        wrong.append(str(error))
        return None
