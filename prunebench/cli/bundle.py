"""`prunebench bundle`: what a store holds, in one file that others can check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli.options import plugin_option, registry_of, store_option
from prunebench.cli.selecting import chosen, setting_options, strategies_option
from prunebench.errors import PrunebenchError, unknown
from prunebench.reports.render.files import written


@click.command()
@click.argument("suite", required=False)
@store_option
@plugin_option
@setting_options
@strategies_option
@click.option("--transfers", is_flag=True, help="Put in what `prunebench transfer` has made, too.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE.zip", help="File to write to.")
@click.pass_context
def bundle(
    ctx: click.Context,
    /,
    suite: str | None,
    store: str,
    plugins: tuple[str, ...],
    transfers: bool,
    out: Path,
    mixed: bool,
    **selection: Any,
) -> None:
    """Pack results into one file that others can check.

    What runs of SUITE asked for, or all that the store holds: the records of all cells with the trainings on their way,
    the predictions of every example, the checksums of masks, versions, hardware and commands. The same store gives the
    same file. `prunebench verify` checks it, `prunebench leaderboard --bundle` draws it.
    """
    from prunebench.results.filters import nothing, one_setting
    from prunebench.sharing.bundle.pack import pack
    from prunebench.store.store import RUN, Store

    registry = registry_of(ctx, plugins)
    place = Store.open(store)
    rows = {}
    for kind in (RUN, "transfer") if transfers else (RUN,):
        plans = place.plans(kind)
        known = {plan["suite"] for plan in plans} - {""}
        if suite is not None and suite not in known and kind == RUN:
            raise unknown("suite", suite, known, "only what has results in the store can be bundled")
        found = chosen(place, [plan for plan in plans if suite in (None, plan["suite"])], **selection)
        rows[kind] = found if mixed else one_setting(found)
    if not any(row.status == "done" for found in rows.values() for row in found):
        raise nothing([row for found in rows.values() for row in found])
    if out.suffix != ".zip":
        raise PrunebenchError(f"cannot write a bundle to {str(out)!r}", "expected the name of a zip file")
    data = pack(rows, place, registry)
    click.echo(f"Written: {written(out, data)}, {len(data):,} bytes. Check it with: prunebench verify {out}")
