"""`prunebench masks`: how far masks overlap, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli.options import command_line, store_option, suite_argument
from prunebench.cli.selecting import load_results, setting_options, versions_option


@click.command()
@suite_argument
@store_option
@setting_options
@versions_option
@click.option("--sparsity", type=float, help="At this sparsity; by default at 0.7, or the nearest to it.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; without it nothing is written.")
@click.option("--format", "formats", default="md,csv,svg,png", show_default=True, help="What to write; also pdf.")
def masks(sparsity: float | None, out: Path | None, formats: str, mixed: bool, **selection: Any) -> None:
    """Compare the masks of a store.

    Takes SUITE, or the last run of the store: between tasks, seeds and methods, against chance; how sparse each matrix
    is, and which heads stay.
    """
    from prunebench.reports import overlap
    from prunebench.reports.render import plots

    kinds = plots.parse_formats(formats, overlap.TEXT_FORMATS)
    results = load_results(**selection)
    rows, warnings = results.on_one_page(mixed)
    level = overlap.choose_sparsity(rows, sparsity)
    report = overlap.build(overlap.load_masks(rows, level, results.store, results.registry), level, rows, warnings)
    click.echo(overlap.terminal(report) + "\n")
    if out is None:
        click.echo(f"Nothing is written; --out DIR writes {', '.join(kinds)} there")
        return
    click.echo(f"Written: {', '.join(map(str, overlap.write(report, out, kinds, command_line())))}")
