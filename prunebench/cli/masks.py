"""`prunebench masks`: how far the masks of a store overlap, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli.execute import command_line
from prunebench.cli.options import plugin_option, registry_of, store_option
from prunebench.cli.selecting import chosen, setting_options, strategies_option


@click.command()
@store_option
@setting_options
@strategies_option
@plugin_option
@click.option("--sparsity", type=float, help="At this sparsity; by default at 0.7, or what is nearest to it.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; without it nothing is written.")
@click.option("--format", "formats", default="md,csv,svg,png", show_default=True, help="What to write; also pdf.")
@click.pass_context
def masks(
    ctx: click.Context,
    /,
    store: str,
    plugins: tuple[str, ...],
    sparsity: float | None,
    out: Path | None,
    formats: str,
    mixed: bool,
    **selection: Any,
) -> None:
    """Compare the masks that a store holds.

    Between tasks, seeds and methods, against what chance would give; how sparse each matrix is, and which heads stay.
    """
    from prunebench.reports import overlap as analysis
    from prunebench.reports.render import plots
    from prunebench.results.filters import allow_mixed, one_setting
    from prunebench.store.store import Store

    kinds = plots.parse_formats(formats, analysis.TEXTS)
    registry = registry_of(ctx, plugins)
    place = Store.open(store)
    rows = chosen(place, place.plans(), **selection)
    rows, said = allow_mixed(rows) if mixed else (one_setting(rows), ())
    level = analysis.choose(rows, sparsity)
    report = analysis.report(analysis.masks(rows, level, place, registry), level, rows, said)
    click.echo(analysis.terminal(report) + "\n")
    if out is None:
        click.echo(f"Nothing is written; --out DIR writes {', '.join(kinds)} there")
        return
    click.echo(f"Written: {', '.join(map(str, analysis.write(report, out, kinds, command_line())))}")
