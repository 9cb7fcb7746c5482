"""`prunebench results`: the long table, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from prunebench.cli.selecting import selected, selection_options, strategies_option
from prunebench.errors import PrunebenchError, unknown
from prunebench.reports.render.files import written


@click.command()
@selection_options
@strategies_option
@click.option("--format", "name", default="csv", show_default=True, help="csv, parquet or json.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write to, instead of the standard output.")
def results(name: str, out: Path | None, mixed: bool, **selection: Any) -> None:
    """Export every score of a store as one long table.

    A row for each method, task, sparsity, seed and metric, with the dense score of the same seed.
    """
    from prunebench.results.export import FORMATS
    from prunebench.results.filters import allow_mixed, nothing, one_setting

    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    if name == "parquet" and out is None:
        raise PrunebenchError("a Parquet file is nothing to print", "--out FILE says where it goes")
    found = selected(**selection)
    if not found:
        raise nothing(found)
    rows, said = allow_mixed(found) if mixed else (one_setting(found), ())
    data = FORMATS[name](rows)
    for line in said:
        click.echo(f"warning: {line}", err=True)
    if out is None:
        click.echo(data, nl=False)
    else:
        click.echo(f"Written: {written(out, data)}, {len(rows):,} rows")
