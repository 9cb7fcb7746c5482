"""`prunebench results`: the long table, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli.selecting import load_results, selection_options
from prunebench.errors import PrunebenchError, unknown_name


@click.command()
@selection_options
@click.option("--format", "name", default="csv", show_default=True, help="csv, parquet or json.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write to, instead of the standard output.")
def results(name: str, out: Path | None, mixed: bool, **selection: Any) -> None:
    """Export every score as one long table.

    Takes SUITE, or the last run of the store: a row for each method, task, sparsity, seed and metric, with the dense
    score of the same seed.
    """
    from prunebench.reports.render.files import write_file
    from prunebench.results.export import FORMATS

    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    if name == "parquet" and out is None:
        raise PrunebenchError("a Parquet file cannot be printed", "--out FILE says where it goes")
    rows, warnings = load_results(**selection).on_one_page(mixed)
    data = FORMATS[name](rows)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    if out is None:
        click.echo(data, nl=False)
    else:
        click.echo(f"Written: {write_file(out, data)}, {len(rows):,} rows")
