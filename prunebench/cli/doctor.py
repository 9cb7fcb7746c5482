"""`prunebench doctor`: what this installation can use, and whether a store is sound."""

from __future__ import annotations

import click

from prunebench.cli.complaints import complain
from prunebench.cli.options import plugin_option, registry_of, store_option
from prunebench.errors import PrunebenchError
from prunebench.runtime.text import clean


@click.command()
@store_option
@plugin_option
@click.pass_context
def doctor(ctx: click.Context, store: str, plugins: tuple[str, ...]) -> None:
    """Show versions, hardware and plugins, and check a store.

    Every file of the store is read; what is damaged is set aside, and computed again by the next run that needs it.
    """
    from prunebench.execution import diagnostics
    from prunebench.store.inspection import inspect
    from prunebench.store.store import Store

    registry = registry_of(ctx, plugins)
    click.echo("\n".join(diagnostics.installation()))
    click.echo("\n".join(diagnostics.plugins(registry)))
    wrong = [
        f"plugin {plugin.name} ({plugin.source}) is broken: {plugin.error}" for plugin in registry.broken_plugins()
    ]
    view = Store.view(store)
    if not view.exists:
        click.echo(f"store:      none in {store} yet")
    else:
        inspection = inspect(view)
        click.echo(f"store:      {view.name}: {inspection}")
        for reason, number in inspection.failures.items():
            click.echo(clean(f"failed:     {number} × {reason}"))
        wrong += inspection.complaints
    complain(wrong, "wrong: ")
    if wrong:
        raise PrunebenchError(f"{len(wrong)} things are wrong" if len(wrong) > 1 else "something is wrong", "see above")
    click.echo("Nothing is wrong. Try it: prunebench run smoke")
